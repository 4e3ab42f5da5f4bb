"""Hashes of rows that add up: a shard's digest is the sum over its rows, so that what came and what went moves it.

A row's hash is the md5 of what it is known by, of a record its id and its metadata's hash: 128 bits, which are added as two numbers
modulo 2^64. A record id stands once in a state, so the sum is of a set. Against accidents that is as good as a hash over the sorted
rows, needs no sorting and no memory, and takes a fifth of the time (1,000,000 rows: 0.15 s against 0.80 s, two threads). It is no
defence against somebody who may write into the lake: who may, may write anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from vector_pipeline.lake.connection import Lake

_WORD = 1 << 64
RECORD, DOCUMENT, CONTENT = "record_id || metadata_hash", "document_id || digest", "content_hash"
"""SQL: what a row of chunks, of documents and of vectors is known by."""
Shards = dict[int, "Sum"]
"""Of each shard that has a row."""


@dataclass(frozen=True, slots=True)
class Sum:
    """Of one shard's rows."""

    records: int
    high: int
    low: int

    def plus(self, more: "Sum") -> "Sum":
        """With the rows of another sum, which may be negative."""
        return Sum(self.records + more.records, (self.high + more.high) % _WORD, (self.low + more.low) % _WORD)


NOTHING = Sum(0, 0, 0)


def sums(lake: Lake, relation: str, sign: str = "1", known_by: str = RECORD) -> Shards:
    """Of each shard of a relation with ``shard`` and the columns of ``known_by``. ``sign``: SQL, how often a row counts."""
    rows = lake.rows(
        f"""SELECT shard, sum(sign)::BIGINT, {added_up("hashed", "sign * ")}
            FROM (SELECT shard, {sign} AS sign, md5_number({known_by}) AS hashed FROM {relation} r) GROUP BY shard"""
    )
    return {int(shard): Sum(int(records), int(high) % _WORD, int(low) % _WORD) for shard, records, high, low in rows}


def moved(shards: Mapping[int, Sum], more: Mapping[int, Sum]) -> Shards:
    """Sums with those of rows that came, or (negative ones) went; shards without a row are left out."""
    found = dict(shards)
    for shard, one in more.items():
        found[shard] = found.get(shard, NOTHING).plus(one)
    return {shard: one for shard, one in found.items() if one.records}


def rows_of(shards: Mapping[int, Sum]) -> int:
    """Of all shards together."""
    return sum(one.records for one in shards.values())


def added_up(hashed: str, sign: str = "") -> str:
    """SQL: two sums of a column of 128-bit hashes, of their upper and their lower halves; NULL of no rows. No memory grows."""
    halves = f"({hashed} >> 64)", f"({hashed} & {_WORD - 1}::UHUGEINT)"
    return ", ".join(f"sum({sign}{half}::UBIGINT::HUGEINT)" for half in halves)


def as_text(one: Sum) -> str:
    """32 hex characters."""
    return f"{one.high:016x}{one.low:016x}"
