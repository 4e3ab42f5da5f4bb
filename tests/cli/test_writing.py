"""Verbs that write: each is a Dagster run that the instance remembers."""

from pathlib import Path

import pytest

from tests.cli.conftest import CANARIES, RunCommand
from tests.conftest import page
from vector_pipeline.project import Project


@pytest.fixture
def judged(unbuilt: Path) -> Path:
    """A project whose canaries can fail."""
    unbuilt.write_text(unbuilt.read_text().replace("gates: {", "gates: {canaries: canaries.yaml, "))
    (unbuilt.parent / "canaries.yaml").write_text(CANARIES)
    return unbuilt


def test_from_nothing_to_a_rollback(vp: RunCommand, judged: Path, tmp_path: Path) -> None:
    here = ("--project", judged)
    built = vp("build", "-m", "first", *here)
    assert built.code == 0, built
    assert "Made v1: 6 documents" in built.out
    assert "Next: vector-pipeline plan" in built.out
    again = vp("build", *here)
    assert again.code == 0
    assert "Nothing changed. v1 is the newest version." in again.out

    assert "in production yet. vector-pipeline --project" in vp("query", "what is new", *here).err
    assert vp("query", "what is new", *here).err.rstrip().endswith("push handbook")
    assert vp("plan", "--out", tmp_path / "plan.json", *here).code == 0
    pushed = vp("push", "--plan", tmp_path / "plan.json", *here)
    assert pushed.code == 0, pushed
    assert "v1 is on staging." in pushed.out
    assert "canary retrieval" in pushed.out
    shown = [line for line in pushed.out.splitlines() if line.startswith("✓")]
    assert shown == [line for line in vp("status", *here).out.splitlines() if line.startswith("✓")], "in one order"
    assert vp("query", "what is new", *here).err.rstrip().endswith("promote handbook")
    promoted = vp("promote", "--reason", "good", *here)
    assert promoted.code == 0
    assert "production serves v1." in promoted.out
    assert "already: nothing moved" in vp("promote", *here).out

    documents = judged.parent / "documents"
    (documents / "page0.md").write_text(page(0) + "\n\nOne more paragraph.\n")
    assert "Made v2" in vp("build", *here).out
    stale = vp("push", "--plan", tmp_path / "plan.json", *here)
    assert stale.code == 1
    assert stale.err.startswith("Error: ")
    assert vp("push", *here).code == 0
    assert "production serves v2; before: v1." in vp("promote", *here).out
    verified = vp("verify", *here)
    assert verified.code == 0
    assert "Gates of v2:" in verified.out
    assert "Next: vector-pipeline history" in verified.out, "production serves it already"

    before = vp("status", "--json", *here).json[0]["index"]
    back = vp("rollback", "--reason", "to try it", *here)
    assert back.code == 0
    assert "production serves v1; before: v2." in back.out
    assert vp("status", "--json", *here).json[0]["index"] == before
    moves = vp("history", "--json", *here).json
    assert moves[0]["kind"] == "rollback"
    assert moves[0]["reason"] == "to try it"
    assert "@" in moves[0]["by"]
    assert all(move["run_id"] for move in moves), "every move is a run's"
    none = vp("rollback", *here)
    assert none.code == 1
    assert "no earlier version" in none.err
    assert "v2 was rolled back from; to serve it again all the same: vector-pipeline" in none.err
    verified = vp("verify", *here)
    assert verified.code == 0
    assert "Next: vector-pipeline history" in verified.out, (
        "what was rolled back from is not promoted by the next command"
    )


@pytest.mark.slow
def test_a_gate_that_fails_stops_the_release(vp: RunCommand, judged: Path) -> None:
    here = ("--project", judged)
    assert vp("build", *here).code == 0
    assert vp("push", *here).code == 0
    assert vp("promote", *here).code == 0
    (judged.parent / "documents/page3.md").write_text("# Gone\n\nThis page has moved.\n")
    assert vp("build", *here).code == 0
    pushed = vp("push", *here)
    assert pushed.code == 1
    assert "canary retrieval" in pushed.out
    assert "failed" in pushed.out
    assert "must find page3.md; found" in pushed.out
    failed = "Error: v2 did not pass: canary retrieval."
    assert pushed.err.splitlines() == [f"{failed} It is on staging. Production is unchanged"]
    assert vp("verify", *here).err.splitlines() == [f"{failed} Production is unchanged"]
    refused = vp("promote", *here)
    assert refused.code == 1
    assert "has not passed: canary retrieval" in refused.err
    assert refused.err.count("\n") == 1
    (found,) = vp("status", "--json", *here).json
    assert found["production"]["version"] == 1
    assert found["staging"]["version"] == 2
    (judged.parent / "canaries.yaml").write_text('canaries: [{query: "Anything", expect: [gone.md], k: 1}]\n')
    live = vp("verify", "--version", 1, *here)
    assert (live.code, live.err) == (1, "Error: v1 did not pass: canary retrieval. Production serves it\n")


def test_a_source_that_suddenly_lists_nothing_is_an_error(vp: RunCommand, fresh: Path) -> None:
    for file in (fresh.parent / "documents").iterdir():
        file.unlink()
    ran = vp("build", "--project", fresh)
    assert ran.code == 1
    assert ran.err.startswith("Error: ")
    assert ran.err.count("\n") == 1
    with Project.load(fresh) as project:
        assert len(project.documents("handbook")) == 6


@pytest.mark.slow
def test_a_plan_for_production_goes_all_the_way(vp: RunCommand, unbuilt: Path, tmp_path: Path) -> None:
    here, saved = ("--project", unbuilt), tmp_path / "plan.json"
    assert vp("build", *here).code == 0
    shown = vp("plan", "--to", "production", "--strategy", "blue-green", "--out", saved, *here)
    assert shown.code == 0, shown
    assert "4. run the gates" in shown.out
    assert "5. move production" in shown.out
    assert "Note: to be checked first: documents expectations" in shown.out
    refused = vp("push", "--plan", saved, "--strategy", "versioned", *here)
    assert refused.code == 2
    pushed = vp("push", "--plan", saved, *here)
    assert pushed.code == 0, pushed
    assert "production serves v1." in pushed.out
    assert vp("plan", "--to", "production", "--detailed-exitcode", *here).code == 0
    again = vp("push", "--plan", saved, *here)
    assert again.code == 1
    assert again.err.startswith("Error: the plan is stale: ")
