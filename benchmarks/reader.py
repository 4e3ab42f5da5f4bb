"""What the reader costs beside the search: ``Index.search`` against ``target.query`` of the same vector, same target, same process.

    python -m benchmarks.reader [--records 10000] [--dimension 384] [--pairs 400]

Each pair is one bare search with a vector that is embedded already, and one call of the reader with the text of that vector; their
order alternates. Of the reader's call the time that it spent embedding (its own count) is taken off. The figure is the median of
the differences, in milliseconds: how the thread that limits the time, the alias, the choice of the arm, spans, counts and hits
weigh together. ``inside`` is what a call took beside embedding and searching by its own clocks; ``own`` what it takes when the
search is answered from memory: steady where a busy machine makes the others noise. Variants: as it is opened by default; without a
time limit; with a route that gives half of the readers another version; in an event loop.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.synthetic import DATASET, fill, open_synthetic
from vector_pipeline.project import Project
from vector_pipeline.release.promote import PRODUCTION
from vector_pipeline.release.registry import Deployment
from vector_pipeline.serving import Index, open_index
from vector_pipeline.serving.asynchronous import AsyncIndex

GOAL_MS = 1.0
TOP_K = 5
_QUESTIONS = [f"question {number} about subject {number % 17}" for number in range(50)]


def main() -> int:
    os.environ["VECTOR_PIPELINE_ALLOW_DETERMINISTIC"] = "1"
    # One thread a search: two that wait for each other are noise on both sides.
    os.environ.setdefault("SLURM_CPUS_ON_NODE", "1")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--pairs", type=int, default=400)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reader-") as name:
        folder = Path(name)
        with open_synthetic(folder, arguments.dimension) as project:
            second = released(project, arguments.records)
        result = {one: measured(project, folder, arguments.pairs, one, second) for one in VARIANTS}
    worst = max(one["overhead_ms"] for one in result.values())
    print(json.dumps({"records": arguments.records, "goal_ms": GOAL_MS, **result, "reached": worst <= GOAL_MS}))
    return 0 if worst <= GOAL_MS else 1


def released(project: Project, count: int) -> Deployment:
    """Two versions in a namespace each, the first one in production; returns the second one. No gate is asked of random vectors."""
    found = []
    for revision in (1, 2):
        fill(project, count, revision=revision)
        found.append(project.push(DATASET, strategy="blue-green").deployment)
    project.registry().move_alias(
        DATASET, project.environment, PRODUCTION, to=found[0].id, expected=None, by="benchmark", reason=""
    )
    return found[1]


def _default(folder: Path) -> Index:
    return open_index(DATASET, project=folder)


def _unlimited(folder: Path) -> Index:
    return open_index(DATASET, project=folder, timeout_s=None)


VARIANTS: dict[str, Callable[[Path], Index]] = {
    "default": _default, "no_limit": _unlimited, "route": _default, "event_loop": _default,
}  # fmt: skip


def measured(project: Project, folder: Path, pairs: int, variant: str, second: Deployment) -> dict[str, Any]:
    """Medians of one variant, in milliseconds."""
    place = (DATASET, project.environment)
    production = project.registry().alias(*place, PRODUCTION)
    assert production is not None
    if variant == "route":
        project.registry().begin_route(
            *place, version=second.version, deployments=[second.id], share=0.5, beside=production.deployment.id,
            by="benchmark", reason="",
        )  # fmt: skip
    try:
        with VARIANTS[variant](folder) as index:
            if variant == "event_loop":
                return asyncio.run(_in_loop(index, pairs))
            return {**compare(index, pairs), "own_ms": own(index, pairs)}
    finally:
        project.registry().end_route(*place, by="benchmark")
        project.close()


async def _in_loop(index: Index, pairs: int) -> dict[str, Any]:
    served, took = AsyncIndex(index), []
    bare, vectors = Bare(index), _vectors(index)
    for number in range(pairs + 20):
        text = _QUESTIONS[number % len(_QUESTIONS)]
        searched = bare.seconds(vectors[text], index.search(text).version)
        before, counted = time.perf_counter(), _counts(index)
        await served.search(text, top_k=TOP_K)
        took.append((time.perf_counter() - before, searched, *_since(index, counted)))
    return _medians(took[20:])


def own(index: Index, pairs: int) -> float:
    """Median of a call's time beside embedding, when the target answers at once."""
    deployment = index._follower.current().served.deployment
    target: Any = index._parts.target_named(deployment.target, read_only=True)
    vector = _vectors(index)[_QUESTIONS[0]]
    known, took = target.query(deployment.namespace, vector, top_k=TOP_K, version=deployment.version), []
    target.query = lambda *_, **__: known
    try:
        for number in range(10 * pairs):
            counted, before = _counts(index), time.perf_counter()
            index.search(_QUESTIONS[number % len(_QUESTIONS)], top_k=TOP_K, key=f"user {number}")
            took.append(time.perf_counter() - before - _since(index, counted)[0])
    finally:
        del target.query
    return round(1000 * statistics.median(took), 3)


def compare(index: Index, pairs: int) -> dict[str, Any]:
    """Pairs in alternating order; the first ones warm up and do not count."""
    bare, vectors, took = Bare(index), _vectors(index), []
    for number in range(pairs + 20):
        text = _QUESTIONS[number % len(_QUESTIONS)]
        key = f"user {number}"
        version = index.search(text, key=key).version
        searched = bare.seconds(vectors[text], version) if number % 2 else 0.0
        before, counted = time.perf_counter(), _counts(index)
        index.search(text, top_k=TOP_K, key=key)
        total = time.perf_counter() - before
        inner = _since(index, counted)
        took.append((total, searched or bare.seconds(vectors[text], version), *inner))
    return _medians(took[20:])


class Bare:
    """The same search without the reader."""

    def __init__(self, index: Index) -> None:
        self._parts = index._parts
        live = index._follower.current()
        self._served = {one.version.number: one for one in (live.served, live.routed) if one is not None}

    def seconds(self, vector: np.ndarray[Any, Any], version: int) -> float:
        deployment = self._served[version].deployment
        target = self._parts.target_named(deployment.target, read_only=True)
        before = time.perf_counter()
        target.query(deployment.namespace, vector, top_k=TOP_K, version=deployment.version)
        return time.perf_counter() - before


def _vectors(index: Index) -> dict[str, np.ndarray[Any, Any]]:
    embedding = index._embeddings.of(index._follower.current().version)
    return {text: embedding.vectors([text]) for text in _QUESTIONS}


def _counts(index: Index) -> tuple[float, float]:
    arms = index.metrics().arms.values()
    return sum(one.embed_s for one in arms), sum(one.search_s for one in arms)


def _since(index: Index, before: tuple[float, float]) -> tuple[float, float]:
    now = _counts(index)
    return now[0] - before[0], now[1] - before[1]


def _medians(took: list[tuple[float, float, float, float]]) -> dict[str, Any]:
    """``took``: the reader's call, the bare search, and of the call embedding and searching, in seconds."""
    over = [total - embedded - bare for total, bare, embedded, _ in took]
    inside = [total - embedded - searched for total, _, embedded, searched in took]
    bare = statistics.median(one[1] for one in took)
    reader = statistics.median(one[0] - one[2] for one in took)
    return {
        "overhead_ms": round(1000 * statistics.median(over), 3),
        "inside_ms": round(1000 * statistics.median(inside), 3),
        "bare_ms": round(1000 * bare, 3),
        "reader_ms": round(1000 * reader, 3),
        "ratio": round(reader / bare, 3),
    }


if __name__ == "__main__":
    sys.exit(main())
