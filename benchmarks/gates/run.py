"""The benchmark's command.

Laws
----
1. A release is told in the log when it is judged. What the log of an earlier run holds is not made again: it goes on where it was
   stopped. Of harmless releases those are taken over whose whole chain is there, because each is compared with the one before.
2. Failures and harmless releases of a collection with a model are two pieces of work, each on a project of its own.
"""

import argparse
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
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
HARMLESS = "harmless: "
CHAIN = 7
"""Releases that follow one upon the other before a collection begins again at version 1."""
SLOW_HARMLESS = 21
"""Harmless releases with MiniLM: what is harmless is so by its texts, and a rebuild with the static model takes a twentieth."""


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
    parser.add_argument("--log", type=Path, help="Every release as a JSON line; what it holds is not made again.")
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
    slow = sum(model == "minilm" for _, model in work)
    each = -(-max(0, options.harmless - slow * SLOW_HARMLESS) // max(1, len(work) - slow))
    counts = {"minilm": min(SLOW_HARMLESS, options.harmless), "static": each}
    parts = [
        Part(name, model, options.documents, options.only, count, options.log)
        for name, model in work
        for count in dict.fromkeys((0, counts[model]))
    ]
    found: dict[str, list[Outcome]] = {}
    harmless: list[tuple[str, Outcome]] = []
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.jobs, initializer=_share, initargs=(options.jobs,), maxtasksperchild=1) as pool:
        for seeded, let in pool.imap(_run, parts):
            for name, outcome in seeded:
                found.setdefault(name, []).append(outcome)
            harmless += let
    if options.write and not options.only:
        pairs = ", ".join(f"{name} with {EMBEDDERS[model]['model']}" for name, model in work)
        where = f"{options.documents} documents of each collection ({pairs})"
        write_table(options.write, found, harmless, where)
    return _told(found, harmless)


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of work: the failures (``harmless`` 0) or so many harmless releases of a collection with a model."""

    collection: str
    model: str
    documents: int
    only: str
    harmless: int
    log: Path | None

    @property
    def name(self) -> str:
        """As in the log."""
        return f"{self.collection}, {EMBEDDERS[self.model]['model']}"

    def logged(self, *, harmless: bool) -> Released:
        """Law 1: what the log holds of it, in order; of what it holds twice the last."""
        if self.log is None or not self.log.exists():
            return []
        lines = map(json.loads, self.log.read_text(encoding="utf-8").splitlines())
        mine = [one for one in lines if one["collection"] == self.name and "stopped_by" in one]
        told = [one for one in mine if one["release"].startswith(HARMLESS) is harmless]
        last = {one.get("number", order) if harmless else one["release"]: one for order, one in enumerate(told)}
        return [
            (one["release"].removeprefix(HARMLESS), Outcome(tuple(one["stopped_by"]), one["says"], one["seconds"]))
            for one in last.values()
        ]


def _share(jobs: int) -> None:
    """Processes that run side by side share the cores."""
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))


def _run(part: Part) -> tuple[Released, Released]:
    """(seeded, harmless) releases of a part with what became of them."""
    done = part.logged(harmless=part.harmless > 0)
    with tempfile.TemporaryDirectory(prefix="gates-") as folder:
        bench = Bench(Path(folder), load(CORPORA / part.collection, part.documents), EMBEDDERS[part.model])
        return ([], _let(part, bench, done)) if part.harmless else (_seed(part, bench, dict(done)), [])


def _prepare(part: Part, bench: Bench) -> None:
    started = time.perf_counter()
    bench.prepare()
    _tell(part.log, bench.name, "prepared", None, time.perf_counter() - started)


def _seed(part: Part, bench: Bench, done: dict[str, Outcome]) -> Released:
    wanted = [one for one in FAILURES if part.only in one.name and not (one.needs_minilm and part.model != "minilm")]
    if any(one.name not in done for one in wanted):
        _prepare(part, bench)
    for failure in wanted:
        if failure.name not in done:
            bench.restore()
            done[failure.name] = failure.run(bench, random.Random(f"{bench.name} {failure.name}"))
            _tell(part.log, bench.name, failure.name, done[failure.name], done[failure.name].seconds)
    return [(one.name, done[one.name]) for one in wanted]


def _let(part: Part, bench: Bench, done: Released) -> Released:
    """Releases follow one upon the other: those that pass are promoted, and the next one is compared with them."""
    kept = done[: part.harmless] if len(done) >= part.harmless else done[: len(done) // CHAIN * CHAIN]
    if len(kept) < part.harmless:
        _prepare(part, bench)
    for number in range(len(kept), part.harmless):
        if number % CHAIN == 0 or kept[-1][1].stopped:
            bench.restore()
        change = KINDS[number % len(KINDS)]
        chance = random.Random(f"{bench.name} {number}")
        others = bench.collection.foreign if change in FOREIGN else bench.collection.held_out
        documents = change(bench.documents, others, chance)
        outcome = bench.release(documents, promote=True, moved=followed(bench.documents, documents))
        kept.append((change.__name__, outcome))
        _tell(part.log, bench.name, f"{HARMLESS}{change.__name__}", outcome, outcome.seconds, number)
    return kept


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


def _tell(
    log: Path | None, bench: str, name: str, outcome: Outcome | None, seconds: float, number: int | None = None
) -> None:
    by = "" if outcome is None else ", ".join(outcome.stopped_by) or "passed"
    print(f"{bench:<32} {name:<48} {seconds:6.1f} s  {by}", flush=True)
    if log is not None:
        said: dict[str, object] = {} if outcome is None else {"stopped_by": outcome.stopped_by, "says": outcome.says}
        said |= {} if number is None else {"number": number}
        line = json.dumps({"collection": bench, "release": name, "seconds": round(seconds, 2), **said})
        with log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
