"""What a billion vectors would take: the figures of ``scale``, grown as they grew between its last two sizes.

    python -m benchmarks.billion

Puts its section into ``docs/performance.md``; ``python -m benchmarks`` does so, too. Nothing here is measured: it is reckoned from
``latest.json`` and from the limits below, each with its source.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import orjson

from benchmarks.page import PAGE, between
from benchmarks.release import FILES_MEMORY
from benchmarks.rows import load, put
from benchmarks.synthetic import SHARDS
from vector_pipeline.config import PineconeTargetConfig
from vector_pipeline.config.targets import PineconePriceConfig
from vector_pipeline.release.costs import requests
from vector_pipeline.targets.billing import GB, Work, money, reading
from vector_pipeline.targets.pinecone.abilities import abilities

BEGIN, END = "<!-- billion:begin -->", "<!-- billion:end -->"

MANY = 1_000_000_000
IMPORT_BYTES = 1_000_000_000_000
"""Of one import. Source: https://docs.pinecone.io/guides/index-data/data-ingestion-overview (November 2026); it does not hold for
indexes with dedicated read nodes (https://docs.pinecone.io/reference/api/database-limits/operation-limits)."""
LISTS = 200.0
"""Requests that list ids, a second and index. Source: https://docs.pinecone.io/reference/api/database-limits (November 2026)."""
RATES = "https://docs.pinecone.io/reference/api/database-limits"
SOURCES = (
    f"Pinecone's limits: [limits]({RATES}), [imports](https://docs.pinecone.io/guides/index-data/data-ingestion-overview); its "
    "prices: [understanding cost](https://docs.pinecone.io/guides/manage-cost/understanding-cost); all as of November 2026."
)
MEMORY_GB = 24.0
"""Of the machine that was measured on."""
LIMIT_GB = 6
"""What the lake may take where *scale* is measured, and the target as much."""
CONFIGURED_GB, BESIDE_GB = 2.0 * LIMIT_GB, 1.5
"""What both may take together, and what a process takes beside them: Python, Arrow, batches on their way."""
FILES, FILES_GB = "import files", float(FILES_MEMORY.removesuffix("GB"))
"""The step that has a limit of its own, of the lake alone; and that."""
PLATEAU = 1.1
"""Times the memory of the size before."""
DAY_S, HOUR_S = 86_400.0, 3_600.0
DIMENSION = 384
OF_A_RELEASE = ("build, 1% changed", "push, 1% changed", "verify, 1% changed", "drift, ids")
"""Steps that somebody waits for."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of ``scale``: seconds and most memory (MB) by how many vectors there are."""

    name: str
    seconds: Mapping[int, float]
    peak_mb: Mapping[int, float]

    @property
    def growth(self) -> float:
        """Exponent of the seconds between the last two sizes; never less than 0."""
        before, last = sorted(self.seconds)[-2:]
        return max(0.0, math.log(self.seconds[last] / self.seconds[before]) / math.log(last / before))

    def expected_s(self, count: int) -> float:
        last = max(self.seconds)
        return float(self.seconds[last] * (count / last) ** self.growth)

    @property
    def mb_a_vector(self) -> float:
        """What memory grew by between the last two sizes, for each vector; never less than 0."""
        before, last = sorted(self.peak_mb)[-2:]
        return max(0.0, (self.peak_mb[last] - self.peak_mb[before]) / (last - before))

    def within(self, seconds: float) -> float:
        """How many vectors it takes until it lasts so long."""
        last = max(self.seconds)
        return float(last * (seconds / self.seconds[last]) ** (1 / self.growth)) if self.growth else math.inf

    @property
    def kept(self) -> bool:
        """Whether it kept within what it may take, at every size that was measured."""
        return max(self.peak_mb.values()) <= ((FILES_GB if self.name == FILES else CONFIGURED_GB) + BESIDE_GB) * 1024

    @property
    def flat(self) -> bool:
        """Whether the last size took hardly more memory than the one before."""
        before, last = sorted(self.peak_mb)[-2:]
        return self.peak_mb[last] <= PLATEAU * self.peak_mb[before]

    def fits(self, gb: float) -> float:
        """How many vectors it takes until it holds so much memory, by a line; never, where it took no more."""
        last = max(self.peak_mb)
        if not self.mb_a_vector:
            return math.inf
        return last + (gb * 1024 - self.peak_mb[last]) / self.mb_a_vector


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that gives way."""

    vectors: float
    what: str
    then: str
    """What to do from there on."""


def steps(rows: Sequence[Mapping[str, Any]]) -> list[Step]:
    """Those of ``scale`` in the results."""
    found = [row["ours"] for row in rows if row["work"] == "scale" and "step" in row["ours"]]
    return [
        Step(
            one["step"], {int(count): float(s) for count, s in one["seconds"].items()},
            {int(count): float(mb) for count, mb in one["peak_mb"].items()},
        )
        for one in found
    ]  # fmt: skip


def kept(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
    """Files and bytes of each part, at the largest size."""
    return {
        row["name"].rpartition(", ")[2]: (row["ours"]["files"], row["ours"]["bytes"])
        for row in rows
        if row["work"] == "scale" and "files" in row["ours"]
    }


def limits(steps: Sequence[Step], each: float, disk: float, free: float) -> list[Limit]:
    """What gives way, the first one first.

    ``each``: bytes of a record in files for an import; ``disk``: of a record in lake and index; ``free``: of the machine's disk.
    """
    memory = min(steps, key=lambda one: one.fits(MEMORY_GB))
    slow = min((one for one in steps if one.name in OF_A_RELEASE), key=lambda one: one.within(HOUR_S), default=memory)
    found = [
        Limit(
            free / disk, f"lake and index fill this machine's disk ({free / GB:.0f} GB were free)",
            "the lake into a bucket and the index into a service ([S3 and PostgreSQL](s3-and-postgresql.md)), or a larger disk",
        ),
        Limit(
            memory.fits(MEMORY_GB),
            f"*{memory.name}* holds {MEMORY_GB:.0f} GB of memory, all of this machine's, if it grows on by a line: what "
            "`memory_limit` holds back is not shown at these sizes",
            "a larger machine, or a lower `memory_limit` of lake and target: DuckDB spills what it may not hold",
        ),
        Limit(
            slow.within(HOUR_S), f"*{slow.name}* takes more than an hour on two cores",
            "more processors: DuckDB and the products of matrices use all; or fewer gates in an environment "
            "([gates](gates.md)), and all of them in the one before it",
        ),
        Limit(
            IMPORT_BYTES / each, "an import of more than 1 TB is refused by Pinecone",
            "dedicated read nodes, to which the limit does not apply; or datasets of their own, each with its namespace",
        ),
        Limit(
            _RATES.upsert_mb * 1e6 * DAY_S / sent(each), f"upserts at {_RATES.upsert_mb:g} MB/s take more than a day",
            "a first load by import (`import_uri`); a release of 1% is upserted within a day up to a hundred times as many",
        ),
        Limit(
            100 * DAY_S * LISTS / reading(100, 0).requests, f"listing all ids at {LISTS:g} requests a second takes more than a day",
            "nothing before: a push follows its own ledger and lists nothing "
            "([decision 20](adr/0020-a-plan-of-what-changed.md)); drift by ids is for a weekend",
        ),
    ]  # fmt: skip
    return sorted((one for one in found if math.isfinite(one.vectors)), key=lambda one: one.vectors)


def sent(each: float) -> float:
    """Bytes of a record in a request: JSON, float32 in their shortest spelling. ``each``: in a file."""
    vector = np.random.default_rng(0).standard_normal(DIMENSION, dtype=np.float32)
    vector /= np.linalg.norm(vector)
    return each - vector.nbytes + len(orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY))


def page(rows: Sequence[Mapping[str, Any]]) -> str:
    """Two tables and a list; empty where ``scale`` was not measured."""
    measured = steps(rows)
    return "\n".join(_page(rows, measured)) if measured else ""


def _page(rows: Sequence[Mapping[str, Any]], measured: Sequence[Step]) -> Iterator[str]:
    base = max(measured[0].seconds)
    places = kept(rows)
    each = places["import files"][1] / base
    disk = sum(size for name, (_, size) in places.items() if name != "import files") / base
    free = next(
        float(row["ours"]["free_bytes"]) for row in rows if row["work"] == "scale" and "free_bytes" in row["ours"]
    )
    first, *rest = limits(measured, each, disk, free)
    yield f"The first thing to break, at {first.vectors / 1e6:,.0f} million vectors: {first.what}."
    yield f"What to do then: {first.then}. After that:"
    yield ""
    for place, limit in enumerate(rest, 2):
        yield f"{place}. At {limit.vectors / 1e6:,.0f} million vectors: {limit.what}. Then: {limit.then}."
    yield ""
    yield f"| step | {base:,} vectors | memory | grows as | {MANY:,} vectors |"
    yield "|---|---:|---:|---:|---:|"
    for one in measured:
        yield (
            f"| {one.name} | {duration(one.seconds[base])} | {one.peak_mb[base] / 1024:.1f} GB | n^{one.growth:.2f} "
            f"| {duration(one.expected_s(MANY))} |"
        )
    yield ""
    yield (
        "Exponents are those between the last two sizes, one run each but for what is repeated; an error of 0.1 in one is a factor "
        "of 1.6 at a billion. Memory is of a step's own process."
    )
    yield _memory(base, measured)
    yield ""
    yield f"| what | {base:,} vectors | {MANY:,} vectors |"
    yield "|---|---:|---:|"
    yield f"| records a shard, with {SHARDS} shards | {base // SHARDS:,} | {MANY // SHARDS:,} |"
    yield f"| shards, with as many records in each | {SHARDS} | {SHARDS * MANY // base:,} |"
    for name, (files, size) in places.items():
        then = f"{size / base * MANY / 1e12:,.2f} TB, {files * MANY // base:,} files"
        yield f"| {name} | {size / GB:,.1f} GB, {files:,} files | {then} |"
    for name, (few, many) in {what: (cost(base, each), cost(MANY, each)) for what, cost in _COSTS.items()}.items():
        yield f"| {name} | {few:,.0f} | {many:,.0f} |"
    yield ""
    yield SOURCES


def _memory(base: int, measured: Sequence[Step]) -> str:
    """What the peaks show, and no more."""
    flat, over = sum(one.flat for one in measured), ", ".join(f"*{one.name}*" for one in measured if not one.kept)
    return (
        f"Lake and target may take {CONFIGURED_GB:.0f} GB together (`memory_limit`), *{FILES}* {FILES_GB:.0f} GB of the lake: "
        f"with {base:,} vectors {over or 'no step'} held more than that and {BESIDE_GB:g} GB. "
        f"{flat} of {len(measured)} steps held at most {PLATEAU - 1:.0%} more than with the size before. "
        "The others still grew: where they stop is not shown here. What DuckDB spills to the disk is not counted."
    )


def _requests(count: int, each: float) -> int:
    return requests(count, int(count * each), _TARGET)


def _money(kind: str, count: int, each: float) -> float:
    return money([Work(kind, count, int(count * each), _requests(count, each))], _PRICES)


_CONFIG = PineconeTargetConfig(kind="pinecone", index="any")
_TARGET, _RATES, _PRICES = abilities(_CONFIG), _CONFIG.limits, PineconePriceConfig()
_COSTS: Mapping[str, Callable[[int, float], float]] = {
    "Pinecone: requests to upsert all": _requests,
    f"Pinecone: hours to upsert all, at {_RATES.upsert_mb:g} MB/s": lambda count, each: (
        count * sent(each) / (_RATES.upsert_mb * 1e6) / HOUR_S
    ),
    f"Pinecone: {_PRICES.currency} to upsert all": partial(_money, "upsert"),
    f"Pinecone: {_PRICES.currency} to import all": partial(_money, "import"),
    f"Pinecone: {_PRICES.currency} a month to keep it": lambda count, each: count * each / GB * _PRICES.per_gb_month,
    "Pinecone: requests to list all ids": lambda count, _: reading(count, 0).requests,
    f"Pinecone: hours to list all ids, at {LISTS:g} requests a second": lambda count, _: (
        reading(count, 0).requests / LISTS / HOUR_S
    ),
    f"Pinecone: {_PRICES.currency} to list all ids": lambda count, _: money([reading(count, 0)], _PRICES),
}


def duration(seconds: float) -> str:
    """``0.03 s``, ``42 s``, ``12 min``, ``3.4 h``."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def write() -> None:
    """Put the section between the page's markers."""
    text = PAGE.read_text(encoding="utf-8")
    put(PAGE, between(text, BEGIN, END, page(load()["rows"])))


if __name__ == "__main__":
    write()
