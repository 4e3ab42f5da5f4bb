"""Do the lost documents belong together? Groups of production's documents, and how many of each are lost.

Laws
----
1. A group is lost when more of it is lost than is tolerated, when that is not few, and when it cannot be chance: as many would not
   come together if as many documents were lost anywhere. Chance is corrected for all groups that might have been looked at.
2. Groups: folders, shards and values of metadata, counted in full; words, and neighbours in the embedding space, in a sample of
   whole shards (documents are in shards by a hash of their ids, so that a shard is a sample).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vector_pipeline.arrow import as_one
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import within
from vector_pipeline.verify.context import Side
from vector_pipeline.verify.lost.moved import LOST, plain

SAMPLE = 20_000
"""Documents of which words and vectors are read."""
_CHANCE = 1e-3
_GROUPS = 100_000
"""For how many groups chance is corrected: more than there are folders, values, words of some frequency and places."""
_CHUNKS = 3
"""Chunks whose mean is a document's vector: its beginning."""
_NEIGHBOURS = (8, 50)
_NEIGHBOUR_SHARE = 0.008
_KEYS = 5
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Group:
    """Documents that have something in common, and how many of them are lost."""

    kind: str
    name: str
    lost: int
    of: int
    examples: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        return self.lost / self.of if self.of else 0.0


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Law 1. ``overall``: share of all documents that is lost."""

    max_topic: float
    least: int
    overall: float

    @classmethod
    def of(cls, max_topic: float, min_documents: int, documents: int, lost: int) -> "Tolerance":
        """Few is a quarter of the square root of all documents: 8 of 1,000, 25 of 10,000, 250 of 1,000,000."""
        return cls(max_topic, max(min_documents, round(math.sqrt(documents) / 4)), lost / max(1, documents))

    def exceeded(self, group: Group, least: int | None = None) -> bool:
        from scipy.special import bdtrc

        if group.lost < (self.least if least is None else least) or group.share <= self.max_topic:
            return False
        return bool(bdtrc(group.lost - 1, group.of, self.overall) < _CHANCE / _GROUPS)


def counted_groups(lake: Lake, old: str, least: int) -> list[Group]:
    """Folders (one and two deep), shards and metadata values that lost ``least`` documents or more; the most lost first."""
    shards = _grouped(lake, old, "shard", "shard::VARCHAR", least)
    folders = [
        group
        for depth in (1, 2)
        for group in _grouped(lake, old, "folder", f"regexp_extract(document_id, '^(?:[^/]+/){{{depth}}}')", least)
    ]
    values = [
        group
        for key in _keys(lake, least)
        for group in _grouped(lake, old, key, _value(f"'{key.replace(chr(39), chr(39) * 2)}'"), least)
    ]
    return sorted((*folders, *values, *shards), key=lambda one: -one.lost)


def _grouped(lake: Lake, old: str, kind: str, value: str, least: int) -> list[Group]:
    rows = lake.rows(
        f"""WITH l AS (SELECT {value} AS value, count(*) AS lost, min(document_id, 5) AS examples FROM {LOST} GROUP BY 1),
                 o AS (SELECT {value} AS value, count(*) AS documents FROM {old} GROUP BY 1)
            SELECT value, lost, documents, examples FROM l JOIN o USING (value)
            WHERE value <> '' AND length(value) <= 100 AND lost >= {int(least)} ORDER BY lost DESC, value LIMIT 100"""
    )
    return [Group(kind, str(value), int(lost), int(of), tuple(examples)) for value, lost, of, examples in rows]


def _value(key: str) -> str:
    return f"json_extract_string(metadata, '$.\"' || {key} || '\"')"


def _keys(lake: Lake, least: int) -> list[str]:
    """Metadata keys of which some value is common among what was lost."""
    rows = lake.rows(
        f"""SELECT key FROM (
                SELECT key, {_value("key")} AS value, count(*) AS documents
                FROM (SELECT metadata, unnest(json_keys(metadata)) AS key FROM {LOST}) GROUP BY ALL)
            WHERE documents >= {int(least)} AND NOT contains(key, '"') GROUP BY key
            ORDER BY max(documents) DESC, key LIMIT {_KEYS}"""
    )
    return [str(row[0]) for row in rows]


@dataclass(frozen=True, slots=True)
class Sampled:
    """Shards of which documents are drawn, as an SQL condition; ``share``: of all documents."""

    where: str
    shards: tuple[int, ...]
    share: float

    def few(self, least: int) -> int:
        """So many of the sample stand for ``least`` of all."""
        return max(3, round(least * self.share))


def draw(lake: Lake, old: str, limit: int = SAMPLE) -> Sampled:
    """About ``limit`` documents, of as few shards as hold them."""
    counts = lake.rows(f"SELECT shard, count(*) FROM {old} GROUP BY shard ORDER BY md5(shard::VARCHAR)")
    chosen: list[int] = []
    held = 0
    for shard, count in counts:
        if held >= limit:
            break
        chosen.append(int(shard))
        held += int(count)
    total = sum(int(count) for _, count in counts)
    kept = min(1.0, limit / max(1, held))
    bound = f" AND substr(content_hash, 1, 8) < '{round(kept * (16**8 - 1)):08x}'" if kept < 1 else ""
    return Sampled(f"{within(chosen)}{bound}", tuple(chosen), kept * held / max(1, total))


def word_groups(lake: Lake, old: str, sampled: Sampled, least: int) -> list[Group]:
    """Words of the sample that stand in ``least`` lost documents or more."""
    words = f"unnest(list_distinct(string_split({plain('text')}, ' '))) AS word"
    drawn = f"(SELECT document_id, text FROM {old} WHERE {sampled.where})"
    lake.run(
        f"""CREATE OR REPLACE TEMP TABLE lost_words AS
            SELECT word, count(*) AS lost, min(document_id, 5) AS examples
            FROM (SELECT document_id, {words} FROM {drawn} SEMI JOIN {LOST} USING (document_id))
            WHERE length(word) >= 4 GROUP BY word HAVING count(*) >= {int(least)}"""
    )
    rows = lake.rows(
        f"""SELECT word, any_value(lost), count(*), any_value(examples)
            FROM (SELECT {words} FROM {drawn}) JOIN lost_words USING (word)
            GROUP BY word HAVING any_value(lost) > 0.1 * count(*)
            ORDER BY any_value(lost) / count(*) DESC, any_value(lost) DESC, word LIMIT 1000"""
    )
    return [Group("word", str(word), int(lost), int(of), tuple(examples)) for word, lost, of, examples in rows]


def place_groups(lake: Lake, side: Side, sampled: Sampled, limit: int = 10) -> list[Group]:
    """Neighbourhoods of lost documents, the most lost first; none shares its lost documents with an earlier one."""
    ids, vectors = _document_vectors(lake, side, sampled)
    lost = _is_lost(lake, ids)
    least, most = _NEIGHBOURS
    width = min(most, max(least, round(_NEIGHBOUR_SHARE * len(ids))), len(ids))
    centres = np.flatnonzero(lost)[:_GROUPS]
    if not len(centres) or width < least:
        return []
    near = np.concatenate(list(_nearest(vectors, centres, width)))
    found, groups, used = lost[near].sum(axis=1), [], np.zeros(len(ids), dtype=bool)
    for row in np.argsort(-found, kind="stable"):
        if used[centres[row]]:
            continue
        members = near[row][lost[near[row]]]
        used[members] = True
        names = tuple(ids[member] for member in members[:5])
        groups.append(Group("neighbours of", ids[centres[row]], int(found[row]), width, names))
        if len(groups) == limit:
            break
    return groups


def _nearest(
    vectors: npt.NDArray[np.float32], centres: npt.NDArray[np.intp], width: int
) -> Iterable[npt.NDArray[np.intp]]:
    """The ``width`` nearest of each, itself among them."""
    for begin in range(0, len(centres), _BLOCK):
        near = vectors[centres[begin : begin + _BLOCK]] @ vectors.T
        if width >= len(vectors):
            yield np.argsort(-near, axis=1, kind="stable")
        else:
            yield np.argpartition(-near, width - 1, axis=1)[:, :width]


def _is_lost(lake: Lake, ids: Sequence[str]) -> npt.NDArray[np.bool_]:
    with lake.registered(
        "drawn_documents", pa.table({"place": range(len(ids)), "document_id": pa.array(ids, pa.string())})
    ):
        places = lake.rows(f"SELECT place FROM drawn_documents SEMI JOIN {LOST} USING (document_id)")
    lost = np.zeros(len(ids), dtype=bool)
    lost[[int(row[0]) for row in places]] = True
    return lost


def _document_vectors(lake: Lake, side: Side, sampled: Sampled) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Ids, and float32[n, dim]: the mean of each document's first chunks, of length 1."""
    shards = within(sampled.shards)
    rows = lake.table(
        f"""WITH drawn AS (SELECT document_id FROM {side.documents} WHERE {sampled.where}),
                 firsts AS (SELECT shard, document_id, content_hash FROM {side.chunks}
                            WHERE {shards} AND ordinal < {_CHUNKS} AND document_id IN (FROM drawn))
            SELECT f.document_id, e.vector FROM firsts f
            JOIN (SELECT * FROM {side.tables.embeddings} WHERE {shards}) e USING (shard, content_hash)
            WHERE len(e.vector) = {int(side.version.dimension)} ORDER BY f.document_id"""
    )
    if not rows.num_rows:
        return [], np.zeros((0, side.version.dimension), np.float32)
    names = rows["document_id"].to_numpy(zero_copy_only=False)
    begins = np.flatnonzero(np.concatenate(([True], names[1:] != names[:-1])))
    flat = as_one(rows["vector"]).flatten().to_numpy(zero_copy_only=False)
    sums = np.add.reduceat(np.nan_to_num(flat.reshape(len(names), -1).astype(np.float32)), begins, axis=0)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return names[begins].tolist(), (sums / np.maximum(lengths, np.float32(1e-12))).astype(np.float32)
