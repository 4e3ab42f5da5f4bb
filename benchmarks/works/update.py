"""``update``: nothing changed, and 1% changed, from a file of documents to a new version; against what one would use instead.

Nothing changed comes twice: a file that nobody touched, of which we read size and time where peers read all of it, and one that was
written again with the same lines, which we read as a whole, too. A peer's one run counts for both.

Every side reads the same JSONL file, makes one chunk a document, embeds it by the same hash (``peers.hashed``), and keeps what the
next update needs on disk. Clocks begin with libraries loaded and the new file in its place, and end when the state is kept.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.agreeing import expect
from benchmarks.measuring import FailedError, Measured, Pair, Samples, Side, middle
from benchmarks.rows import Row, faster, rounded
from benchmarks.update_source import write_revision
from benchmarks.works import Sizes

WORK = "update"
PEERS = {
    "langchain": (
        "LangChain", 50.0, "index(), SQLRecordManager in SQLite as it comes, which waits for the disk at each commit; full "
        "clean-up, batches of 1,000; vectors are not kept",
    ),
    "cocoindex": (
        "CocoIndex", 1.0, "one memoised component a document, rows into SQLite, which is told not to wait for the disk; its own "
        "state in LMDB, which waits at its commits, as it comes",
    ),
    "llamaindex": (
        "LlamaIndex", 1.0, "IngestionPipeline, upserts, docstore in a JSON file that does not wait for the disk, no cache; vectors "
        "are not kept",
    ),
}  # fmt: skip
"""Module, name, goal, and what a reader must know."""
EVERY = 100
"""One document of so many is changed."""
SHARES = (0.01, 0.02, 0.04, 0.06, 0.08, 0.1)
BEND = 1.25
"""Times what a changed document takes below the share in the middle, beyond it: 1 is a straight line, a square would be 2.8."""
MIDDLE = 2
NOTHING = {"nothing changed, file untouched": (), "nothing changed, file written again": ("--again",)}
SOME = {"1% changed": ()}
SECONDS = 10.0
"""At a million documents."""
SLOW_S = 30.0
"""A peer whose first update takes longer runs once."""
LONGEST_SETUP_S = 900.0
"""A peer whose first load would take longer at the next size is left out there, and a row says so."""


@dataclass(slots=True)
class Peer:
    """One of those that we are compared with."""

    key: str
    loaded_s: float = 0.0
    """First load at the last size."""
    documents: int = 0

    def would_take(self, documents: int) -> float:
        return self.loaded_s / self.documents * documents if self.documents else 0.0


def measure(sizes: Sizes) -> Iterator[Row]:
    peers = [Peer(key) for key in PEERS]
    for documents in (2_000,) if sizes.quick else (20_000, 200_000, 1_000_000):
        with tempfile.TemporaryDirectory(prefix="update-") as name:
            yield from _at(Path(name), documents, peers, sizes.rounds)
    with tempfile.TemporaryDirectory(prefix="update-") as name:
        yield from _by_share(Path(name), 2_000 if sizes.quick else 200_000, sizes.rounds)


def _at(folder: Path, documents: int, peers: Sequence[Peer], rounds: int) -> Iterator[Row]:
    """Both updates of one size."""
    size = f"{documents:,} documents"
    for revision in range(rounds + 1):
        write_revision(folder / f"{revision}.jsonl", documents, [EVERY] * revision)
    ours, runs = _ours(folder), {one.key: _theirs(folder, one.key) for one in peers}
    expect("vector-pipeline", ours.run("--revision", "0").counted, changed=documents)
    for one in list(peers):
        if one.would_take(documents) > LONGEST_SETUP_S:
            runs.pop(one.key)
            yield Row(
                WORK, f"{PEERS[one.key][0]}, first load of {one.documents:,} documents", round(one.loaded_s, 1), "s", None,
                note=f"not run with {size}: loading them would take about {one.would_take(documents) / 60:.0f} minutes",
            )  # fmt: skip
            continue
        try:
            loaded = runs[one.key].run("--revision", "0")
            expect(PEERS[one.key][0], loaded.counted, changed=documents)
            one.loaded_s, one.documents = loaded.seconds, documents
        except FailedError as error:
            runs.pop(one.key)
            yield not_measured(one.key, size, error)
    for cases, arguments, changed in ((NOTHING, (), 0), (SOME, ("--revision", "1"), documents // EVERY)):
        mine, theirs, failed = in_turns(ours, runs, cases, arguments, rounds, changed=changed)
        for key, why in failed.items():
            runs.pop(key)
            yield not_measured(key, f"{size}, {', '.join(cases)}", why)
        for what, own in mine.items():
            for key, found in theirs.items():
                name, goal, told = PEERS[key]
                pair = Pair(Samples("vector-pipeline", own), Samples(name, found))
                once = f"; run once: it takes {found[0].seconds:.0f} s" if len(found) < rounds else ""
                limit = _limit(own, pair.theirs.seconds / goal)
                yield faster(WORK, f"{what}, {size}, against {name}", pair, goal, told + once, limit)
            seconds = sorted(run.seconds for run in own)
            yield Row(
                WORK, f"{what}, {size}, ours", round(seconds[len(seconds) // 2], 3), "s",
                SECONDS if documents == 1_000_000 else None, "at most", (round(seconds[0], 3), round(seconds[-1], 3)),
                ours={"counted": dict(own[-1].counted)},
                note="from the file to the version, lake and registry opened within; their SQLite files wait for the disk at each "
                "commit, files of rows do not",
                limit=_limit(own, SECONDS),
            )  # fmt: skip


def not_measured(key: str, what: str, error: FailedError) -> Row:
    """Of a peer that failed: it is left out from there on, of this size. No goal is reached that way."""
    why = " ".join(str(error).split())
    return Row(
        WORK, f"{what}, against {PEERS[key][0]}: not measured", 0, "runs", 1,
        limit=f"It failed: {why if len(why) < 300 else f'{why[:100]} … {why[-200:]}'}",
    )  # fmt: skip


def _limit(runs: Sequence[Measured], most: float) -> str:
    """Where the seconds of our median run go, and what they might be. Of a run with nothing to write that is what looking costs."""
    run = middle(runs)
    changed, commits = int(run.counted["changed"]), int(run.counted["commits"])
    file = "the file compared and its changes written" if changed else "the file compared"
    steps = {
        "opening lake and registry": "open_s", file: "sync_s", "chunks": "chunk_s", "vectors": "embed_s",
        "the version": "version_s",
    }  # fmt: skip
    found = sorted(((float(run.counted[key]), name) for name, key in steps.items()), reverse=True)
    what = "Ours" if changed else "Our floor, with nothing to write"
    parts = ", ".join(f"{name} {took:.2g} s" for took, name in found)
    return f"The goal would be {most:.2g} s. {what}: {run.seconds:.2g} s, {parts}; commits to the lake: {commits}"


def in_turns(
    ours: Side,
    theirs: Mapping[str, Side],
    cases: Mapping[str, Sequence[str]],
    arguments: Sequence[str],
    rounds: int,
    **expected: int,
) -> tuple[dict[str, list[Measured]], dict[str, list[Measured]], dict[str, FailedError]]:
    """Everyone once a round, we first in even ones and last in odd ones; who is slow takes part in the first round only.

    ``cases``: what we are run with, each once a round. ``expected``: what each run must have counted. Returns our runs, theirs, and
    why those failed who are not among them.
    """
    failed: dict[str, FailedError] = {}
    mine: dict[str, list[Measured]] = {what: [] for what in cases}
    found: dict[str, list[Measured]] = {key: [] for key in theirs}

    def run(side: Side, *more: str) -> Measured:
        done = side.run(*more)
        expect(side.name, done.counted, **expected)
        return done

    def we() -> None:
        for what, own in cases.items():
            mine[what].append(run(ours, *said, *own))

    for turn in range(rounds):
        said = (*arguments, "--round", str(turn))
        if turn % 2 == 0:
            we()
        for key, side in theirs.items():
            if key not in failed and all(one.seconds < SLOW_S for one in found[key]):
                try:
                    found[key].append(run(side, *said))
                except FailedError as error:
                    failed[key] = error
        if turn % 2:
            we()
    return mine, {key: runs for key, runs in found.items() if key not in failed}, failed


def _by_share(folder: Path, documents: int, rounds: int) -> Iterator[Row]:
    """Our seconds by what changed, without what reading the file alone takes; and whether they lie on a line."""
    runs: dict[float, list[Measured]] = {share: [] for share in SHARES}
    write_revision(folder / "0.jsonl", documents, [])
    for number, share in enumerate(SHARES, 1):
        write_revision(folder / f"{number}.jsonl", documents, [round(1 / share)])
    _ours(folder).run("--revision", "0")
    for turn in range(rounds):
        for number, share in enumerate(SHARES, 1) if turn % 2 == 0 else reversed([*enumerate(SHARES, 1)]):
            # Each begins with the first version alone: what updates leave behind is not what is asked for.
            copied = folder / "copied"
            shutil.copytree(folder / "ours", copied / "ours")
            runs[share].append(_ours(copied, folder).run("--revision", str(number), "--listing"))
            shutil.rmtree(copied)
    changed, taken = list[int](), list[float]()
    for found in runs.values():
        listing = float(np.median([float(run.counted["listing_s"]) for run in found]))
        seconds = sorted(run.seconds - listing for run in found)
        changed.append(int(found[-1].counted["changed"]))
        taken.append(float(np.median(seconds)))
        yield Row(
            WORK, f"{changed[-1]:,} of {documents:,} changed, ours, listing apart", round(taken[-1], 3), "s", None,
            spread=rounded(seconds[0], seconds[-1]),
            ours={"seconds": [round(run.seconds, 4) for run in found], "listing_s": round(listing, 3)},
        )  # fmt: skip
    yield line(documents, changed, taken)


def line(documents: int, changed: Sequence[int], taken: Sequence[float]) -> Row:
    """Whether seconds lie on a line that rises. Where they fall, a ratio of slopes would say nothing."""
    slope, base = (float(one) for one in np.polyfit(changed, taken, 1))
    few, many = (
        float(np.polyfit(changed[some], taken[some], 1)[0]) for some in (slice(MIDDLE + 1), slice(MIDDLE, None))
    )
    name = f"a changed document, {documents:,} documents: beyond {changed[MIDDLE]:,} changed ones against below"
    fitted = {"ms_per_document": round(slope * 1000, 4), "base_s": round(base, 3)}
    if few <= 0 or many <= 0:
        return Row(
            WORK, name, (few > 0) + (many > 0), "slopes that rise", 2, ours=fitted,
            limit="Rounds differ by more than the changes take: see the seconds above",
        )  # fmt: skip
    return Row(
        WORK, name, round(many / few, 2), "×", BEND, "at most", ours=fitted,
        note=f"{slope * 1000:.3g} ms a changed document, {base:.3g} s whatever changes",
        limit="More of what changes than a line through few changes says: see the seconds above",
    )  # fmt: skip


def _ours(folder: Path, sources: Path | None = None) -> Side:
    return Side("vector-pipeline", "benchmarks.ours.update", _where(folder, "ours", sources))


def _theirs(folder: Path, key: str) -> Side:
    return Side(PEERS[key][0], f"benchmarks.peers.update_{key}", _where(folder, key), peers=True)


def _where(folder: Path, side: str, sources: Path | None = None) -> tuple[str, ...]:
    return "--folder", str(folder / side), "--sources", str(sources or folder)
