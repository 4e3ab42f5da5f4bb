"""``drift`` and ``repair``: what they print, and their exit codes."""

import json

import pytest

from tests.cli.conftest import RunCommand
from tests.drift.conftest import Hand, line, read_back, snapshot, template  # noqa: F401  (fixtures)


@pytest.fixture
def here(line: Hand) -> tuple[str, str]:  # noqa: F811
    return ("--project", str(line.project.base))


def test_no_drift(vp: RunCommand, here: tuple[str, str]) -> None:
    ran = vp("drift", "--detailed-exitcode", *here)
    assert ran.code == 0, ran
    head, production, staging, after = ran.out.splitlines()
    assert head.split() == [
        "alias", "version", "level", "expected", "found", "missing", "foreign", "tampered", "stale", "marks", "compared",
        "result",
    ]  # fmt: skip
    assert production.split()[:3] == ["production", "v3", "ids"]
    assert staging.endswith("no drift")
    assert after.startswith("Next: vector-pipeline status")
    assert vp("repair", *here).out.splitlines()[-2] == "No drift: nothing to repair."


@pytest.mark.slow
def test_drift_is_seen_shown_and_repaired(vp: RunCommand, here: tuple[str, str], line: Hand) -> None:  # noqa: F811
    gone, source = (row["id"] for row in line.visible(3)[:2])
    line.delete(gone)
    line.put(source, id="by-hand")
    assert vp("drift", *here).code == 0
    ran = vp("drift", "production", "--detailed-exitcode", *here)
    assert ran.code == 2
    assert ran.err == ""
    assert ran.out.splitlines()[1].split()[-1] == "drift"
    assert "by-hand" in ran.out
    assert "Next: vector-pipeline repair" in ran.out
    (report,) = vp("drift", "handbook", "production", "--json", *here).json
    assert (report["missing"], report["foreign"], report["drifted"], report["level"]) == (1, 1, True, "ids")
    assert vp("drift", "--level", "count", "--detailed-exitcode", *here).code == 2

    looked = vp("repair", "--dry-run", *here)
    assert looked.code == 0
    assert "Repair: 2 writes" in looked.out
    assert vp("repair", "--dry-run", "--json", *here).json["writes"] == 2
    asked = vp("repair", *here)
    assert asked.code == 2
    assert "--yes" in asked.err
    assert asked.err.count("\n") == 1
    assert gone not in {row["id"] for row in line.rows()}

    mended = vp("repair", "--yes", *here)
    assert mended.code == 0, mended
    assert "1 deleted" in mended.out
    assert "production: coverage passed" in mended.out
    assert vp("drift", "--detailed-exitcode", *here).code == 0
    assert read_back(line, 3) == snapshot(line.project, 3)
    again = json.loads(vp("repair", "--yes", "--json", *here).out)
    assert (again["empty"], again["writes"]) == (True, 0)


@pytest.mark.slow
def test_values_need_a_deep_look(vp: RunCommand, here: tuple[str, str], line: Hand) -> None:  # noqa: F811
    line.put(line.visible(3)[0]["id"], text="other")
    assert vp("drift", "--detailed-exitcode", *here).code == 0
    assert vp("drift", "--level", "full", "--detailed-exitcode", *here).code == 2
    assert vp("drift", "--sample", "1000", "--detailed-exitcode", *here).code == 2
    assert vp("repair", "--level", "full", "--yes", *here).code == 0
    assert vp("drift", "--level", "full", "--detailed-exitcode", *here).code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("drift", "nothing"), 1, "no dataset 'nothing'"),
        (("drift", "handbook", "nowhere"), 2, "'nowhere' is no alias"),
        (("drift", "a", "b", "c"), 2, "expected [DATASET] [production|staging]"),
        (("drift", "--level", "deep"), 2, "deep"),
        (("repair", "--level", "count"), 2, "count"),
    ],
)
def test_wrong_words_are_one_line(
    vp: RunCommand, here: tuple[str, str], words: tuple[str, ...], code: int, said: str
) -> None:
    ran = vp(*words, *here)
    assert (ran.code, ran.err.count("\n")) == (code, 1)
    assert said in ran.err


def test_nothing_deployed_is_an_error(vp: RunCommand, fresh: object) -> None:
    for verb in ("drift", "repair"):
        ran = vp(verb, "--detailed-exitcode" if verb == "drift" else "--yes", "--project", fresh)
        assert ran.code == 1
        assert "nothing is deployed that could drift" in ran.err
