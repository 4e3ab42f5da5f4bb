"""A push of 20,000 vectors through a bad network, and over the server's death in one: it ends complete and says what it retried."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.synthetic import DATASET, fill, open_synthetic
from tests.support.pinecone_process import ServerProcess, target_yaml
from vector_pipeline.project import Project
from vector_pipeline.project.gating import OF_INDEX
from vector_pipeline.report.progress import reporting_to

RECORDS = 20_000
FAULTS = {"too_many_requests": 0.10, "unavailable": 0.05, "lost_responses": 0.05}
LAG_S = 2.0
BAD_NETWORK = [f"--{name.replace('_', '-')}={share}" for name, share in FAULTS.items()] + [f"--lag={LAG_S}"]
"""Options of the server: it is as bad when it is started again."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
pytest.importorskip("pinecone", reason="the Pinecone target needs the package pinecone")


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
    _, results = project.verify(DATASET, only=OF_INDEX)
    assert results
    assert not [one for one in results if one.blocks], results
    assert project.plan(DATASET).empty


def push_through(server: ServerProcess, folder: Path, *, dies: bool) -> None:
    """Push, and check what landed and what is said of the way there."""
    injected: Counter[str] = Counter()

    def dies_and_returns() -> None:
        injected.update(server.counts()["faults"])
        server.kill()
        server.start()

    with open_synthetic(folder, 384, target_yaml(server)) as project:
        fill(project, RECORDS, revision=1)
        watch = Watch(RECORDS // 3 if dies else RECORDS + 1, dies_and_returns)
        with reporting_to(watch):
            pushed = project.push(DATASET)
        injected.update(server.counts()["faults"])
        server.knobs(**dict.fromkeys(FAULTS, 0), freshness_lag_s=0)
        assert (0 < watch.acted_at < RECORDS) is dies
        retried = pushed.applied.retried
        assert {"429", "503"} <= retried.keys(), retried
        assert any("lost" in reason for reason in retried), retried
        assert all(injected[name] > 0 for name in FAULTS), injected
        complete(project)


def test_a_push_through_a_bad_network(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "server", *BAD_NETWORK) as server:
        push_through(server, tmp_path / "project", dies=False)


def test_a_push_through_a_bad_network_over_the_death_of_the_server(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "server", *BAD_NETWORK) as server:
        push_through(server, tmp_path / "project", dies=True)
