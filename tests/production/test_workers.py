"""One backfill on several workers: its shards run on all of them; a worker that is killed loses its run to another, and nothing
that was stored is embedded again.
"""

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import page
from tests.production.asked import CLEANED, FOLDER
from tests.production.asking import FINISHED, Plant, tags
from tests.production.plant import missing, plant
from tests.production.processes import until
from tests.reembed.work import name_of
from tests.registry.conftest import postgres
from tests.support.gates import FEW
from tests.survived import survived
from vector_pipeline.project import Project

__all__ = ["postgres"]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(missing() is not None, reason=missing() or "")]
WORKERS = ("worker1", "worker2", "worker3")
DOCUMENTS, SHARDS, RATE = 150, 6, 6
CONFIG = f"""
datasets:
  handbook:
    source: {{{{kind: s3, bucket: {{bucket}}, prefix: documents}}}}
    shards: {SHARDS}
    spaces:
      tiny:
        embedder: {{{{kind: deterministic, model: seed, dimension: 64}}}}
        chunker: {{{{kind: whole}}}}
      other:
        embedder: {{{{kind: deterministic, model: another, dimension: 96, batch_size: 2}}}}
        chunker: {{{{kind: whole}}}}
    serving: tiny
    target: pinecone
    reembed: {{{{parallel: {len(WORKERS)}, runs: {len(WORKERS)}, max_texts_per_s: {RATE}}}}}
    gates: {{{{{FEW.replace("{", "{{").replace("}", "}}")}}}}}
environments:
  prod:
    lake: {{{{catalog: '{{url}}', data: 's3://{{bucket}}/lake'}}}}
    registry: '{{url}}'
    targets:
      pinecone: {{{{kind: pinecone, index: company, host: '{{pinecone}}', deletion_protection: false}}}}
"""
BACKFILL = """mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
STATUS = "query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
MADE = """query($key: AssetKeyInput!) { assetOrError(assetKey: $key) { ... on Asset {
    assetMaterializations(limit: 200) { partition runId } } } }"""


@pytest.mark.timeout(1800)
def test_shards_of_a_backfill_run_on_all_workers_and_survive_one(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = time.monotonic()
    with _started(tmp_path, postgres, monkeypatch) as made:
        with Project.load(made.config) as project:
            _survive(made, project, begun)
        _cancel_and_kill(made)
        processes = made.processes
    assert processes.left() == []


def _survive(made: Plant, project: Project, begun: float) -> None:
    steps, up = [["handbook", "other", step] for step in ("chunks", "embeddings", "snapshot")], time.monotonic()
    asked = {"assetSelection": [{"path": one} for one in steps], "partitionNames": [f"{n:02d}" for n in range(SHARDS)]}
    backfill = made.ui.ask(BACKFILL, p=asked)["launchPartitionBackfill"]["backfillId"]
    until(lambda: len(_going(made)) == len(WORKERS), "a run on each worker, all at once")
    spread, together = _going(made), time.monotonic()
    victim = "worker2"
    lost = spread[victim]
    shards = range(*_range(lost))
    until(lambda: sum(_stored(project, shards).values()) > 0, "a commit of the run that is to be killed")
    made.processes.kill(victim)
    killed = time.monotonic()
    held, whole = set(_stored(project)), Counter(_documents(project, shards))
    assert sum(_stored(project, shards).values()) < sum(whole.values()), "otherwise the kill came too late"
    until(lambda: _status(made, backfill) not in ("REQUESTED", "CANCELING", "FAILING"), "the backfill ends")
    ended = time.monotonic()
    runs = {run["id"]: run for run in made.ui.runs()}
    assert _status(made, backfill) == "COMPLETED_SUCCESS", [(run["status"], run["tags"]) for run in runs.values()]
    assert runs[lost["id"]]["status"] == "FAILURE"
    again = next(run for run in runs.values() if tags(run).get("dagster/parent_run_id") == lost["id"])
    assert (again["status"], _range(again)) == ("SUCCESS", _range(lost))
    assert _worker(again) not in (victim, "")
    _each_shard_where_it_ran(made, runs, lost)
    again_asked = _nothing_stored_is_embedded_again(made, project, held, killed)
    survived("SIGKILLs of a worker with all its processes, whose shards another one filled", 1)
    sys.stdout.write(
        f"\nup {up - begun:.1f} s; on {len(spread)} workers at once after {together - up:.1f} s; killed after "
        f"{killed - up:.1f} s; all {DOCUMENTS} stored after {ended - up:.1f} s; {again_asked} texts "
        "were embedded again, none of them stored before\n"
    )


def _cancel_and_kill(made: Plant) -> None:
    """A run that somebody cancels cleans up; one whose process dies, but not its worker, is run again."""
    run = _waiting(made, made.launch("waits"))
    assert not (made.folder / "asked" / CLEANED).exists()
    made.cancel(run["id"])
    until(lambda: _run(made, run["id"])["status"] == "CANCELED", "the run is cancelled")
    assert (made.folder / "asked" / CLEANED).exists()
    run = _waiting(made, made.launch("waits"))
    os.kill(int(tags(run)["vector_pipeline/worker_pid"].rpartition("/")[2]), signal.SIGKILL)
    until(lambda: _run(made, run["id"])["status"] == "FAILURE", "the run whose process died is seen")
    again: list[str] = []

    def retried() -> bool:
        again[:] = [one["id"] for one in made.ui.runs() if tags(one).get("dagster/parent_run_id") == run["id"]]
        return bool(again)

    until(retried, "it is run again")
    made.cancel(_waiting(made, again[0])["id"])
    until(lambda: _run(made, again[0])["status"] == "CANCELED", "the second one is cancelled")
    survived("SIGKILLs of a run's process on a worker", 1)


def _run(made: Plant, run_id: str) -> dict[str, Any]:
    return next(run for run in made.ui.runs() if run["id"] == run_id)


def _waiting(made: Plant, run_id: str) -> dict[str, Any]:
    """A run, when its step is under way."""
    until(lambda: "STEP_START" in made.events(run_id), "the step begins")
    return _run(made, run_id)


@contextmanager
def _started(folder: Path, postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    asked = folder / "asked"
    asked.mkdir()
    with plant(
        folder, postgres, CONFIG, workers=WORKERS, module="tests.production.counted", variables={FOLDER: str(asked)},
        before=lambda made: _built(made, monkeypatch),
    ) as made:  # fmt: skip
        yield made


def _built(made: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The documents, and the space that serves."""
    for name, value in made.processes.environment.items():
        if name.startswith(("AWS_", "PINECONE_")):
            monkeypatch.setenv(name, value)
    for number in range(DOCUMENTS):
        made.bucket.put(f"documents/page{number}.md", page(number, 1))
    with Project.load(made.config) as project:
        project.build("handbook")


def _going(made: Plant) -> dict[str, dict[str, Any]]:
    """Runs that workers are at, by worker."""
    return {_worker(run): run for run in made.ui.runs() if run["status"] == "STARTED" and _worker(run)}


def _worker(run: dict[str, Any]) -> str:
    return tags(run).get("vector_pipeline/worker", "").partition("@")[0]


def _range(run: dict[str, Any]) -> tuple[int, int]:
    """First shard of a run, and the one after its last."""
    named = tags(run)
    return int(named["dagster/asset_partition_range_start"]), int(named["dagster/asset_partition_range_end"]) + 1


def _status(made: Plant, backfill: str) -> str:
    return str(made.ui.ask(STATUS, id=backfill)["partitionBackfillOrError"]["status"])


def _stored(project: Project, shards: range = range(SHARDS)) -> Counter[str]:
    """Contents that have their vector, with in how many rows."""
    lake, tables = project.lake(read_only=True), project.tables("handbook", "other")
    if not lake.has_table("handbook", tables.embedding_table):
        return Counter()
    within = f"shard BETWEEN {shards.start} AND {shards.stop - 1}"
    rows = lake.rows(f"SELECT content_hash, count(*) FROM {tables.embeddings} WHERE {within} GROUP BY ALL")
    return Counter({content: int(count) for content, count in rows})


def _documents(project: Project, shards: range) -> Counter[str]:
    rows = project.lake(read_only=True).rows(
        f"""SELECT content_hash FROM {project.tables("handbook", "other").chunks}
            WHERE shard BETWEEN {shards.start} AND {shards.stop - 1}"""
    )
    return Counter(content for (content,) in rows)


def _each_shard_where_it_ran(made: Plant, runs: dict[str, dict[str, Any]], lost: dict[str, Any]) -> None:
    """Dagster's event log: the shards of the backfill were stored by runs on all workers, those of the killed one elsewhere."""
    found = made.ui.ask(MADE, key={"path": ["handbook", "other", "embeddings"]})["assetOrError"][
        "assetMaterializations"
    ]
    last = {}
    for one in reversed(found):
        last[int(one["partition"])] = _worker(runs[one["runId"]])
    assert sorted(last) == list(range(SHARDS))
    first = {shard: _worker(run) for run in runs.values() if _is_ranged(run) for shard in range(*_range(run))}
    assert set(first.values()) | {_worker(lost)} == set(WORKERS)
    assert {last[shard] for shard in range(*_range(lost))} <= set(WORKERS) - {_worker(lost)}


def _is_ranged(run: dict[str, Any]) -> bool:
    return run["status"] in FINISHED and "dagster/asset_partition_range_start" in tags(run)


def _nothing_stored_is_embedded_again(made: Plant, project: Project, held: set[str], killed: float) -> int:
    """How often a model was asked for a text that it had been asked for and that was not stored."""
    lake, tables = project.lake(read_only=True), project.tables("handbook", "other")
    names = {
        name_of(text): content
        for text, content in lake.rows(f"SELECT context || text, content_hash FROM {tables.chunks}")
    }
    asked: Counter[str] = Counter()
    for file in (made.folder / "asked").glob("*.txt"):
        for when, name in (line.split() for line in file.read_text(encoding="utf-8").splitlines()):
            if name in names:  # Golden texts are none of the documents'.
                asked[names[name]] += 1
                assert float(when) < killed or names[name] not in held
    stored = _stored(project)
    assert set(stored) == set(asked) == set(_documents(project, range(SHARDS)))
    assert len(stored) == DOCUMENTS
    assert max(stored.values()) == 1, "each vector stands once"
    again = sum(asked.values()) - DOCUMENTS
    # Each run warms its model up with one text, and a kill costs a commit.
    assert again <= len(WORKERS) + 1 + 2 * RATE
    return again
