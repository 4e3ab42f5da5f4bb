"""Verbs that look: what they print, and what --json promises."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import RunCommand


def test_versions(vp: RunCommand, released: Path) -> None:
    shown = vp("versions", "--project", released)
    assert shown.code == 0
    assert "v1" in shown.out
    assert "production" in shown.out
    assert "second" in shown.out
    assert shown.out.rstrip().splitlines()[-1] == f"Next: vector-pipeline plan --project {released}"
    found = vp("versions", "handbook", "--json", "--project", released).json
    assert [one["version"] for one in found] == [1, 2]
    assert found[1]["parent"] == 1
    assert set(found[0]) == {
        "dataset", "version", "parent", "made_at", "documents", "records", "space", "fingerprint", "dimension", "metric",
        "digest", "lake_snapshot", "run_id", "code_revision", "message", "pinned", "expired_at",
    }  # fmt: skip


def test_diff(vp: RunCommand, released: Path) -> None:
    shown = vp("diff", "1", "v2", "--project", released.parent)
    assert shown.code == 0
    assert "+ 1 added" in shown.out
    assert "~ 1 changed" in shown.out
    assert "- 1 removed" in shown.out
    assert "+ page9.md" in shown.out
    assert "~ page0.md" in shown.out
    assert "- page1.md" in shown.out
    found = vp("diff", "handbook", 1, 2, "--json", "--project", released).json
    assert found["documents"] == {"added": 1, "changed": 1, "removed": 1, "unchanged": 4, "moved": 0}
    assert (found["from"], found["to"]) == (1, 2)
    same = vp("diff", "2", "2", "--project", released)
    assert "No difference between v2 and v2." in same.out


def test_plan_of_what_the_target_holds(vp: RunCommand, released: Path) -> None:
    shown = vp("plan", "--detailed-exitcode", "--project", released)
    assert shown.code == 0
    assert "No changes. The target holds version 2." in shown.out
    found = vp("plan", "--json", "--project", released).json
    assert found["stages"] == []
    assert found["version"] == 2
    assert found["format"] == 2


def test_plan_of_a_change_is_saved_and_tells_by_its_exit_code(vp: RunCommand, fresh: Path, tmp_path: Path) -> None:
    saved = tmp_path / "plan.json"
    shown = vp("plan", "--out", saved, "--detailed-exitcode", "--project", fresh)
    assert shown.code == 2
    assert "+ 6 added" in shown.out
    assert "Strategy   blue-green: nothing of this space was pushed here before" in shown.out
    assert "1. make or check the namespace" in shown.out
    assert "3. move staging" in shown.out
    assert f"Next: vector-pipeline push --plan {saved}" in shown.out
    assert json.loads(saved.read_text())["actions"]["add"] > 0
    assert vp("plan", "--project", fresh).code == 0
    assert vp("plan", "--out", tmp_path / "no/such/folder.json", "--project", fresh).code == 1


def test_a_plan_that_a_guard_would_refuse_does_not_lead_to_a_push(vp: RunCommand, fresh: Path) -> None:
    text = fresh.read_text(encoding="utf-8")
    fresh.write_text(text.replace("gates: {", "gates: {max_vectors: 1, "), encoding="utf-8")
    shown = vp("plan", "--project", fresh)
    assert shown.code == 0
    assert "more than gates.max_vectors allows (1)" in shown.out
    assert "A push would refuse this plan. Look at the plan; if that is meant, push with --over-budget." in shown.out
    assert "Next:" not in shown.out


def test_status(vp: RunCommand, released: Path) -> None:
    shown = vp("status", "--project", released)
    assert "production  v1" in shown.out
    assert "staging     v2" in shown.out
    assert "canary retrieval" in shown.out
    assert "Next: vector-pipeline promote" in shown.out
    (found,) = vp("status", "--json", "--project", released).json
    assert found["production"]["version"] == 1
    assert found["staging"]["version"] == 2
    assert found["newest"]["version"] == 2
    assert {gate["status"] for gate in found["gates"]} == {"passed"}
    assert set(found["index"]) == {"address", "records", "bytes", "mark"}


def test_status_before_anything_was_built(vp: RunCommand, unbuilt: Path) -> None:
    shown = vp("status", "--project", unbuilt)
    assert shown.code == 0
    assert "nothing was built yet" in shown.out
    (found,) = vp("status", "--json", "--project", unbuilt).json
    assert found["newest"] is None
    assert found["gates"] == []
    assert not (unbuilt.parent / ".vector_pipeline").exists(), "looking makes nothing"


def test_history(vp: RunCommand, released: Path) -> None:
    shown = vp("history", "--project", released)
    assert "it is good" in shown.out
    assert "promote" in shown.out
    moves = vp("history", "--json", "--project", released).json
    assert [(move["alias"], move["to"]) for move in moves] == [("staging", 2), ("production", 1), ("staging", 1)]
    assert len(vp("history", "--limit", 1, "--json", "--project", released).json) == 1


def test_documents(vp: RunCommand, released: Path) -> None:
    now = [one["document"] for one in vp("documents", "--json", "--project", released).json]
    then = [one["document"] for one in vp("documents", "--version", "v1", "--json", "--project", released).json]
    assert "page9.md" in now
    assert "page1.md" not in now
    assert "page1.md" in then
    assert "page9.md" not in then
    assert "The first 2 are shown" in vp("documents", "--limit", 2, "--project", released).out
    (item,) = vp("documents", "--quarantined", "--json", "--project", released).json
    assert (item["document"], item["reason"]) == ("empty.md", "empty")
    assert "empty.md" in vp("documents", "--quarantined", "--project", released).out


def test_query(vp: RunCommand, released: Path) -> None:
    shown = vp("query", "Paragraph 2 of page 3 speaks of item3x2", "-k", 1, "--project", released)
    assert shown.code == 0
    assert "page3.md  v1" in shown.out
    hits = vp("query", "handbook", "item9x1", "--alias", "staging", "--json", "--project", released).json
    assert hits[0]["version"] == 2
    assert set(hits[0]) == {"document", "score", "text", "metadata", "version", "id"}
    assert len(vp("query", "page", "-k", 3, "--json", "--project", released).json) == 3
    none = vp("query", "page", "--filter", '{"title": "no such title"}', "--project", released)
    assert none.code == 0
    assert "No hit." in none.out


def test_check(vp: RunCommand, released: Path) -> None:
    shown = vp("check", "--project", released)
    assert shown.code == 0
    assert all(line.startswith(("✓", "Next:")) for line in shown.out.splitlines())
    found = vp("check", "--json", "--project", released).json
    assert all(set(one) == {"name", "ok", "detail"} and one["ok"] for one in found)


def test_check_names_everything_that_is_missing(vp: RunCommand, unbuilt: Path) -> None:
    text = (
        unbuilt.read_text()
        .replace("root: documents", "root: nowhere")
        .replace("gates: {", "gates: {canaries: no.yaml, ")
    )
    unbuilt.write_text(text)
    shown = vp("check", "--project", unbuilt)
    assert shown.code == 1
    bad = [line for line in shown.out.splitlines() if line.startswith("✗")]
    assert len(bad) == 2
    assert "nowhere" in bad[0]
    assert "no.yaml" in bad[1]
    assert "2 of" in shown.out


@pytest.mark.slow
def test_expire_and_collect_do_nothing_by_themselves(vp: RunCommand, fresh: Path) -> None:
    assert vp("expire", "--json", "--project", fresh).json["snapshots"] == [], "all of them are young"
    now = ("--grace", 0)
    first = vp("expire", *now, "--json", "--project", fresh).json
    assert first["dry_run"]
    assert first["snapshots"]
    assert vp("expire", *now, "--json", "--project", fresh).json == first
    assert "Would forget" in vp("expire", *now, "--project", fresh).out
    assert "Forgot" in vp("expire", *now, "--yes", "--project", fresh).out
    assert vp("expire", *now, "--json", "--project", fresh).json["snapshots"] == []
    assert vp("collect", "--yes", "--json", "--project", fresh).json["dry_run"] is False
    assert vp("plan", "--json", "--project", fresh).json["version"] == 1, "the version is still whole"
