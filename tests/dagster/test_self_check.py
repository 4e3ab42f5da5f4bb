"""Production checks itself after a promotion, and moves back by itself."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from tests.dagster.conftest import edit, make_config
from tests.support.gates import FEW, verify_index
from vector_pipeline.definitions import run_job
from vector_pipeline.errors import ConflictError, CorruptError, RefusedError
from vector_pipeline.project import Project
from vector_pipeline.release.registry import Alias
from vector_pipeline.resources.project import open_project

PRODUCTION = "handbook/production_index"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with canaries, whose staging holds version 1, verified."""
    with Project.load(make_config(tmp_path / "project", gates=FEW)) as made:
        ready(made)
        yield made


def ready(project: Project) -> int:
    """The newest version on staging, verified."""
    version = project.build("handbook").version.number
    project.push("handbook")
    verify_index(project)
    assert not any(result.blocks for result in project.status("handbook").said)
    return version


def promoted(project: Project) -> Alias:
    """Production on what staging holds."""
    alias, moved = project.promote("handbook", by="me")
    assert moved
    return alias


def lose(project: Project) -> None:
    """The target loses its newest records behind everybody's back: its own mark does not tell."""
    files = sorted(Path(project.base).rglob("seg-*.duckdb"), key=lambda path: path.stat().st_mtime_ns)
    files[-1].unlink()
    project.close()  # Whoever has it open goes on reading it.


def test_what_is_right_stays(project: Project) -> None:
    checked = project.settle(promoted(project), by="me")
    assert (checked.error, checked.back) == (None, None)
    assert {result.name: result.status for result in checked.results} == {
        "coverage": "passed",
        "canary retrieval": "passed",
    }


def test_what_fails_goes_back_and_is_not_promoted_again(project: Project) -> None:
    promoted(project)
    edit(project.base / "vector_pipeline.yaml", 3)
    assert ready(project) == 2
    alias = promoted(project)
    lose(project)
    checked = project.settle(alias, by="me", run_id="a-run")
    assert checked.back is not None
    assert checked.back.deployment.version == 1
    assert isinstance(checked.error, CorruptError)
    assert checked.error.code == "self-check"
    assert "moved back by itself to version 1: version 2 failed its own check" in str(checked.error)
    move = project.history("handbook")[0]
    assert (move.kind, move.from_version, move.to_version, move.by, move.run_id) == ("self-check", 2, 1, "me", "a-run")
    assert move.reason.startswith("self-check failed: canary retrieval")
    assert project.status("handbook").rolled_back_from == 2
    with pytest.raises(RefusedError, match="canary retrieval"):
        project.promote("handbook", by="me")


def test_a_first_promotion_that_fails_stays_and_says_so(project: Project) -> None:
    alias = promoted(project)
    lose(project)
    checked = project.settle(alias, by="me")
    assert checked.back is None
    assert "There is nothing to go back to, so it stays" in str(checked.error)
    assert served(project) == 1


def test_who_was_faster_is_left_alone(project: Project) -> None:
    promoted(project)
    edit(project.base / "vector_pipeline.yaml", 3)
    ready(project)
    alias = promoted(project)
    project.rollback("handbook", by="somebody else")
    project.promote("handbook", by="somebody else")
    lose(project)
    with pytest.raises(ConflictError):
        project.settle(alias, by="me")
    assert served(project) == 2


def served(project: Project) -> int:
    """Version that production serves."""
    alias = project.status("handbook").production
    assert alias is not None
    return alias.deployment.version


@pytest.mark.slow
@pytest.mark.parametrize("back", [True, False])
def test_the_asset_fails_with_one_line_and_keeps_what_it_did(
    instance: dg.DagsterInstance, tmp_path: Path, back: bool
) -> None:
    config = make_config(tmp_path / "project", gates=FEW)
    config.write_text(
        config.read_text().replace("policy: manual", f"policy: manual, rollback_on_failure: {str(back).lower()}")
    )
    project = open_project(config)
    ready(project)
    promoted(project)
    edit(config, 3)
    ready(project)
    lose(project)
    outcome = run_job(config, "handbook", "promote", instance=instance, config={"by": "me", "reason": "why not"})
    assert not outcome.success
    assert outcome.errors, outcome.messages
    (error,) = outcome.errors
    assert error.code == "self-check"
    assert outcome.messages == [str(error)]
    assert served(open_project(config)) == (1 if back else 2)
    assert instance.get_latest_materialization_event(dg.AssetKey(PRODUCTION.split("/"))) is None
    (seen,) = instance.fetch_observations(dg.AssetKey(PRODUCTION.split("/")), limit=5).records
    assert seen.asset_observation is not None
    metadata = {name: value.value for name, value in seen.asset_observation.metadata.items()}
    assert metadata["self_check_passed"] is False
    assert (metadata["promoted"], metadata["version"]) == (2, 1 if back else 2)
    assert ("moved back by itself to version 1" if back else "stays there") in str(metadata["outcome"])
