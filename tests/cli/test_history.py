"""``history``: what changed, which model made it, can yesterday be restored, did somebody touch the index."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

from tests.cli.conftest import RunCommand
from tests.conftest import page, write_project
from vector_pipeline.cli.past import parse_when
from vector_pipeline.project import Project
from vector_pipeline.release.registry import PushStatus, VerdictStatus


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a project with two versions promoted, and back to the first."""
    config = write_project(tmp_path_factory.mktemp("made"), 4)
    with Project.load(config) as project:
        project.build("handbook", message="first")
        project.push("handbook", by="ann")
        project.verify("handbook")
        project.promote("handbook", by="ann", reason="it is good")
        (config.parent / "documents/page0.md").unlink()
        (config.parent / "documents/page9.md").write_text(page(9), encoding="utf-8")
        project.build("handbook", message="second")
        project.push("handbook", by="bob")
        project.verify("handbook")
        project.promote("handbook", by="bob", reason="newer")
        project.rollback("handbook", by="ann", reason="worse")
    return config.parent


@pytest.fixture
def told(made: Path, tmp_path: Path) -> Iterator[tuple[Path, Project]]:
    """A copy of it, to do anything with."""
    folder = Path(shutil.copytree(made, tmp_path / "told"))
    with Project.load(folder / "vector_pipeline.yaml") as project:
        yield folder / "vector_pipeline.yaml", project


def _note(project: Project) -> None:
    """What our last write to the line of production left there."""
    alias = project.registry().alias("handbook", project.environment, "production")
    assert alias is not None
    one = alias.deployment
    state = project.target_named(one.target, read_only=True).describe(one.namespace)
    assert state is not None
    project.registry().record_namespace(
        one.environment, one.target, one.namespace, dataset="handbook", mark=state.mark, records=state.records
    )


def test_the_timeline_says_what_every_move_changed(vp: RunCommand, told: tuple[Path, Project]) -> None:
    config, _ = told
    shown = vp("history", "--project", config)
    assert shown.code == 0
    assert "documents +1 -1" in shown.out
    assert "worse" in shown.out
    moves = vp("history", "--json", "--project", config).json
    assert [(move["kind"], move["alias"], move["from"], move["to"], move["by"]) for move in moves] == [
        ("rollback", "production", 2, 1, "ann"),
        ("promote", "production", 1, 2, "bob"),
        ("push", "staging", 1, 2, "bob"),
        ("promote", "production", None, 1, "ann"),
        ("push", "staging", None, 1, "ann"),
    ]
    forth, back = moves[1]["changes"], moves[0]["changes"]
    assert forth["documents"] == {"added": 1, "changed": 0, "removed": 1, "unchanged": 3, "moved": 0}
    assert forth["examples"]["added"] == back["examples"]["removed"] == ["page9.md"]
    assert (back["records"]["added"], back["from"]) == (forth["records"]["removed"], 2)
    assert moves[-1]["changes"] is None


def test_audits_and_maintenance_stand_among_the_moves(vp: RunCommand, told: tuple[Path, Project]) -> None:
    config, project = told
    registry = project.registry()
    alias = registry.alias("handbook", project.environment, "production")
    assert alias is not None
    registry.record_audit(
        dataset="handbook", environment=project.environment, alias="production", deployment_id=alias.deployment.id,
        level="ids", drifted=True, counts={"expected": 9, "found": 8, "missing": 1}, detail={}, by="night",
    )  # fmt: skip
    push = registry.open_push(alias.deployment.id, {"strategy": "repair", "cost": {"records": 7}, "by": "carl"}, 99)
    registry.close_push(push, PushStatus.DONE)
    registry.open_push(alias.deployment.id, {"goal": "staging"}, 100)
    before = vp("history", "--limit", 1, "--project", config).out
    assert "push not ended" in before
    registry.record_erasure(
        dataset="handbook", document_key="ab" * 12, by="dan", reason="asked", report={"state": "done", "gone": True}
    )
    erase = vp("history", "--limit", 1, "--json", "--project", config).json[0]
    assert (erase["kind"], erase["erasure"]["document_key"], erase["reason"]) == ("erase", "ab" * 12, "asked")
    shown = vp("history", "--limit", 4, "--project", config).out
    assert "document abababababab left every version" in shown
    assert "DRIFT: 1 missing" in shown
    assert "push not ended" in shown
    assert "The newest 4 are shown" in shown
    _, unended, repair, audit = vp("history", "--limit", 4, "--json", "--project", config).json
    assert (unended["kind"], unended["push"]["status"]) == ("push", "open")
    assert (repair["kind"], repair["to"], repair["by"], repair["push"]["status"]) == ("repair", 1, "carl", "done")
    assert repair["push"]["records"] == 7
    assert (audit["kind"], audit["alias"], audit["audit"]["level"], audit["audit"]["drifted"]) == (
        "audit", "production", "ids", True,
    )  # fmt: skip
    assert audit["audit"]["counts"]["missing"] == 1


def test_one_version_tells_its_model_its_places_and_the_way_back(vp: RunCommand, told: tuple[Path, Project]) -> None:
    config, project = told
    _note(project)
    first = vp("history", "--version", "v1", "--json", "--project", config).json
    second = vp("history", "--version", 2, "--json", "--project", config).json
    assert "seed" in second["model"]
    assert (second["dimension"], second["metric"], second["parent"], second["message"]) == (128, "cosine", 1, "second")
    assert second["chunker"]["max_tokens"] == 60
    assert second["changes"]["documents"]["added"] == 1
    (placed,) = second["deployments"]
    assert (placed["status"], placed["aliases"]) == ("pushed", ["staging"])
    assert {gate["status"] for gate in placed["gates"]} <= {"passed", "warned"}
    assert len(placed["served"]) == 1
    assert placed["served"][0]["until"] is not None
    assert placed["index"]["state"] == "untouched"
    assert first["restore"] == {"how": "serving", "why": "production serves it", "commands": []}
    assert (second["restore"]["how"], second["restore"]["commands"]) == (
        "rollback", [f"vector-pipeline rollback --to 2 --project {config}"],
    )  # fmt: skip
    shown = vp("history", "--version", 2, "--project", config).out
    for part in (
        "seed",
        "128 dimensions",
        "max_tokens 60",
        "in production",
        "untouched since",
        f"--to 2 --project {config}",
    ):
        assert part in shown, part


def test_a_hand_in_the_index_is_seen_by_the_mark(vp: RunCommand, told: tuple[Path, Project]) -> None:
    config, project = told

    def state() -> str:
        (placed,) = vp("history", "--version", 1, "--json", "--project", config).json["deployments"]
        return str(placed["index"]["state"])

    _note(project)
    alias = project.registry().alias("handbook", project.environment, "production")
    assert alias is not None
    namespace = alias.deployment.namespace
    target = project.target_named(alias.deployment.target)
    identifier = next(iter(target.scan(namespace)))["id"][0].as_py()
    assert state() == "untouched"
    target.delete(namespace, [identifier], fence=10**6)
    assert state() == "touched"
    shown = vp("history", "--version", 1, "--project", config).out
    assert "SOMETHING ELSE WROTE TO IT" in shown
    assert "Next: vector-pipeline drift" in shown
    push = project.registry().open_push(alias.deployment.id, {}, 10**6 + 1)
    assert state() == "touched", "it has written nothing yet"
    project.registry().intent(push, "upsert", {})
    assert state() == "unfinished"
    project.registry().forget_namespace(project.environment, alias.deployment.target, namespace)
    assert state() == "unknown"


def test_the_way_back_when_the_index_or_the_lake_has_it_no_more(vp: RunCommand, told: tuple[Path, Project]) -> None:
    config, project = told

    def way() -> tuple[str, list[str]]:
        found = vp("history", "--version", 2, "--json", "--project", config).json["restore"]
        return found["how"], [one.split(" --project")[0] for one in found["commands"]]

    registry = project.registry()
    staging = registry.alias("handbook", project.environment, "staging")
    production = registry.alias("handbook", project.environment, "production")
    assert staging is not None
    assert production is not None
    registry.move_alias(
        "handbook",
        project.environment,
        "staging",
        to=production.deployment.id,
        expected=staging.deployment.id,
        by="",
        reason="",
    )
    registry.retire_deployments([staging.deployment.id], grace_s=0)
    assert way() == ("push", ["vector-pipeline push --version 2", "vector-pipeline promote --version 2"])
    registry.mark_expired("handbook", [2])
    assert way() == ("gone", [])
    assert "gone: it expired on" in vp("history", "--version", 2, "--project", config).out
    # What changed is not known any more, and the rest of the timeline stands.
    assert {move["changes"] for move in vp("history", "--json", "--project", config).json} == {None}


def test_what_was_never_in_production_is_verified_and_promoted(vp: RunCommand, released: Path) -> None:
    found = vp("history", "--version", 2, "--json", "--project", released).json["restore"]
    assert found["how"] == "promote"
    assert [one.split(" --project")[0] for one in found["commands"]] == [
        "vector-pipeline verify --version 2",
        "vector-pipeline promote --version 2",
    ]


def test_the_way_back_says_what_a_gate_will_stop(vp: RunCommand, fresh_released: Project) -> None:
    project = fresh_released
    (project.base / "documents/page9.md").write_text(page(9))
    project.build("handbook")
    staged = project.push("handbook").deployment
    project.registry().record_verdict(staged.id, "coverage", VerdictStatus.FAILED, digest=staged.digest or "")
    found = vp("history", "--version", 2, "--json", "--project", project.base).json["restore"]
    assert found["why"].endswith("it was never in production, and failed coverage: its gates are asked again")


def test_what_production_served_then(vp: RunCommand, told: tuple[Path, Project]) -> None:
    config, project = told
    today = vp("history", "--at", "today", "--json", "--project", config).json
    assert [one["version"] for one in today["served"]] == [1, 2, 1]
    assert [one["until"] is None for one in today["served"]] == [True, False, False]
    assert today["served"][1]["restore"]["how"] == "rollback"
    moves = {(move.kind, move.to_version): move.at for move in project.history("handbook") if move.name == "production"}
    moment = moves["promote", 2].isoformat()
    (then,) = vp("history", "--at", moment, "--json", "--project", config).json["served"]
    assert then["version"] == 2
    before = (moves["promote", 1] - timedelta(days=2)).date().isoformat()
    assert vp("history", "--at", before, "--json", "--project", config).json["served"] == []
    assert "served nothing" in vp("history", "--at", before, "--project", config).out
    shown = vp("history", "--at", "today", "--project", config).out
    assert "nothing to do: production serves it" in shown


def test_times_are_days_or_moments_in_utc() -> None:
    now = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
    day = timedelta(days=1)
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    assert parse_when("today", now) == (midnight, midnight + day)
    assert parse_when("Yesterday", now) == (midnight - day, midnight)
    assert parse_when("2026-11-20", now) == (midnight - day, midnight)
    assert parse_when("2026-11-21T09:30", now) == (midnight.replace(hour=9, minute=30),) * 2
    assert parse_when("2026-11-21T09:30+02:00", now) == (midnight.replace(hour=7, minute=30),) * 2
    assert parse_when("now", now) == (now, now)
    for wrong in ("last week", "", "2026-13-01", "2026-11-22", "2026-11-21T10:01", "0001-01-01T00:00+14:00"):
        with pytest.raises(typer.BadParameter):
            parse_when(wrong, now)


def test_wrong_questions_are_one_line(vp: RunCommand, released: Path) -> None:
    for words, code in (
        (("--version", 1, "--at", "today"), 2),
        (("--at", "soon"), 2),
        (("--version", 99), 1),
        (("--limit", 0), 2),
    ):
        ran = vp("history", *words, "--project", released)
        assert (ran.code, len(ran.err.splitlines())) == (code, 1), ran
