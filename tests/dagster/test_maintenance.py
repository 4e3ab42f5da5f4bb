"""Verbs that tend an index, and the audit of what production serves: as runs."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from tests.dagster.conftest import make_config, opened
from tests.drift.conftest import Hand
from tests.support.gates import FEW, verify_index
from vector_pipeline.assets.loading import project_definitions
from vector_pipeline.assets.maintenance import settings_of
from vector_pipeline.assets.names import MAINTENANCE_VERBS
from vector_pipeline.definitions import RunOutcome, run_job
from vector_pipeline.errors import InputError
from vector_pipeline.resources.project import open_project

CHECK = "handbook/production_index:drift"


class Ready:
    """A project whose first version is in production, made without Dagster."""

    def __init__(self, config: Path, instance: dg.DagsterInstance) -> None:
        self.config, self.instance = config, instance
        project = open_project(config)
        project.build("handbook")
        project.push("handbook")
        verify_index(project)

    def run(self, verb: str, /, **settings: object) -> RunOutcome:
        return run_job(self.config, "handbook", verb, config=settings, instance=self.instance)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    """Shared by the tests of this file, in their order."""
    folder = tmp_path_factory.mktemp("ready")
    with opened(folder / "dagster") as instance:
        yield Ready(make_config(folder / "project", gates=FEW), instance)


def test_an_audit_has_a_history_and_stops_nothing(ready: Ready) -> None:
    nothing = ready.run("audit")
    assert nothing.success
    assert nothing.values["audit"] == {"drifted": False, "reports": []}
    assert (nothing.values[CHECK]["passed"], nothing.values[CHECK]["summary"]) == (True, "nothing is in production yet")

    project = open_project(ready.config)
    project.promote("handbook", by="me")
    clean = ready.run("audit")
    assert clean.success
    records = project.version("handbook").records
    check = clean.values[CHECK]
    assert (check["passed"], check["expected"], check["found"], check["level"]) == (True, records, records, "ids")

    deployment = project.deployment_of(project.version("handbook"))
    hand = Hand(project, project.target("handbook"), deployment.namespace)
    hand.delete(*[row["id"] for row in hand.rows()[:3]])
    dirty = ready.run("audit", level="full", by="somebody")
    assert dirty.success
    check = dirty.values[CHECK]
    assert (check["passed"], check["missing"], check["level"]) == (False, 3, "full")
    assert "page" in check["examples"]
    assert dirty.values["audit"]["drifted"] is True
    assert dirty.values["audit"]["reports"][0]["missing"] == 3

    audits = project.registry().audits("handbook")
    assert [(one.drifted, one.run_id) for one in audits] == [(True, dirty.run_id), (False, clean.run_id)]
    assert audits[0].by == "somebody"
    key = dg.AssetCheckKey(dg.AssetKey(["handbook", "production_index"]), "drift")
    history = ready.instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
    assert len(history) == 3
    evaluation = history[0].event.asset_check_evaluation if history[0].event else None
    assert evaluation is not None
    assert (evaluation.severity, evaluation.blocking) == (dg.AssetCheckSeverity.ERROR, False)


@pytest.mark.slow
def test_a_repair_is_a_run_that_reports_what_it_did(ready: Ready) -> None:
    project = open_project(ready.config)
    if project.registry().alias("handbook", "dev", "production") is None:
        project.promote("handbook", by="me")
    hand = Hand(project, project.target("handbook"), project.deployment_of(project.version("handbook")).namespace)
    hand.delete(*[row["id"] for row in hand.rows()[:3]])
    missing = ready.run("audit", level="full").values[CHECK]["missing"]
    assert missing >= 3
    outcome = ready.run("repair", by="me")
    assert (outcome.success, outcome.messages) == (True, [])
    assert outcome.values["repair"]["upserted"] == missing
    assert outcome.values["repair"]["drifted"] is False
    assert ready.run("audit").values[CHECK]["passed"] is True
    assert ready.run("repair").values["repair"]["writes"] == 0


@pytest.mark.parametrize("verb", ["expire", "collect"])
def test_retention_deletes_nothing_unless_it_is_said(ready: Ready, verb: str) -> None:
    outcome = ready.run(verb)
    assert (outcome.success, outcome.messages) == (True, [])
    assert outcome.values[verb]["dry_run"] is True
    assert ready.run(verb, dry_run=False).values[verb]["dry_run"] is False


def test_a_setting_that_a_verb_does_not_have_is_one_line(ready: Ready) -> None:
    outcome = ready.run("repair", levle="ids")
    (error,) = outcome.errors
    assert isinstance(error, InputError)
    assert "repair has no setting 'levle'" in str(error)
    assert outcome.messages == [str(error)]
    (error,) = ready.run("adopt").errors
    assert "adopt needs the setting 'namespace'" in str(error)


@pytest.mark.slow
def test_an_erasure_is_a_run(ready: Ready) -> None:
    outcome = ready.run("erase", document="page4.md", reason="asked to")
    assert (outcome.success, outcome.messages) == (True, [])
    assert outcome.values["erase"]["document"] == "page4.md"
    assert "page4.md" not in {row["document"] for row in open_project(ready.config).documents("handbook")}


def test_every_verb_has_settings_that_its_job_names(ready: Ready) -> None:
    definitions = project_definitions(ready.config)
    for verb in MAINTENANCE_VERBS:
        job = definitions.resolve_job_def(f"handbook__{verb}")
        assert all(name in (job.description or "") for name in settings_of(verb))
        assert job.tags["vector_pipeline/dataset"] == "handbook"


def test_the_audit_has_a_schedule_of_its_own(tmp_path: Path) -> None:
    config = make_config(tmp_path / "project", gates=FEW)
    config.write_text(config.read_text() + "    automation: {schedules: {audit: '5 4 * * *'}}\n")
    definitions = project_definitions(config)
    schedule = definitions.resolve_schedule_def("handbook__audits")
    assert (schedule.cron_schedule, schedule.job_name) == ("5 4 * * *", "handbook__audit")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    layer = definitions.resolve_job_def("handbook__audit").asset_layer
    assert [key.name for key in layer.asset_graph.asset_check_keys] == ["drift"]
    assert not layer.selected_asset_keys
