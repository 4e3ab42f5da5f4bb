"""Our side of ``push``: one whole push of the last version of a synthetic project, in a process of its own.

    python -m benchmarks.ours.push FOLDER --target YAML

Its libraries are loaded when the clock starts; lake and registry are opened within it. Planning, checking the version, making index
and namespace, and waiting until reads see what was written are within it too.
"""

import argparse
import time
from pathlib import Path

# Arrow, DuckDB and the target import these on their first use. Every side has its libraries before its clock starts.
import pandas as pd  # noqa: F401
import pinecone.client.indexes
import pinecone.index  # noqa: F401
import pyarrow.dataset  # noqa: F401

import vector_pipeline.targets.pinecone.target  # noqa: F401
from benchmarks.measuring import said
from benchmarks.synthetic import DATASET, open_synthetic


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--target", required=True, help="configuration of the target, as YAML on one line")
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--round", type=int, default=0)
    given = parser.parse_args()
    with open_synthetic(given.folder, given.dimension, given.target) as project:
        started = time.perf_counter()
        pushed = project.push(DATASET)
        seconds = time.perf_counter() - started
        registry, environment = project.registry(), project.environment
        every = registry.throughput("local", environment, pushes=1)
        upserts = registry.throughput("local", environment, pushes=1, step="upsert")
        assert every is not None
        assert upserts is not None
        # Of many thousand writes the journal is asked for the newest: their rate is known, not their whole time.
        said(
            seconds=seconds, written=pushed.applied.upserted, closed=pushed.applied.closed, requests=pushed.applied.requests,
            writing_s=every.seconds, upserts_per_s=upserts.records / upserts.seconds,
        )  # fmt: skip


if __name__ == "__main__":
    main()
