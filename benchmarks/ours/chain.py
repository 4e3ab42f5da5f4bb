"""The whole chain in Dagster with nothing to do, and a run of Dagster's that does nothing: from the first import to the last event.

    python -m benchmarks.ours.chain WORK FOLDER [--shards N] [--round R]

``make`` writes a project and releases it once; ``chain`` runs its ``release`` again. ``home`` makes an instance of the same
configuration; ``empty`` runs a job of one op that returns there, and imports nothing but Dagster. The clock starts before the first
import.
"""

import argparse
import time
from pathlib import Path

STARTED = time.perf_counter()
DATASET = "handbook"
_CONFIG = """
datasets:
  handbook:
    source: {{root: documents, include: ["*.md"]}}
    shards: {shards}
    spaces:
      tiny:
        embedder: {{kind: deterministic, model: bench, dimension: 384}}
        chunker: {{max_tokens: 200}}
    target: local
    gates: {{modes: {{answers: off, embedding_shift: off}}}}
    promotion: {{policy: automatic}}
"""


def make(folder: Path, shards: int) -> None:
    """A project of 500 documents, released."""
    (folder / "documents").mkdir(parents=True)
    for number in range(500):
        text = (
            f"# Page {number}\n\nThis page speaks of item{number} and of nothing else that any other page speaks of.\n"
        )
        (folder / "documents" / f"page{number:03d}.md").write_text(text, encoding="utf-8")
    (folder / "vector_pipeline.yaml").write_text(_CONFIG.format(shards=shards), encoding="utf-8")
    chain(folder)


def chain(folder: Path) -> dict[str, object]:
    """Release what is there."""
    from vector_pipeline.definitions import run_job

    outcome = run_job(folder / "vector_pipeline.yaml", DATASET, "release")
    assert outcome.success, outcome.messages
    return {"run": outcome.run_id}


def home(folder: Path) -> None:
    """An instance's home, as a project's is."""
    from vector_pipeline.resources.home import ensure_home

    ensure_home(folder)


def empty(folder: Path) -> dict[str, object]:
    """A run of nothing, by Dagster alone."""
    import dagster as dg

    @dg.op
    def nothing() -> None: ...

    @dg.job(executor_def=dg.in_process_executor)
    def idle() -> None:
        nothing()

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.from_config(str(folder / ".vector_pipeline" / "dagster")) as instance:
        result = idle.execute_in_process(instance=instance, run_config=quiet)
    assert result.success
    return {"run": result.run_id}


def main() -> None:
    """One work, once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", choices=["make", "chain", "home", "empty"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument("--round", type=int, default=0)
    given = parser.parse_args()
    counted: dict[str, object] = {}
    if given.work == "make":
        make(given.folder, given.shards)
    elif given.work == "home":
        home(given.folder)
    else:
        counted = {"chain": chain, "empty": empty}[given.work](given.folder)
    took = time.perf_counter() - STARTED
    from benchmarks.measuring import said

    said(seconds=took, **counted)


if __name__ == "__main__":
    main()
