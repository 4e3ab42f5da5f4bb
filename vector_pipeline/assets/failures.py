"""What went wrong in a run, from its events alone: no lake, no registry, no model.

Laws
----
1. A run that the daemon runs again by itself has not failed yet. One that a person cancelled did not fail.
2. Where checks failed, they are what is told: that the run stopped is their doing. What policy made a warning is none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg
from dagster import AssetCheckEvaluation
from dagster._core.storage.tags import WILL_RETRY_TAG

from vector_pipeline.alerts import AUDITS, Alert
from vector_pipeline.assets.names import ATTESTATION, DATASET_TAG, DRIFT, ENVIRONMENT_TAG, FILL_TAG, production_key
from vector_pipeline.assets.placing import dataset_in
from vector_pipeline.config.automation import AlertEvent
from vector_pipeline.config.secrets import scrub
from vector_pipeline.verify.outcome import Status

_CHECKS = {dg.DagsterEventType.ASSET_CHECK_EVALUATION}
_OF_A_RUN = _CHECKS | {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
_LONGEST = 600


@dataclass(frozen=True, slots=True)
class Place:
    """Where runs are told of."""

    datasets: Sequence[str]
    environment: str
    dagster_url: str = ""
    """Without a slash at its end; empty where it is not known."""
    owners: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Whose each dataset is, where somebody's."""

    def owners_of(self, dataset: str) -> tuple[str, ...]:
        return tuple(self.owners.get(dataset, ()))

    def command(self, words: str) -> str:
        """A command line of ours, about this environment."""
        return f"vector-pipeline {words} --env {self.environment}"


def dataset_of(run: dg.DagsterRun, place: Place) -> str | None:
    """The dataset that a run is about; None for one of somebody else's, or of another environment."""
    # What somebody materialises by hand has no job's tags: who may have meant it is told.
    if run.tags.get(ENVIRONMENT_TAG, place.environment) != place.environment:
        return None
    named = run.tags.get(DATASET_TAG) or run.tags.get(FILL_TAG) or run.job_name.partition("__")[0]
    keys = [*(run.asset_selection or ()), *(one.asset_key for one in run.asset_check_selection or ())]
    return next((one for one in (named, *map(dataset_in, keys)) if one in place.datasets), None)


def told_of(instance: dg.DagsterInstance, record: dg.RunRecord, place: Place) -> list[Alert]:
    """What a finished run has to tell: at most one alert for each kind of failure."""
    run = record.dagster_run
    dataset = dataset_of(run, place)
    failed = run.status is dg.DagsterRunStatus.FAILURE
    # A run of a command has no origin, and nothing runs it again.
    if dataset is None or (failed and run.tags.get(WILL_RETRY_TAG) == "true" and run.remote_job_origin is not None):
        return []
    events = [one.get_dagster_event() for one in instance.all_logs(run.run_id, of_type=_OF_A_RUN)]
    at = datetime.fromtimestamp(record.end_time or 0, UTC).isoformat(timespec="seconds")
    wrong = _failed_checks(events)
    if wrong:
        kinds = {event: [one for one in wrong if _event(one, dataset) == event] for event in _EVENTS}
        return [_of_checks(event, ones, run, dataset, place, at) for event, ones in kinds.items() if ones]
    return [_of_run(events, run, dataset, place, at)] if failed else []


_EVENTS: tuple[AlertEvent, ...] = ("gate-failed", "drift", "attestation")


def _event(check: AssetCheckEvaluation, dataset: str) -> AlertEvent:
    if check.asset_key == production_key(dataset):
        return (
            "drift"
            if check.check_name == DRIFT
            else "attestation"
            if check.check_name == ATTESTATION
            else "gate-failed"
        )
    return "gate-failed"


def clean_audits(instance: dg.DagsterInstance, run_id: str, dataset: str) -> list[AlertEvent]:
    """Audits of what production serves that a run made, and that found nothing."""
    checks = [one.get_dagster_event() for one in instance.all_logs(run_id, of_type=_CHECKS)]
    made = [one.asset_check_evaluation_data for one in checks]
    audits = {event: one for one in made if (event := _event(one, dataset)) in AUDITS}
    # Where nothing is in production nothing was looked at.
    return [event for event, one in audits.items() if one.passed and _status(one) == Status.PASSED.value]


def refused(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether gates stopped a run, and all of those could be asked: the same content would be refused again."""
    checks = [one.get_dagster_event() for one in instance.all_logs(run_id, of_type=_CHECKS)]
    wrong = _failed_checks(checks)
    asked = [one for one in wrong if _status(one) == Status.FAILED.value]
    return bool(wrong) and len(asked) == len(wrong)


def _status(check: AssetCheckEvaluation) -> object:
    return check.metadata["status"].value if "status" in check.metadata else None


def _failed_checks(events: Sequence[dg.DagsterEvent]) -> list[AssetCheckEvaluation]:
    """Law 2; of a check that ran twice in a run, what it said last."""
    last = {}
    for event in events:
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            last[check.asset_key, check.check_name] = check
    return [one for one in last.values() if not one.passed and one.severity is dg.AssetCheckSeverity.ERROR]


def _of_checks(
    event: AlertEvent, wrong: Sequence[AssetCheckEvaluation], run: dg.DagsterRun, dataset: str, place: Place, at: str
) -> Alert:
    names = tuple(one.check_name.replace("_", " ") for one in wrong)
    version = next((int(str(one.metadata["version"].value)) for one in wrong if "version" in one.metadata), None)
    of = f"version {version}" if version is not None else "what was built"
    said = "; ".join(f"{name}: {one.description or 'no reason given'}" for name, one in zip(names, wrong, strict=True))
    what = {
        "gate-failed": f"{of} did not pass {said}",
        "drift": f"production's index is not as it was deployed: {said}",
        "attestation": f"stored vectors are not what the model makes: {said}",
    }
    look = f"report {dataset} {version}" if version is not None else f"status {dataset}"
    do = {
        "gate-failed": ("Production did not move to it. Look at the report, or mend the source", look),
        "drift": ("Look at what differs, then repair it", f"drift {dataset}"),
        "attestation": ("Look at what is doubted before anything is built", f"attest {dataset}"),
    }
    fix, words = do[event]
    report = next((str(one.metadata["report"].value) for one in wrong if "report" in one.metadata), "")
    return Alert(
        event, dataset, place.environment, _line(what[event]), at, fix, place.command(words), version,
        run.run_id, _url(run, place), report, names, place.owners_of(dataset),
    )  # fmt: skip


def _of_run(events: Sequence[dg.DagsterEvent], run: dg.DagsterRun, dataset: str, place: Place, at: str) -> Alert:
    job = "a materialisation" if run.job_name.startswith("__") else run.job_name.partition("__")[2].replace("__", " ")
    reasons = [one for event in events if (one := _reason(event))]
    what = f"{job} failed: {'; '.join(dict.fromkeys(reasons)) or 'Dagster has its log'}"
    # What our errors say ends with what to do.
    return Alert(
        "run-failed", dataset, place.environment, _line(what), at, command=place.command(f"status {dataset}"),
        run_id=run.run_id, run_url=_url(run, place), owners=place.owners_of(dataset),
    )  # fmt: skip


def _reason(event: dg.DagsterEvent) -> str:
    if event.event_type is dg.DagsterEventType.STEP_FAILURE:
        failure = event.step_failure_data
        said = failure.user_failure_data.description if failure.user_failure_data else None
        if said is None and failure.error is not None:
            cause = failure.error.cause or failure.error
            said = cause.message
        return said or event.message or ""
    if event.event_type is dg.DagsterEventType.RUN_FAILURE:
        message = event.message or ""
        # Of a run whose steps failed it says nothing that they have not said.
        return "" if "Steps failed" in message else message
    return ""


def _line(text: str) -> str:
    text = " ".join(scrub(text).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _url(run: dg.DagsterRun, place: Place) -> str:
    return f"{place.dagster_url}/runs/{run.run_id}" if place.dagster_url else ""
