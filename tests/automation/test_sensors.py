"""What starts runs by itself: sensors ask, runs do. Every tick here is Dagster's own, on a real instance and a real project."""

import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.tags import SENSOR_NAME_TAG

from tests.automation.conftest import Received
from tests.cli.conftest import RunCommand
from tests.dagster.conftest import Run, break_documents, edit, make_config
from tests.support.gates import FEW
from vector_pipeline.assets.automation import sensor_name
from vector_pipeline.assets.inbox import inbox_name
from vector_pipeline.assets.loading import project_definitions
from vector_pipeline.assets.names import job_name
from vector_pipeline.definitions import run_job
from vector_pipeline.resources import ProjectResource
from vector_pipeline.resources.project import open_project

Tick = Callable[..., Any]
STAGING = dg.AssetKey(["handbook", "tiny", "staging_index"])
PRODUCTION = dg.AssetKey(["handbook", "production_index"])


@pytest.fixture
def tick(instance: dg.DagsterInstance, config: Path) -> Tick:
    """Evaluate a sensor once."""

    def call(name: str, cursor: str | None = None) -> Any:
        definitions = project_definitions(config)
        context = dg.build_sensor_context(
            instance=instance, cursor=cursor, definitions=definitions,
            resources={"project": ProjectResource(config_path=str(config))},
        )  # fmt: skip
        return definitions.resolve_sensor_def(name)(context)

    return call


def enable(config: Path, *what: str, more: str = "") -> None:
    """Turn automation on."""
    settings = f"{{enabled: [{', '.join(what)}]{more}}}"
    config.write_text(config.read_text() + f"    automation: {settings}\n")


def alerts(config: Path, receiver: Received) -> None:
    """Tell a web server of what fails."""
    config.write_text(
        config.read_text()
        + f"environments: {{dev: {{dagster_url: 'http://dagster:3000/', alerts: [{{kind: webhook, url: '{receiver.url}'}}]}}}}\n"
    )


def test_everything_is_off_until_it_is_named(tmp_path: Path) -> None:
    config = make_config(tmp_path / "project", gates=FEW)
    definitions = project_definitions(config)
    assert definitions.get_repository_def().has_sensor_def("handbook__inbox") is False
    found = {one.name: one.default_status.value for one in definitions.sensors or ()}
    found |= {one.name: one.default_status.value for one in definitions.schedules or ()}
    assert set(found.values()) == {"STOPPED"}
    enable(config, "changes", "inbox", "staging", "expire", more=", every_s: 3, schedules: {expire: '1 2 * * *'}")
    definitions = project_definitions(config)
    on = {
        one.name
        for one in (*(definitions.sensors or ()), *(definitions.schedules or ()))
        if one.default_status.value == "RUNNING"
    }
    assert on == {"handbook__changes", "handbook__inbox", "handbook__staging", "handbook__expires"}
    schedule = definitions.resolve_schedule_def("handbook__expires")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("1 2 * * *", "UTC")
    request = schedule.evaluate_tick(dg.build_schedule_context()).run_requests[0]  # type: ignore[index]
    # What deletes says so.
    assert request.run_config == {"ops": {"expire__handbook": {"config": {"dry_run": False}}}}


def test_an_environment_turns_it_on(tmp_path: Path) -> None:
    config = make_config(tmp_path / "project", gates=FEW)
    config.write_text(config.read_text() + "environments: {dev: {}, live: {automation: {enabled: [audit]}}}\n")
    for environment, status in (("dev", "STOPPED"), ("live", "RUNNING")):
        schedule = project_definitions(config, environment=environment).resolve_schedule_def("handbook__audits")
        assert schedule.default_status.value == status


def test_a_tick_lists_and_opens_nothing(tick: Tick, config: Path) -> None:
    enable(config, "changes", "inbox")
    inbox = config.parent / "inbox" / "handbook"
    inbox.mkdir(parents=True)
    (inbox / "new.md").write_text("# New\n\nText.\n")
    before = sorted(config.parent.rglob("*"))
    begun = time.perf_counter()
    for name in ("handbook__changes", "handbook__inbox"):
        tick(name)
    sys.stdout.write(f"\ntwo ticks: {time.perf_counter() - begun:.3f} s\n")
    assert sorted(config.parent.rglob("*")) == before
    core = open_project(config)
    assert not any((core._lakes, core._registries, core._targets, core._spaces))


@pytest.mark.slow
def test_a_dropped_file_is_released_and_what_cannot_be_is_put_aside(
    tick: Tick, config: Path, instance: dg.DagsterInstance
) -> None:
    enable(config, "inbox", more=", inbox: drop, settle_s: 0")
    drop = config.parent / "drop"
    assert isinstance(tick(inbox_name("handbook")), dg.SkipReason)
    (drop / "teams").mkdir(parents=True)
    (drop / "teams" / "new.md").write_text("# New\n\nThe text of item99x1 that was dropped.\n")
    (drop / "broken.pdf").write_bytes(b"no pdf")
    (drop / "empty.md").write_text("")
    result = tick(inbox_name("handbook"))
    (request,) = result.run_requests
    assert request.tags["vector_pipeline/inbox"] == "3"
    # Asked for once: the same files are asked for again only when the run left them, after a while.
    again = tick(inbox_name("handbook"), result.cursor)
    assert isinstance(again, dg.SkipReason)
    assert "again in a while" in str(again.skip_message)
    later = json.loads(result.cursor) | {"due": 0}
    assert tick(inbox_name("handbook"), json.dumps(later)).run_requests
    job = project_definitions(config).resolve_job_def(job_name("handbook", "release"))
    done = job.execute_in_process(instance=instance, tags=request.tags, raise_on_error=False)
    project = open_project(config)
    assert [one["document"] for one in project.documents("handbook") if "teams" in one["document"]] == ["teams/new.md"]
    assert (config.parent / "documents" / "teams" / "new.md").is_file()
    aside = {one.name: one.read_text(errors="replace") for one in (drop / "_aside").iterdir()}
    assert set(aside) == {"broken.pdf", "broken.pdf.reason.txt", "empty.md", "empty.md.reason.txt"}
    assert aside["empty.md.reason.txt"] == "empty.md: the file is empty (empty)\n"
    assert "include" in aside["broken.pdf.reason.txt"]
    assert tick(inbox_name("handbook"), result.cursor).skip_reason.skip_message == "nothing waits"
    made = done.asset_materializations_for_node("handbook__raw_documents")
    whole = next(one for one in made if "listed" in one.metadata or "put_aside" in one.metadata)
    assert "put_aside" in whole.metadata


def test_a_name_that_comes_again_is_a_file_of_its_own(tick: Tick, config: Path) -> None:
    enable(config, "inbox", more=", inbox: drop, settle_s: 0")
    drop, cursor = config.parent / "drop", None
    drop.mkdir()
    for number in range(3):
        (drop / "prices.md").write_text(f"# Prices\n\nOf day {number}.\n")
        result = tick(inbox_name("handbook"), cursor)
        assert result.run_requests, number
        if number == 1:  # No tick sees that nothing waits: the next file is there before.
            cursor = result.cursor
            (drop / "prices.md").unlink()
            continue
        open_project(config).take_inbox("handbook")
        result = tick(inbox_name("handbook"), result.cursor)
        assert result.skip_reason.skip_message == "nothing waits"
        assert json.loads(result.cursor) == {}
        cursor = result.cursor
        assert isinstance(tick(inbox_name("handbook"), cursor), dg.SkipReason)


def test_a_name_that_is_no_utf8_stops_no_inbox(tick: Tick, config: Path) -> None:
    enable(config, "inbox", more=", inbox: drop, settle_s: 0")
    drop = config.parent / "drop"
    drop.mkdir()
    (drop / "good.md").write_text("# Good\n\nText.\n")
    Path(os.fsdecode(os.fsencode(drop) + b"/caf\xe9.md")).write_text("# Coffee\n\nText.\n")
    (request,) = tick(inbox_name("handbook")).run_requests
    assert request.tags["vector_pipeline/inbox"] == "2"
    took = open_project(config).take_inbox("handbook")
    assert took.moved == ("good.md",)
    assert [one.reason.value for one in took.aside] == ["bad-id"]


def test_a_run_without_the_seal_leaves_the_inbox_as_it_is(config: Path, instance: dg.DagsterInstance) -> None:
    enable(config, "inbox", more=", inbox: drop, settle_s: 0")
    config.write_text(config.read_text() + 'environments: {dev: {sealed: "${env:NO_SUCH_SEAL}"}}\n')
    dropped = config.parent / "drop" / "new.md"
    dropped.parent.mkdir()
    dropped.write_text("# New\n\nOf a laptop.\n")
    before = sorted(config.parent.rglob("*.md"))
    outcome = run_job(config, "handbook", "build", instance=instance)
    assert "NO_SUCH_SEAL is not set here" in str(outcome.errors[0])
    assert sorted(config.parent.rglob("*.md")) == before
    # Asked for before anything is looked at in there.
    assert sorted(one.name for one in dropped.parent.iterdir()) == ["new.md"]


@pytest.mark.slow
def test_a_command_takes_the_inbox_too(run: Run, config: Path) -> None:
    enable(config, "inbox", more=", inbox: drop, settle_s: 0")
    assert run("build").success
    (config.parent / "drop").mkdir()
    (config.parent / "drop" / "new.md").write_text("# New\n\nItem99x1.\n")
    assert run("build").success
    assert "new.md" in {one["document"] for one in open_project(config).documents("handbook")}


@pytest.mark.slow
def test_a_failed_gate_is_told_once_with_what_to_do(
    tick: Tick, run: Run, config: Path, instance: dg.DagsterInstance, receiver: Received, vp: RunCommand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    alerts(config, receiver)
    assert run("release").success
    first = tick("alerts")
    assert first.skip_reason.skip_message == "told from now on"
    break_documents(config)
    failed = run("release")
    assert not failed.success
    second = tick("alerts", first.cursor)
    ((_, _, body),) = receiver.requests
    assert (body["event"], body["dataset"], body["environment"]) == ("gate-failed", "handbook", "dev")
    assert body["run"] == {"id": failed.run_id, "url": f"http://dagster:3000/runs/{failed.run_id}"}
    assert "did not pass" in body["what"]
    assert body["next"].startswith("vector-pipeline report handbook 2")
    monkeypatch.chdir(config.parent)
    assert vp(*shlex.split(body["next"])[1:]).code == 0
    third = tick("alerts", second.cursor)
    cursor = tick("handbook__changes").cursor
    assert not run("release").success
    tick("alerts", third.cursor)
    assert len(receiver.requests) == 1
    # Gates that refused are not asked again by the sensor: the same content would be refused again.
    assert "gates refused the last release" in _changes_after_failure(tick, instance, cursor)


def _changes_after_failure(tick: Tick, instance: dg.DagsterInstance, cursor: str) -> str:
    """What the sensor says where its own run was the last one."""
    last = instance.get_runs(limit=1)[0]
    instance.add_run_tags(last.run_id, {SENSOR_NAME_TAG: sensor_name("handbook")})
    return str(tick("handbook__changes", cursor).skip_message)


@pytest.mark.slow
def test_a_failed_run_is_told_and_again_after_a_success(
    tick: Tick, run: Run, config: Path, receiver: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts(config, receiver)
    cursor = tick("alerts").cursor
    receiver.answers = [404]
    for attempt in range(3):
        assert not run("promote").success
        result = tick("alerts", cursor)
        cursor = result.cursor
        assert ("0 delivered" in result.skip_reason.skip_message) is (attempt == 0)
        if attempt == 1:
            assert run("build").success
    # The first was refused by the receiver, the second is the same failure, the third comes after a success.
    (_, (_, _, body)) = receiver.requests
    assert body["event"] == "run-failed"
    assert re.match(r"promote failed: .*nothing of handbook is on staging", body["what"])
    assert body["next"] == "vector-pipeline status handbook --env dev"


@pytest.mark.slow
def test_a_version_that_was_built_goes_to_staging_and_no_further(
    config: Path, run: Run, instance: dg.DagsterInstance
) -> None:
    conditions = _Conditions(instance, config)
    assert run("build").success
    assert conditions.look() == {STAGING}
    assert conditions.look() == set()
    edit(config, 3)
    assert run("build").success
    assert conditions.look() == {STAGING}
    assert conditions.look() == set()
    # A release brings its version there itself, and a build that changes nothing asks for nothing.
    edit(config, 4)
    assert run("release").success
    assert conditions.look() == set()
    assert run("build").success
    assert conditions.look() == set()


@pytest.mark.slow
def test_a_version_whose_run_failed_is_brought_to_staging_later(
    config: Path, run: Run, instance: dg.DagsterInstance
) -> None:
    conditions = _Conditions(instance, config)
    assert run("build").success
    assert conditions.look() == {STAGING}
    # The run that was asked for fails before anything is there.
    assert not run("push", version=99).success
    begun = datetime.now(UTC)
    assert conditions.look(begun + timedelta(seconds=1)) == set()
    assert conditions.look(begun + timedelta(minutes=11)) == {STAGING}
    assert conditions.look(begun + timedelta(minutes=11, seconds=5)) == set()
    assert conditions.look(begun + timedelta(minutes=22)) == {STAGING}
    assert run("push").success
    for minutes in (33, 44):
        assert conditions.look(begun + timedelta(minutes=minutes)) == set()


@pytest.mark.slow
def test_production_is_asked_for_together_with_staging_where_the_policy_says_so(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    config = make_config(tmp_path / "automatic", policy="automatic", gates=FEW)
    conditions = _Conditions(instance, config)
    assert run_job(config, "handbook", "build", instance=instance).success
    assert conditions.look() == {STAGING, PRODUCTION}
    # A gate that fails in a release leaves production alone, whatever is evaluated afterwards.
    break_documents(config)
    assert not run_job(config, "handbook", "release", instance=instance).success
    assert PRODUCTION not in conditions.look()


class _Conditions:
    """Evaluates what the declarative sensor evaluates, with its cursor."""

    def __init__(self, instance: dg.DagsterInstance, config: Path) -> None:
        self._instance, self._config = instance, config
        self._cursor: Any = None
        self.look()

    def look(self, at: datetime | None = None) -> set[dg.AssetKey]:
        result = dg.evaluate_automation_conditions(
            defs=project_definitions(self._config), instance=self._instance, cursor=self._cursor,
            asset_selection=dg.AssetSelection.assets(STAGING, PRODUCTION), evaluation_time=at,
        )  # fmt: skip
        self._cursor = result.cursor
        return {one for one in (STAGING, PRODUCTION) if result.get_num_requested(one)}
