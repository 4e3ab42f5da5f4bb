"""The benchmark's command."""

import argparse
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.gates.bench import Bench, Outcome
from benchmarks.gates.collections import CORPORA, available, load
from benchmarks.gates.failures import FAILURES
from benchmarks.gates.harmless import FOREIGN, KINDS, followed
from benchmarks.gates.models import MINILM
from benchmarks.gates.table import write_table

EMBEDDERS: dict[str, dict[str, object]] = {
    "minilm": {"model": MINILM, "document_prompt": "passage: ", "query_prompt": "query: "},
    "static": {"kind": "static", "model": "wordllama"},
}
Released = list[tuple[str, Outcome]]
CHAIN = 7
"""Releases that follow one upon the other before a collection begins again at version 1."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Seeded failures and harmless releases against the gates.")
    parser.add_argument("--collections", nargs="*", default=["scifact", "squad2dev", "pubmedqa"])
    parser.add_argument("--documents", type=int, default=500, help="Documents of a collection.")
    parser.add_argument("--harmless", type=int, default=204, help="Harmless releases, over all collections and models.")
    parser.add_argument("--every", action="store_true", help="Every collection with MiniLM too: hours on two cores.")
    parser.add_argument("--only", default="", help="Seeded failures whose name holds this.")
    parser.add_argument("--models", nargs="*", default=["minilm", "static"], choices=["minilm", "static"])
    parser.add_argument("--jobs", type=int, default=1, help="Collections at once.")
    parser.add_argument("--write", type=Path, help="Put the table of what caught what into this page.")
    parser.add_argument("--log", type=Path, help="Every release as a JSON line.")
    options = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    names = [name for name in options.collections if available(name)]
    if not names:
        print(f"no collection in {CORPORA}: see benchmarks/retrieval.py for what one is", file=sys.stderr)
        return 1
    # Rebuilding with the larger model takes most of the time: one collection shows what concerns models only.
    work = [
        (name, model)
        for model in options.models
        for name in (names if options.every or model != "minilm" else names[:1])
    ]
    each = -(-options.harmless // len(work))
    found: dict[str, list[Outcome]] = {}
    harmless: list[tuple[str, Outcome]] = []
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.jobs, initializer=_share, initargs=(options.jobs,)) as pool:
        given = [(*one, options.documents, options.only, each, options.log) for one in work]
        for seeded, let in pool.imap(_run, given):
            for name, outcome in seeded:
                found.setdefault(name, []).append(outcome)
            harmless += let
    if options.write and not options.only:
        pairs = ", ".join(f"{name} with {EMBEDDERS[model]['model']}" for name, model in work)
        where = f"{options.documents} documents of each collection ({pairs})"
        write_table(options.write, found, harmless, where)
    return _told(found, harmless)


def _share(jobs: int) -> None:
    """Processes that run side by side share the cores."""
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))


def _run(given: tuple[str, str, int, str, int, Path | None]) -> tuple[Released, Released]:
    """One collection with one model: (seeded, harmless) releases with what became of them."""
    name, model, documents, only, count, log = given
    seeded: Released = []
    harmless: Released = []
    with tempfile.TemporaryDirectory(prefix="gates-") as folder:
        bench = Bench(Path(folder), load(CORPORA / name, documents), EMBEDDERS[model])
        started = time.perf_counter()
        bench.prepare()
        _tell(log, bench.name, "prepared", None, time.perf_counter() - started)
        for failure in FAILURES:
            if only not in failure.name or (failure.needs_minilm and model != "minilm"):
                continue
            bench.restore()
            outcome = failure.run(bench, random.Random(f"{bench.name} {failure.name}"))
            seeded.append((failure.name, outcome))
            _tell(log, bench.name, failure.name, outcome, outcome.seconds)
        for number in range(count):
            # Releases follow one upon the other: those that pass are promoted, and the next one is compared with them.
            if number % CHAIN == 0 or (harmless and harmless[-1][1].stopped):
                bench.restore()
            change = KINDS[number % len(KINDS)]
            chance = random.Random(f"{bench.name} {number}")
            others = bench.collection.foreign if change in FOREIGN else bench.collection.held_out
            documents = change(bench.documents, others, chance)
            outcome = bench.release(documents, promote=True, moved=followed(bench.documents, documents))
            harmless.append((change.__name__, outcome))
            _tell(log, bench.name, f"harmless: {change.__name__}", outcome, outcome.seconds)
    return seeded, harmless


def _told(found: dict[str, list[Outcome]], harmless: Released) -> int:
    """The last line; and the exit code: 0 where the goal is reached."""
    seeded = sum(len(ones) for ones in found.values())
    stopped = sum(one.stopped for ones in found.values() for one in ones)
    wrongly = sum(one.stopped for _, one in harmless)
    line = {
        "kinds": len(found),
        "seeded": seeded,
        "seeded_stopped": stopped,
        "harmless": len(harmless),
        "harmless_stopped": wrongly,
        "missed": sorted({name for name, ones in found.items() for one in ones if not one.stopped}),
        "stopped_wrongly_by": dict(Counter(gate for _, one in harmless for gate in one.stopped_by)),
    }
    print(json.dumps(line))
    return 0 if stopped == seeded and wrongly <= len(harmless) * 0.01 else 1


def _tell(log: Path | None, bench: str, name: str, outcome: Outcome | None, seconds: float) -> None:
    by = "" if outcome is None else ", ".join(outcome.stopped_by) or "passed"
    print(f"{bench:<32} {name:<48} {seconds:6.1f} s  {by}", flush=True)
    if log is not None:
        said = {} if outcome is None else {"stopped_by": outcome.stopped_by, "says": outcome.says}
        line = json.dumps({"collection": bench, "release": name, "seconds": round(seconds, 2), **said})
        with log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
