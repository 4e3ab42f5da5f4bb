"""The whole chain in Dagster with nothing to do, and a run of Dagster's that does nothing: from the first import to the last event.

    python -m benchmarks.ours.chain WORK FOLDER [--shards N] [--round R]

``make`` writes a project and releases it once; ``chain`` runs its ``release`` again. ``home`` makes an instance of the same
configuration; ``empty`` runs a job of one op that returns there, and imports nothing but Dagster. The clock starts before the first
import; what the run's log says of its parts is read when it has stopped.
"""

import argparse
import time
from pathlib import Path

STARTED = time.perf_counter()
DATASET = "handbook"
OFF = ("answers", "embedding_shift")
"""Gates that replay questions, and compare vectors with production's."""
_HOME = Path(".vector_pipeline", "dagster")
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
    gates: {{modes: {{{off}}}}}
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
    config = _CONFIG.format(shards=shards, off=", ".join(f"{gate}: off" for gate in OFF))
    (folder / "vector_pipeline.yaml").write_text(config, encoding="utf-8")
    chain(folder)


def chain(folder: Path) -> dict[str, object]:
    """Release what is there."""
    from vector_pipeline.definitions import run_job

    imported = time.perf_counter() - STARTED
    outcome = run_job(folder / "vector_pipeline.yaml", DATASET, "release")
    assert outcome.success, outcome.messages
    return {"run": outcome.run_id, "imports_s": imported}


def home(folder: Path) -> None:
    """An instance's home, as a project's is."""
    from vector_pipeline.resources.home import ensure_home

    ensure_home(folder)


def empty(folder: Path) -> dict[str, object]:
    """A run of nothing, by Dagster alone."""
    import dagster as dg

    imported = time.perf_counter() - STARTED

    @dg.op
    def nothing() -> None: ...

    @dg.job(executor_def=dg.in_process_executor)
    def idle() -> None:
        nothing()

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.from_config(str(folder / _HOME)) as instance:
        result = idle.execute_in_process(instance=instance, run_config=quiet)
    assert result.success
    return {"run": result.run_id, "imports_s": imported}


def logged(folder: Path, run: str) -> dict[str, float]:
    """What Dagster's log says of a run that is over: events and judged checks; seconds of all, of steps that judge, of others."""
    import dagster as dg

    with dg.DagsterInstance.from_config(str(folder / _HOME)) as instance:
        entries = [entry for entry in instance.all_logs(run) if entry.dagster_event is not None]
        steps = instance.get_run_step_stats(run)
    judging = [one.step_key for one in entries if one.dagster_event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION]
    seconds = {True: 0.0, False: 0.0}
    for step in steps:
        if step.start_time is not None and step.end_time is not None:
            seconds[step.step_key in judging] += step.end_time - step.start_time
    return {
        "events": len(entries), "checks": len(judging), "run_s": entries[-1].timestamp - entries[0].timestamp,
        "judging_s": seconds[True], "others_s": seconds[False],
    }  # fmt: skip


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
    if "run" in counted:
        counted |= logged(given.folder, str(counted["run"]))
    from benchmarks.measuring import said

    said(seconds=took, **counted)


if __name__ == "__main__":
    main()
