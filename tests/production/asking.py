"""A small production as its people see it: Dagster's pages by their GraphQL, the command line, and one more worker."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.production.processes import Processes, until
from tests.shared.conftest import Bucket
from tests.ui.dagster_ui import Ui

BIN = Path(sys.executable).parent
FINISHED = ("SUCCESS", "FAILURE", "CANCELED")


def worker_command(app: str, name: str) -> list[str]:
    """What a worker is started with."""
    return ["celery", "-A", app, "worker", "-Q", "dagster", "--concurrency", "1", "-n", f"{name}@%h"]


@dataclass
class Plant:
    """What runs, and how it is asked."""

    folder: Path
    processes: Processes
    bucket: Bucket
    ui: Ui
    app: str
    """What workers run."""

    @property
    def config(self) -> Path:
        return self.folder / "vector_pipeline.yaml"

    def start_worker(self, name: str) -> None:
        """One more worker; it takes one run at a time."""
        program, *words = worker_command(self.app, name)
        self.processes.start(name, [BIN / program, *words, "--loglevel", "INFO"])

    def wait_for_workers(self, *names: str) -> None:
        for name in names:
            self.processes.until(name, partial(self._is_ready, name))

    def _is_ready(self, worker: str) -> bool:
        return " ready." in self.processes.said(worker)

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """``vector-pipeline`` as a person calls it."""
        return subprocess.run(
            [sys.executable, "-m", "vector_pipeline.cli", *words], cwd=self.folder, env=self.processes.environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def launch(self, job: str, *, tags: Mapping[str, str] | None = None, **ops: Any) -> str:
        """Launch a job as a person does in the launchpad, with its ops' settings; returns the run's id."""
        named = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        mutation = """mutation($p: ExecutionParams!) { launchRun(executionParams: $p) {
            __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
        place = {"repositoryLocationName": "vector_pipeline", "repositoryName": "__repository__", "jobName": job}
        config = {"ops": {name: {"config": settings} for name, settings in ops.items()}} if ops else {}
        asked = {"selector": place, "runConfigData": config, "executionMetadata": {"tags": named}}
        launched = self.ui.ask(mutation, p=asked)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def wait_for_run(self, job: str, known: set[str]) -> dict[str, Any]:
        """The newest run of a job besides ``known``, when it has ended and nothing else is going."""
        found: list[dict[str, Any]] = []

        def ended() -> bool:
            runs = self.ui.runs()
            found[:] = [run for run in runs if run["id"] not in known and run["jobName"] == job]
            return bool(found) and all(run["status"] in FINISHED for run in runs)

        until(ended, f"a run of {job} ends")
        return found[0]

    def cancel(self, run_id: str) -> None:
        """As a person does with the button."""
        mutation = (
            "mutation($id: String!) { terminateRun(runId: $id) { __typename ... on TerminateRunFailure { message } } }"
        )
        cancelled = self.ui.ask(mutation, id=run_id)["terminateRun"]
        assert cancelled["__typename"] == "TerminateRunSuccess", cancelled

    def events(self, run_id: str) -> list[str]:
        """Types of a run's events so far."""
        query = """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
            ... on MessageEvent { eventType } } } } }"""
        return [str(one.get("eventType")) for one in self.ui.ask(query, id=run_id)["logsForRun"]["events"]]

    def story(self, run_id: str) -> str:
        """What Dagster has of a run: its messages and errors."""
        query = """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
            ... on MessageEvent { message level } ... on ErrorEvent { error { message } } } } } }"""
        events = self.ui.ask(query, id=run_id)["logsForRun"]["events"]
        return "\n".join(f"{one.get('level')}: {one.get('message')} {one.get('error') or ''}" for one in events)

    def known(self) -> set[str]:
        return {run["id"] for run in self.ui.runs()}


def tags(run: dict[str, Any]) -> dict[str, str]:
    """A run's tags by name."""
    return {one["key"]: one["value"] for one in run["tags"]}
