"""What a person sees of policy and overrides."""

from pathlib import Path

import pytest

from tests.cli.conftest import RunCommand
from tests.conftest import write_project
from tests.support.gates import say_passed
from vector_pipeline.project import Project

BAD = "canaries: [{query: 'page 1', expect: [nowhere.md], k: 3}]\n"
MODES = "modes: {coverage: warn, index_recall: off}"


def staged(folder: Path) -> Path:
    """Version 1 on staging; its canaries fail, everything else is said to have passed."""
    config = write_project(folder, 3, shards=2, gates=f"canaries: canaries.yaml, {MODES}")
    (folder / "canaries.yaml").write_text(BAD, encoding="utf-8")
    with Project.load(config) as project:
        project.build("handbook")
        say_passed(project, project.push("handbook").deployment, index=True)
        project.verify("handbook", only=["canary retrieval"])
    return config


@pytest.mark.slow
def test_a_version_is_let_past_a_gate_and_everything_says_so(vp: RunCommand, tmp_path: Path) -> None:
    here = ("--project", staged(tmp_path / "project"))
    shown = vp("status", *here)
    assert "off here: index recall" in shown.out
    (line,) = [line for line in shown.out.splitlines() if " coverage " in line]
    assert line.split()[1:4] == ["coverage", "warn", "passed"]
    assert "promote" not in shown.out.splitlines()[-1]
    before = vp("status", "--json", *here).json[0]
    assert (before["gates_off"], before["overrides"]) == (["index recall"], [])
    assert {one["name"]: one["mode"] for one in before["gates"]}["coverage"] == "warn"

    # Wrong at once, before a run begins.
    for words, said in (
        (("--override", "canary_retrieval"), "letting a version past canary retrieval wants a reason"),
        (("--override", "canaries", "--reason", "why"), "has no gate 'canaries'"),
        (("--override", "coverage", "--reason", "why"), "coverage only warns in environment dev"),
        (("--override", "index recall", "--reason", "why"), "index recall is off in environment dev"),
    ):
        wrong = vp("promote", *words, *here)
        assert (wrong.code, wrong.err.count("\n")) == (1, 1)
        assert said in wrong.err

    done = vp("promote", "--override", "canary_retrieval", "--reason", "nowhere.md comes tomorrow", *here)
    assert done.code == 0, done
    assert "production serves v1." in done.out
    assert "It was let past canary retrieval (failed: 0/1 canary queries passed" in done.out
    shown = vp("status", *here)
    assert "let past" in shown.out
    assert "nowhere.md comes tomorrow" in shown.out
    (after,) = vp("status", "--json", *here).json[0]["overrides"]
    assert (after["gate"], after["status"], after["reason"]) == (
        "canary retrieval",
        "failed",
        "nowhere.md comes tomorrow",
    )
    told = vp("history", *here).out
    assert "promote past canary retrieval" in told
    assert "let past canary retrieval (failed" in vp("history", "--version", 1, *here).out
    event = next(one for one in vp("history", "--json", *here).json if one["kind"] == "promote")
    assert event["overrides"] == [after]
    assert vp("history", "--version", 1, "--json", *here).json["deployments"][0]["overrides"] == [after]
