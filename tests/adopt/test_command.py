"""The command: list, look, save, accept."""

import json
from pathlib import Path

import pytest

from tests.adopt.grown import NAMESPACE, state_of
from tests.cli.conftest import RunCommand, vp

__all__ = ["vp"]


@pytest.mark.slow
def test_it_lists_looks_and_saves_and_writes_nothing(vp: RunCommand, unbuilt: Path, tmp_path: Path) -> None:
    here, before = ("--project", unbuilt), state_of(unbuilt.parent)
    listed = vp("adopt", *here)
    assert listed.code == 0, listed
    assert "old-docs" in listed.out
    assert "Next: vector-pipeline adopt --namespace old-docs" in listed.out
    assert vp("adopt", "--json", *here).json[0] == {
        "namespace": NAMESPACE, "records": 18, "dimension": 128, "metric": "cosine", "dataset": None,
    }  # fmt: skip
    report = tmp_path / "report.json"
    looked = vp("adopt", "--namespace", NAMESPACE, "--out", report, *here)
    assert looked.code == 0, looked
    assert "Adopt: 10 vectors kept, 8 to embed, 3 foreign. old-docs is not written to." in looked.out
    assert "Next: vector-pipeline adopt --namespace old-docs --yes" in looked.out
    saved = json.loads(report.read_text())
    assert {one["id"] for one in saved["foreign"]} >= {"about-us", "silent"}
    assert len(saved["foreign"]) == saved["plan"]["not_carried_over"] == 3
    found = vp("adopt", "--namespace", NAMESPACE, "--json", *here).json
    assert found["plan"]["vectors_kept"] == 10
    assert "adopted" not in found
    assert state_of(unbuilt.parent) == before


def test_mistakes_are_one_line(vp: RunCommand, unbuilt: Path) -> None:
    mistakes: dict[str, tuple[str, ...]] = {
        "no namespace nowhere": ("--namespace", "nowhere"),
        "no target 'elsewhere'": ("--target", "elsewhere"),
        "no namespace handbook--tiny": ("--namespace", "handbook--tiny--01234567"),
        "cannot be saved": ("--namespace", NAMESPACE, "--out", "/nowhere/report.json"),
    }
    for said, words in mistakes.items():
        ran = vp("adopt", *words, "--project", unbuilt)
        assert ran.code == 1
        assert said in ran.err
        assert ran.err.count("\n") == 1


@pytest.mark.slow
def test_accepted_it_makes_the_baseline_and_shows_the_push(vp: RunCommand, unbuilt: Path) -> None:
    here = ("--project", unbuilt)
    ran = vp("adopt", "--namespace", NAMESPACE, "--yes", *here)
    assert ran.code == 0, ran
    assert "Made v1, the baseline: 10 vectors kept, 8 texts embedded." in ran.out
    assert "Next: vector-pipeline push" in ran.out
    again = vp("adopt", "--namespace", NAMESPACE, "--yes", "--json", *here).json
    assert again["adopted"] == {"version": 1, "made": False, "stored": 0, "embedded": 0}
    assert again["push"]["version"] == 1
    assert (
        vp("versions", "--json", *here).json[0]["message"] == "adopted from local/old-docs: 10 vectors kept, 3 foreign"
    )
