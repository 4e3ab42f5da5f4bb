"""A push over the Pinecone protocol against the SDK's own upserts of the same records: in turns, a process and a server for each.

The server (``vector-pipeline dev pinecone``, without faults or limits) is a process of its own. Ours is the whole command, from the
lake to reads that see it; theirs is the seconds of its calls, on finished dictionaries or a finished DataFrame in memory.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.agreeing import expect
from benchmarks.measuring import Measured, Pair, Samples, Side
from benchmarks.rows import Row, rounded
from benchmarks.works import Sizes

WORK = "push"
MOST_OF_ALL = 2.0
"""Percent of the time of everything, for 1%."""
LEAST_RATE = 90.0
"""Percent of the SDK's rate, for everything."""
CALLS = ("upsert", "upsert_from_dataframe")
OURS = "vector-pipeline"
MOST_LOADS = 2
"""A load of a million takes a minute and a half."""
_NO_LIMIT = "{requests: 10000, upsert_mb: 10000}"
"""The SDK keeps under no limit; nor does ours here."""
NOTE = (
    "The server is ours (`vector-pipeline dev pinecone`), on this machine, whose cores it shares with the side that writes: no"
    " network and no rate limits. Against the service the ratio is another one. The SDK's clock runs during its calls alone:"
    " records are read from files and made into dictionaries or a DataFrame outside it, a file of about 130,000 at a time; its"
    " index is there before. Ours opens the lake and the registry, plans, makes index and namespace, reads and writes every record,"
    " journals each write and waits until reads see them. Eight requests at once on both sides, each of at most 2 MB. Ours writes"
    " numbers with the digits of 32-bit floats; the SDK is given what ``tolist()`` makes of them, and writes 1.7 times as many"
    " bytes a vector."
)


def measure(sizes: Sizes) -> Iterator[Row]:
    """First loads, and 1% of the largest."""
    counts = (10_000,) if sizes.quick else (100_000, 1_000_000)
    for records in counts:
        with tempfile.TemporaryDirectory(prefix="push-") as name:
            folder = Path(name)
            made = (str(folder / "made"), "--records", str(records))
            Side("fill", "benchmarks.ours.lake", ("fill", *made)).run()
            Side("files", "benchmarks.ours.lake", ("files", *made)).run()
            yield from _at(folder, records, sizes.rounds, goals=records == counts[-1])


def _at(folder: Path, records: int, rounds: int, *, goals: bool) -> Iterator[Row]:
    """Every side in turns. ``goals``: 1% too, after our last load, on the server that holds it."""
    loads: dict[str, list[Measured]] = {OURS: [], **{call: [] for call in CALLS}}
    parts: list[Measured] = []
    turns = min(rounds, MOST_LOADS)
    for turn in range(turns):
        for side in list(loads) if turn % 2 == 0 else reversed(loads):
            if side == OURS:
                load, *parts = _ours(folder, records, turn, rounds if goals and turn == turns - 1 else 0)
                loads[side].append(load)
            else:
                loads[side].append(_theirs(folder, side, records, turn))
    mine, everything = Samples(OURS, loads[OURS]), Samples("upsert", loads["upsert"])
    for call in CALLS:
        yield from _load_rows(records, Pair(mine, Samples(call, loads[call])), goals=goals)
    if parts:
        yield _part_row(records, parts, everything)


def _load_rows(records: int, pair: Pair, *, goals: bool) -> Iterator[Row]:
    """Of one call of the SDK: the rate of the whole command, and of its writing alone."""
    label, call = f"first load of {records:,} × 384", pair.theirs.name
    least, most = pair.spread
    writing = records / pair.ours.median("upserts_per_s")
    yield Row(
        WORK, f"{label}, the whole command, rate of the SDK's {call}", round(100 * pair.times_faster, 1), "%",
        LEAST_RATE if goals else None, spread=rounded(100 * least, 100 * most),
        ours=_told(pair.ours.runs), theirs=_told(pair.theirs.runs), note=NOTE,
        limit=f"Writing alone goes at {100 * pair.theirs.seconds / writing:.0f}% of the SDK's rate; the rest is opening, planning,"
        " checking the version, and waiting until reads see it.",
    )  # fmt: skip
    yield Row(
        WORK, f"{label}, writing alone, rate of the SDK's {call}", round(100 * pair.theirs.seconds / writing, 1), "%", None,
        note="By the newest writes that the journal names: records in the seconds in which one of them was under way.",
    )  # fmt: skip


def _part_row(records: int, parts: Sequence[Measured], everything: Samples) -> Row:
    """1% against everything: the figure is of medians, the spread the least by the greatest and the greatest by the least."""
    ours = Samples(OURS, parts)
    theirs = [run.seconds for run in everything.runs]
    mine = [run.seconds for run in parts]
    writing, written = ours.median("writing_s"), int(ours.median("written"))
    rate = ours.median("upserts_per_s") / (records / everything.seconds)
    return Row(
        WORK, f"1% of {records:,} × 384, the whole command, time of the SDK's upsert of everything",
        round(100 * ours.seconds / everything.seconds, 2), "%", MOST_OF_ALL, "at most",
        spread=rounded(100 * min(mine) / max(theirs), 100 * max(mine) / min(theirs)),
        ours=_told(parts), theirs=_told(everything.runs),
        note="Each 1% is of other records and a process of its own: it opens the lake and the registry within its clock.",
        limit=f"Writing the {written:,} records and ending those they replace takes {writing:.2g} of {ours.seconds:.2g} s"
        f" (records at {rate:.0%} of the SDK's rate); the rest is opening lake and registry and looking up what changed.",
    )  # fmt: skip


def _ours(folder: Path, records: int, turn: int, parts: int) -> list[Measured]:
    """A first load into a server, then ``parts`` times 1% of the records."""
    from tests.support.pinecone_process import ServerProcess, target_yaml

    place = folder / "ours"
    shutil.copytree(folder / "made", place, ignore=shutil.ignore_patterns("import"))
    # What the copy left to write must not meet what the server writes.
    os.sync()
    changed = Side("commit", "benchmarks.ours.lake", ("commit", str(place), "--records", str(records)))
    with ServerProcess(folder / "server") as server:
        target = target_yaml(server, "ours", limits=_NO_LIMIT)
        push = Side(OURS, "benchmarks.ours.push", (str(place), "--target", target))
        found = [push.run("--round", str(turn))]
        expect(OURS, found[0].counted, written=records, closed=0)
        for part in range(parts):
            changed.run()
            found.append(push.run("--round", str(part)))
            expect(OURS, found[-1].counted, written=records // 100, closed=records // 100)
        # Records that were closed stay until they are collected. One more is the sentinel by which a push knows that reads see it.
        expect(f"{OURS}: the server", _held(server.url), records=records + parts * (records // 100) + 1)
    _gone(place, folder / "server")
    return found


def _theirs(folder: Path, call: str, records: int, turn: int) -> Measured:
    """Every record into a server, by the SDK."""
    from tests.support.pinecone_process import ServerProcess

    with ServerProcess(folder / "server") as server:
        said = (call, str(folder / "made" / "import"), "--host", server.url, "--round", str(turn))
        found = Side(call, "benchmarks.peers.push_sdk", said).run()
        expect(call, found.counted, written=records)
        expect(f"{call}: the server", _held(server.url), records=records)
    _gone(folder / "server")
    return found


def _held(url: str) -> Mapping[str, int]:
    """What the indexes of a server hold, as it counts them."""
    from pinecone import Pinecone

    records = 0
    with Pinecone(host=url) as client:
        for one in client.list_indexes():
            with client.index(name=one.name) as index:
                records += index.describe_index_stats().total_vector_count
    return {"records": records}


def _gone(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder)


def _told(runs: Sequence[Measured]) -> Mapping[str, object]:
    return {
        "seconds": [round(run.seconds, 3) for run in runs],
        "peak_mb": round(max(run.peak_mb for run in runs)),
        "counted": [dict(run.counted) for run in runs],
    }
