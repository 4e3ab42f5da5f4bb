"""A push over the Pinecone protocol against the SDK's own upserts: same server, same records, same concurrency.

What both sides send is what a namespace of the server takes; the server (``vector-pipeline dev pinecone``) is a process of its own.
"""

import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import throughput
from benchmarks.rows import Row, rounded
from benchmarks.works import Sizes

MOST_OF_ALL = 2.0
"""Percent of the time of everything, for 1%."""
LEAST_RATE = 90.0
"""Percent of the SDK's rate, for everything."""


def measure(sizes: Sizes) -> Iterator[Row]:
    """First loads and 1%."""
    from tests.support.pinecone_process import ServerProcess

    os.environ["VECTOR_PIPELINE_ALLOW_DETERMINISTIC"] = "1"
    records = 5_000 if sizes.quick else 100_000
    with tempfile.TemporaryDirectory(prefix="push-") as name:
        folder = Path(name)
        with ServerProcess(folder / "server") as server:
            found = throughput.compare(folder, server, records, 384, sizes.rounds)
        label = f"first load of {records:,} × 384"
        yield Row(
            "push", f"{label}, writing, rate of the SDK's batched upsert", round(100 * found["upsert_stage_over_sdk"], 1), "%",
            LEAST_RATE, ours={"per_s": found["spread_ours"]}, theirs={"per_s": found["spread_sdk"]},
        )  # fmt: skip
        yield Row(
            "push", f"{label}, the whole command, rate of the SDK's batched upsert", round(100 * found["whole_push_over_sdk"], 1),
            "%", None,
        )  # fmt: skip
        yield Row(
            "push", f"{label}, writing, rate of upsert_from_dataframe", round(100 * found["upsert_stage_over_frame"], 1), "%",
            LEAST_RATE, theirs={"per_s": found["frame_per_s"]},
        )  # fmt: skip
    many = 20_000 if sizes.quick else 1_000_000
    with tempfile.TemporaryDirectory(prefix="push-") as name:
        folder = Path(name)
        with ServerProcess(folder / "server") as server:
            part = throughput.part(folder, server, many, 384, rounds=sizes.rounds)
    everything = part["sdk_seconds"]
    figures = [100 * one / everything for one in part["push_seconds"]]
    yield Row(
        "push", f"1% of {many:,} × 384, the whole command, time of the SDK's upsert of everything",
        round(statistics.median(figures), 2), "%", MOST_OF_ALL, "at most", spread=rounded(min(figures), max(figures)),
        ours={"seconds": part["push_seconds"]}, theirs={"seconds": everything},
        note="Half of it is writing the 1%, at the SDK's own rate; the rest is looking up what changed in the lake's change feed.",
    )  # fmt: skip
    yield Row(
        "push", f"first load of {many:,} × 384, the whole command, rate of the SDK's upsert of everything",
        round(100 * everything / part["first_seconds"], 1), "%", None,
        ours={"seconds": part["first_seconds"]}, theirs={"seconds": everything},
    )  # fmt: skip
