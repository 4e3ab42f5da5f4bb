"""A push of 20,000 vectors through a bad network, and over the server's death: it ends complete and says what it retried."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.synthetic import DATASET, fill, open_synthetic
from tests.support.pinecone_process import ServerProcess, target_yaml
from vector_pipeline.project import Project
from vector_pipeline.project.gating import DEPLOYMENT_GATES
from vector_pipeline.report.progress import reporting_to

RECORDS = 20_000
FAULTS = {"too_many_requests": 0.10, "unavailable": 0.05, "lost_responses": 0.05, "freshness_lag_s": 2.0}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
pytest.importorskip("pinecone", reason="the Pinecone target needs the package pinecone")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path / "server") as process:
        yield process


class Watch:
    """Calls ``act`` once, when so many records were written."""

    def __init__(self, after: int, act: object) -> None:
        self.after, self.act, self.acted_at = after, act, -1

    def update(self, step: str, done: int, total: int, *, unit: str = "", note: str = "") -> None:
        if step == "push" and self.acted_at < 0 and done >= self.after:
            self.acted_at = done
            assert callable(self.act)
            self.act()


def complete(project: Project) -> None:
    """Every record stands in the target once, as it should be; the gates of the index agree."""
    target = project.target(DATASET, read_only=True)
    (namespace,) = target.namespaces()
    ids = [name for batch in target.scan(namespace) for name in batch.column("id").to_pylist()]
    assert len(ids) == len(set(ids)) == RECORDS
    state = target.describe(namespace)
    assert state is not None
    assert state.records == RECORDS
    (report,) = project.drift(DATASET, "staging", level="full", record=False)
    assert not report.drifted, report.summary
    assert report.compared == RECORDS
    _, results = project.verify(DATASET, only=DEPLOYMENT_GATES)
    assert results
    assert not [one for one in results if one.blocks], results
    assert project.plan(DATASET).empty


def test_a_push_through_a_bad_network(server: ServerProcess, tmp_path: Path) -> None:
    with open_synthetic(tmp_path / "project", 384, target_yaml(server)) as project:
        fill(project, RECORDS, revision=1)
        server.knobs(**FAULTS)
        pushed = project.push(DATASET)
        injected = server.counts()["faults"]
        server.knobs(**dict.fromkeys(FAULTS, 0))
        retried = dict(pushed.applied.retried)
        assert {"429", "503"} <= retried.keys(), retried
        assert any("lost" in reason for reason in retried), retried
        assert all(injected[name] > 0 for name in ("too_many_requests", "unavailable", "lost_responses")), injected
        complete(project)


def test_a_push_over_the_death_of_the_server(server: ServerProcess, tmp_path: Path) -> None:
    with open_synthetic(tmp_path / "project", 384, target_yaml(server)) as project:
        fill(project, RECORDS, revision=1)

        def dies_and_returns() -> None:
            server.kill()
            server.start()

        watch = Watch(RECORDS // 3, dies_and_returns)
        with reporting_to(watch):
            pushed = project.push(DATASET)
        assert 0 < watch.acted_at < RECORDS
        assert pushed.applied.retried, "it was killed, and nobody noticed"
        complete(project)
