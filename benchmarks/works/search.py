"""Searches: exact ones against NumPy, ``exact=False`` against Chroma and LanceDB, filtered and not, in memory and beyond it.

Where the vectors fit half of the target's memory, the DuckDB target holds them and answers ``exact=False`` as it answers exact
searches, whether it has an HNSW index or not: that is what a user gets, and what has goals. Beyond that it reads its files, and
``hnsw: true`` is for then.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import FailedError, Measured, Samples, Side, side_by_side
from benchmarks.rows import Row, faster
from benchmarks.vectors import DIMENSION
from benchmarks.works import Sizes
from vector_pipeline.targets.duckdb.engine import bytes_in
from vector_pipeline.targets.duckdb.held import bytes_of

RECALL = 0.99
MEMORY = "2GB"
"""Of our target: its default."""
_OURS, _PEERS = "benchmarks.ours.search", "benchmarks.peers.search_peers"
_WARM = (
    "Seconds of a query, the median of 128, once each side has its vectors in memory: NumPy a float32 matrix, with a boolean mask"
    " made before; ours two bytes a component. Ours returns records with text and metadata, NumPy row numbers."
)
_LANCE = (
    "With scalar indexes on the filters' columns; its index at ef 200, refine 5. LanceDB's recall@10 is {recall:.3f}."
)
_EFS = (50, 100, 200, 400, 800)
_LARGE = 1_000_000
"""Records from which on Chroma's graph is not built, and the limit of memory is not looked at."""


def measure(sizes: Sizes) -> Iterator[Row]:
    """Rows of each size."""
    built = ""
    for records in (10_000,) if sizes.quick else (100_000, _LARGE):
        with tempfile.TemporaryDirectory(prefix="search-") as name:
            place = Path(name)
            Side("vectors", "benchmarks.vectors", (str(place / "data"), "--records", str(records))).run()
            data = ("--data", str(place / "data"))
            filled = Side("fill", _OURS, ("fill", str(place / "ours"), *data, "--memory", MEMORY)).run()
            yield from _exact(place, records, data, sizes)
            if records >= _LARGE:
                yield from _near(place, records, data, sizes, None, built)
                continue
            chroma = Side("fill", _PEERS, ("chroma-fill", str(place / "chroma"), *data), peers=True).run()
            built = (
                f" Chroma is left out: its graph of {records:,} took {chroma.seconds:.0f} s to build (ours, without one:"
                f" {filled.seconds:.0f} s), and graphs take more than in proportion."
            )
            yield from _near(place, records, data, sizes, place / "chroma", "")
            yield from _plain(place, records, data, sizes)
            if not sizes.quick:  # Half of what holds a small namespace is too little for DuckDB itself.
                yield from _beyond(place, records, data, sizes, filled, chroma.seconds)


def _ours(name: str, work: str, place: Path, data: tuple[str, ...], *more: str, folder: str = "ours") -> Side:
    memory = () if "--memory" in more else ("--memory", MEMORY)
    return Side(name, _OURS, (work, str(place / folder), *data, *memory, *more))


def _exact(place: Path, records: int, data: tuple[str, ...], sizes: Sizes) -> Iterator[Row]:
    for batch, label in ((1, "one query at a time"), (32, "32 queries at once")):
        more = ("--batch", str(batch))
        pair = side_by_side(
            _ours("exact", "exact", place, data, *more),
            Side("NumPy", _PEERS, ("numpy", str(place), *data, *more), peers=True),
            sizes.rounds,
        )
        named = f"exact, {records:,} × {DIMENSION}, filters on, {label}"
        yield faster("search", f"{named}, against NumPy", pair, 1.0, _WARM)
        yield _recall(f"{named}, recall@10", pair.ours)
        if batch == 1:
            first = pair.ours.median("first_s")
            why = f"Once in a process, for a namespace of that size; searches meanwhile read the files. {_held()}"
            yield Row("search", f"reading {records:,} vectors into memory", round(first, 2), "s", None, note=why)


def _held() -> str:
    """Where the limit is."""
    most = bytes_in(MEMORY) // 2 // bytes_of(1, DIMENSION)
    return (
        f"Vectors are held up to half of the target's memory_limit: {most:,} of {DIMENSION} at {MEMORY}, of all namespaces."
        " Searches of a namespace that does not fit read its files, each time."
    )


def _near(
    place: Path, records: int, data: tuple[str, ...], sizes: Sizes, chroma_in: Path | None, missing: str
) -> Iterator[Row]:
    """What ``exact=False`` gives by default. ``chroma_in``: a filled Chroma, or ``missing`` says why there is none."""
    near = _ours("exact=False", "near", place, data)
    named = f"`exact=False`, held in memory, {records:,} × {DIMENSION}, filters on"
    mine = _checked(near.run(), held=True)
    note = f"Vectors that are held are all looked at: it is answered as an exact search is. {_held()}{missing}"
    yield Row(
        "search", f"{named}, a query", round(mine.seconds * 1000, 2), "ms", None, ours=dict(mine.counted), note=note
    )
    yield _recall(f"{named}, recall@10", Samples(near.name, [mine]))
    if chroma_in is not None:
        chroma, ef = _chroma(chroma_in, data, float(mine.counted["recall"]))
        pair = side_by_side(near, chroma, sizes.rounds)
        yield faster("search", f"{named}, against Chroma", pair, 1.0, _told(ef, pair.theirs))
    Side("fill", _PEERS, ("lance-fill", str(place / "lance"), *data), peers=True).run()
    for work, label in (("lance-flat", "without a vector index"), ("lance-index", "with IVF_HNSW_SQ")):
        lance = Side("LanceDB", _PEERS, (work, str(place / "lance"), *data), peers=True)
        pair = side_by_side(near, lance, sizes.rounds)
        note = _LANCE.format(recall=pair.theirs.median("recall"))
        yield faster("search", f"{named}, against LanceDB {label}", pair, None, note)


def _plain(place: Path, records: int, data: tuple[str, ...], sizes: Sizes) -> Iterator[Row]:
    """The same without filters."""
    more = (*data, "--plain")
    named = f"{records:,} × {DIMENSION}, no filter, one query at a time"
    numpy = Side("NumPy", _PEERS, ("numpy", str(place), *more), peers=True)
    pair = side_by_side(_ours("exact", "exact", place, more), numpy, sizes.rounds)
    yield faster("search", f"exact, {named}, against NumPy", pair, None, _WARM)
    near = _ours("exact=False", "near", place, more)
    chroma, ef = _chroma(place / "chroma", more, float(near.run().counted["recall"]))
    pair = side_by_side(near, chroma, sizes.rounds)
    named = f"`exact=False`, held in memory, {named}, against Chroma"
    yield faster("search", named, pair, None, _told(ef, pair.theirs))


def _beyond(
    place: Path, records: int, data: tuple[str, ...], sizes: Sizes, filled: Measured, built: float
) -> Iterator[Row]:
    """A namespace just too big to be held: from files, and with HNSW. ``built``: seconds that Chroma's graph took."""
    limit = 2 * bytes_of(records, DIMENSION) - 1
    small = ("--memory", f"{limit}B")
    named = f"beyond memory, {records:,} × {DIMENSION}, filters on"
    note = f"memory_limit is {limit / 1e6:.0f} MB, a byte less than would hold the vectors: the files are read."
    files = _checked(_ours("from files", "exact", place, data, *small).run(), held=False)
    yield Row(
        "search", f"exact, {named}, a query", round(files.seconds, 4), "s", None, ours=dict(files.counted), note=note
    )
    graph = _ours("fill", "fill", place, data, "--hnsw", folder="hnsw").run()
    near = _ours("HNSW", "near", place, data, "--hnsw", *small, folder="hnsw")
    chroma, ef = _chroma(place / "chroma", data, float(_checked(near.run(), held=False).counted["recall"]))
    pair = side_by_side(near, chroma, sizes.rounds)
    why = (
        f"{note} `hnsw: true` keeps its graphs in memory beside that limit: the process held {pair.ours.peak_mb:.0f} MB. Filling"
        f" took {graph.seconds:.0f} s, without a graph {filled.seconds:.0f} s; Chroma {built:.0f} s."
    )
    yield Row("search", f"HNSW, {named}, a query", round(pair.ours.seconds, 4), "s", None, note=why)
    yield _recall(f"HNSW, {named}, recall@10", pair.ours)
    yield faster("search", f"HNSW, {named}, against Chroma", pair, 1.0, _told(ef, pair.theirs))


def _chroma(folder: Path, data: tuple[str, ...], recall: float) -> tuple[Side, int]:
    """Chroma with the least ef_search that reaches a recall; with the one that finds most where none does."""
    tried: list[tuple[float, Side, int]] = []
    for ef in _EFS:
        side = Side("Chroma", _PEERS, ("chroma", str(folder), *data, "--ef", str(ef)), peers=True)
        found = side.run().counted["recall"]
        tried.append((found, side, ef))
        if found >= recall:
            break
    _, side, ef = max(tried, key=lambda one: one[0])
    return side, ef


def _checked(run: Measured, *, held: bool) -> Measured:
    """The run, if it had its vectors where its row says."""
    if run.counted["held"] is not held:
        raise FailedError(f"vectors {'are not' if held else 'are'} held in memory")
    return run


def _told(ef: int, chroma: Samples) -> str:
    return (
        f"Chroma's ef_search is {ef}, the least tried that finds as much, or most; its recall@10 is"
        f" {chroma.median('recall'):.3f}."
    )


def _recall(name: str, ours: Samples) -> Row:
    return Row("search", name, round(ours.median("recall"), 4), "", RECALL)
