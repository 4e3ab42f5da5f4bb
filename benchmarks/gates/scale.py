"""What all gates take on many vectors: seconds by gate, and the most memory of the process that runs them.

    python -m benchmarks.gates.scale [--records 1000000] [--dimension 384]

Version 1 is in production, version 2 changes 1%. Vectors are random, so gates that look at what vectors mean may say so: only time
and memory are results here.
"""

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.synthetic import DATASET, DEFAULT_MEMORY, EVERY_GATE, fill, open_synthetic
from tests.support.gates import say_passed
from vector_pipeline.verify.outcome import guarded

SECONDS, GIGABYTES = 120, 3


def main() -> int:
    os.environ["VECTOR_PIPELINE_ALLOW_DETERMINISTIC"] = "1"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=384)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="gates-scale-") as name, context.Pool(1, maxtasksperchild=1) as pool:
        folder, size = Path(name), (options.records, options.dimension)
        pool.apply(prepare, (folder, *size))
        found = pool.apply(look, (folder, options.dimension))
    print(json.dumps({"records": options.records, "dimension": options.dimension, **found}))
    return 0 if found["seconds"] < SECONDS and found["peak_gb"] < GIGABYTES else 1


def prepare(folder: Path, records: int, dimension: int) -> None:
    """Both versions, pushed."""
    with open_synthetic(folder, dimension, gates=EVERY_GATE) as project:
        fill(project, records, revision=1)
        deployment = project.push(DATASET).deployment
        say_passed(project, deployment)
        project.verify(DATASET, only=("coverage",))
        for gate in project.index_gates_of(DATASET, deployment.target):
            say_one(project, deployment, gate)
        project.promote(DATASET, by="benchmark")
        fill(project, records, revision=2, share=0.01)
        project.push(DATASET)


def say_one(project: Any, deployment: Any, gate: str) -> None:
    """Record a pass of version 1: it is version 2 that is measured."""
    from vector_pipeline.project.gating import SETTINGS
    from vector_pipeline.release.registry import VerdictStatus

    project.registry().record_verdict(
        deployment.id, gate, VerdictStatus.PASSED, digest=str(deployment.digest), mark=project.mark_of(deployment),
        detail={SETTINGS: project.gate_settings(DATASET)},
    )  # fmt: skip


def look(folder: Path, dimension: int) -> dict[str, Any]:
    """Every gate of version 2, with the memory that a lake and a target have where nothing is configured."""
    gates: dict[str, Any] = {}
    with open_synthetic(folder, dimension, gates=EVERY_GATE, memory=DEFAULT_MEMORY) as project:
        before = resource.getrusage(resource.RUSAGE_SELF)
        started = time.perf_counter()
        deployment = project.deployment_of(project.version(DATASET))
        context = project.gate_context(project.version(DATASET), deployment)
        for name in project.gates_of(DATASET, deployment.target):
            at = time.perf_counter()
            result = guarded(name, project._gate(context, name))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            gates[name] = {
                "seconds": round(time.perf_counter() - at, 1), "peak_gb": round(peak, 2), "status": result.status.value,
            }  # fmt: skip
            took = f"{gates[name]['seconds']:>7.1f} s {peak:>6.2f} GB"
            print(f"{name:<28} {took}  {result.summary[:120]}", file=sys.stderr, flush=True)
        seconds = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_gb": round(after.ru_maxrss / 1e6, 2),
        "gates": gates,
    }


if __name__ == "__main__":
    sys.exit(main())
