"""Our push against the SDK's own batched upsert: same server, same records, same concurrency, one run.

    python -m benchmarks.throughput [--records 100000] [--dimension 384] [--rounds 3]

The server (``vector-pipeline dev pinecone``) is a process of its own, without faults. Both sides write the same records with the
same metadata, into a namespace that is empty. The SDK gets them as finished dictionaries in memory, vectors as ``ndarray.tolist()``
makes them of 32-bit floats: making them does not count. It sends as many a request as fit into 2 MB. Two figures of ours: the rate
of the push's writing stage (lake to target, journalled), which is what the SDK's call does and what the goal is about; and the rate
of the whole command (with planning, checking the version, making index and namespace, waiting until reads see it): its fixed costs
weigh less the more there is to write. The order alternates. Only ratios are results.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from benchmarks.synthetic import DATASET, fill, open_synthetic
from tests.support.pinecone_process import KEY, ServerProcess, target_yaml
from vector_pipeline.arrow import as_one
from vector_pipeline.lake.tables import at
from vector_pipeline.project import Project
from vector_pipeline.release.records import records
from vector_pipeline.release.snapshot import tables_of
from vector_pipeline.targets.base import LIVE
from vector_pipeline.targets.pinecone.encoding import metadata_of

GOAL = 0.9
UNLIMITED = "{requests: 10000, upsert_mb: 10000}"
"""The SDK keeps under no limit; nor does ours here."""


def main() -> int:
    os.environ["VECTOR_PIPELINE_ALLOW_DETERMINISTIC"] = "1"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="throughput-") as name:
        folder = Path(name)
        with ServerProcess(folder / "server") as server:
            result = compare(folder, server, arguments.records, arguments.dimension, arguments.rounds)
    print(json.dumps(result))
    return 0 if result["reached"] else 1


def compare(folder: Path, server: ServerProcess, count: int, dimension: int, rounds: int) -> dict[str, Any]:
    """Rates of both sides, round by round; the figure is the ratio of their medians."""
    with open_synthetic(folder / "filled", dimension, target_yaml(server, "unused")) as project:
        fill(project, count, revision=1)
    ours, theirs, stages = [], [], []
    whole: list[dict[str, Any]] = []
    for turn in range(rounds):
        if turn == 0:
            # Ours comes first once: it makes the records that both write.
            seconds, stage, (whole, parallel, batch) = push(folder, server, dimension, turn)
            ours, stages = [count / seconds], [count / stage]
            theirs.append(count / upsert(server, whole, dimension, turn, batch, parallel))
        else:
            order = ("sdk", "ours") if turn % 2 else ("ours", "sdk")
            for side in order:
                if side == "ours":
                    seconds, stage, _ = push(folder, server, dimension, turn)
                    ours.append(count / seconds)
                    stages.append(count / stage)
                else:
                    theirs.append(count / upsert(server, whole, dimension, turn, batch, parallel))
        print(
            json.dumps(
                {
                    "round": turn,
                    "push_per_s": round(ours[-1]),
                    "upsert_stage_per_s": round(stages[-1]),
                    "sdk_per_s": round(theirs[-1]),
                }
            ),
            flush=True,
        )
    framed = count / upsert_frame(server, whole, dimension, batch, parallel)
    whole_push = statistics.median(ours) / statistics.median(theirs)
    figure = statistics.median(stages) / statistics.median(theirs)
    return {
        "records": count,
        "dimension": dimension,
        "concurrency": parallel,
        "records_per_request": batch,
        "upsert_stage_over_sdk": round(figure, 3),
        "whole_push_over_sdk": round(whole_push, 3),
        "upsert_stage_over_frame": round(statistics.median(stages) / framed, 3),
        "frame_per_s": round(framed),
        "spread_ours": [round(min(ours)), round(max(ours))],
        "spread_sdk": [round(min(theirs)), round(max(theirs))],
        "goal": f">= {GOAL}",
        "reached": figure >= GOAL,
    }


def push(folder: Path, server: ServerProcess, dimension: int, turn: int) -> tuple[float, float, Any]:
    """A whole push into an index of its own; seconds, those of its writing stage, and (first turn) what it wrote."""
    place = folder / f"project{turn}"
    shutil.copytree(folder / "filled", place)
    with open_synthetic(place, dimension, target_yaml(server, f"ours{turn}", limits=UNLIMITED)) as project:
        started = time.perf_counter()
        project.push(DATASET)
        seconds = time.perf_counter() - started
        rate = project.registry().throughput("local", project.environment, step="upsert")
        assert rate is not None
        written = _records(project) if turn == 0 else []
        parallel = project.target(DATASET).capabilities.parallel_writes
    return seconds, rate.seconds, (written, parallel, _fitting(written) if written else 0)


def part(folder: Path, server: ServerProcess, count: int, dimension: int, *, rounds: int) -> dict[str, Any]:
    """Everything once, then 1% ``rounds`` times, by us; everything by the SDK, in portions that fit into memory.

    Seconds of the SDK are those of its calls: making what it is given does not count.
    """
    with open_synthetic(folder / "part", dimension, target_yaml(server, "part", limits=UNLIMITED)) as project:
        fill(project, count, revision=1)
        first = _timed_push(project)
        pushed = []
        for turn in range(rounds):
            fill(project, count, revision=2 + turn, share=0.01)
            pushed.append(_timed_push(project))
        parallel = project.target(DATASET).capabilities.parallel_writes
        total, sent = 0.0, 0
        handle = _made_index(server, "whole", dimension)
        for portion in _portions(project, 50_000):
            batch = _fitting(portion)
            total += _upserted(handle, portion, batch, parallel)
            sent += len(portion)
    assert sent == count, (sent, count)
    return {"push_seconds": pushed, "first_seconds": first, "sdk_seconds": total}


def _timed_push(project: Project) -> float:
    """Seconds of a whole push."""
    started = time.perf_counter()
    project.push(DATASET)
    return time.perf_counter() - started


def _records(project: Project) -> list[dict[str, Any]]:
    """Every record as a person would hold it, for the other side to write: with the metadata that ours has."""
    return [one for portion in _portions(project, 1_000_000) for one in portion]


def _portions(project: Project, size: int) -> Iterator[list[dict[str, Any]]]:
    lake, version = project.lake(), project.version(DATASET)
    wanted = lake.table(
        f"""SELECT shard, record_id, record_id AS id, 1::BIGINT AS added_in, {LIVE}::BIGINT AS removed_in
            FROM {at(tables_of(version).chunks, version.lake_snapshot)} ORDER BY shard, record_id"""
    )
    for begin in range(0, wanted.num_rows, size):
        table = records(lake, version, wanted.slice(begin, size))
        values = as_one(table["vector"]).flatten().to_numpy().reshape(table.num_rows, -1)
        yield [
            {"id": name, "values": row.tolist(), "metadata": metadata}
            for name, row, metadata in zip(table["id"].to_pylist(), values, metadata_of(table), strict=True)
        ]


def _fitting(written: list[dict[str, Any]]) -> int:
    """Records of which a request of the SDK surely holds less than 2 MB."""
    return max(1, int(1_900_000 / max(len(orjson.dumps(one)) for one in written[:1_000])))


def upsert(
    server: ServerProcess, whole: list[dict[str, Any]], dimension: int, turn: int, batch: int, parallel: int
) -> float:
    """The SDK's batched upsert of the same records; seconds."""
    return _upserted(_made_index(server, f"theirs{turn}", dimension), whole, batch, parallel)


def upsert_frame(
    server: ServerProcess, whole: list[dict[str, Any]], dimension: int, batch: int, parallel: int
) -> float:
    """The same by ``upsert_from_dataframe``; seconds."""
    import pandas as pd

    frame, handle = pd.DataFrame(whole), _made_index(server, "frame", dimension)
    started = time.perf_counter()
    answer = handle.upsert_from_dataframe(
        frame, namespace="all", batch_size=batch, max_concurrency=parallel, show_progress=False
    )
    seconds = time.perf_counter() - started
    assert answer.upserted_count == len(whole), answer
    return seconds


def _made_index(server: ServerProcess, name: str, dimension: int) -> Any:
    from pinecone import ServerlessSpec

    client = _client(server)
    client.create_index(
        name=name, dimension=dimension, metric="cosine", spec=ServerlessSpec(cloud="aws", region="us-east-1")
    )
    return client.index(name=name)


def _upserted(handle: Any, whole: list[dict[str, Any]], batch: int, parallel: int) -> float:
    started = time.perf_counter()
    answer = handle.upsert(
        vectors=whole, namespace="all", batch_size=batch, max_concurrency=parallel, show_progress=False
    )
    seconds = time.perf_counter() - started
    assert answer.upserted_count == len(whole), answer
    assert not getattr(answer, "has_errors", False), answer
    return seconds


def _client(server: ServerProcess) -> Any:
    from pinecone import Pinecone

    return Pinecone(api_key=KEY, host=server.url)


if __name__ == "__main__":
    sys.exit(main())
