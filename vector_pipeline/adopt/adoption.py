"""What managing an index would change, and the one step of it that is of its own: vectors from the index into the lake.

Laws
----
1. ``examine`` writes temporary tables only. ``keep_vectors`` writes what ``examine`` on the same lake and thread found, and only
   for contents that have no vector yet: run again, it finds nothing to do.
2. A vector is kept if it is still, byte for byte, the one that was examined; what changed meanwhile is embedded.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from vector_pipeline.adopt.inventory import TEXT_KEYS, Inventory, take_inventory, vector_facts
from vector_pipeline.adopt.matching import Matched, foreign_records, match
from vector_pipeline.adopt.model_check import SAMPLE, ModelCheck, check_model
from vector_pipeline.embedding.base import Embedder, EmbeddingSpace
from vector_pipeline.embedding.batches import vectors_to_arrow
from vector_pipeline.lake import embeddings as store
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.documents import stage
from vector_pipeline.lake.tables import SpaceTables
from vector_pipeline.targets.base import Target

KNOWN_SCHEMA = pa.schema([("content_hash", pa.string())])
OnStep = Callable[[str, int, int, str], None]
"""Called with (step, done, total, unit)."""
_OVERHEAD = 200
"""Bytes that ids, hashes and marks of a record take on the way; an estimate for people."""
_COMMIT_ROWS = 4096


@dataclass(frozen=True, slots=True)
class AdoptionPlan:
    """What was found, and what taking it over would do. ``foreign``: every record that would not be carried over."""

    dataset: str
    environment: str
    space: str
    line: str
    """Namespace that a push would fill; the one that was found stays as it is."""
    line_target: str
    inventory: Inventory
    matched: Matched
    model: ModelCheck
    known: int
    """Contents that the lake has a vector of already."""
    kept: int
    """Contents whose vector would be taken from the index."""
    to_embed: int
    records: int
    """That the new line would hold."""
    bytes: int
    """To write; an estimate."""
    notes: tuple[str, ...]
    foreign: pa.Table = field(compare=False, repr=False)
    """``[id, document_id, why]``"""

    @property
    def seconds_saved(self) -> float | None:
        """Of embedding, at the rate that was measured on the sample; None when nothing was."""
        rate = self.model.texts_per_s
        return self.kept / rate if rate else None

    @property
    def message(self) -> str:
        """Of the baseline version: the same whether or not some of it was kept by an earlier attempt."""
        found = self.inventory
        return (
            f"adopted from {found.target}/{found.namespace}: {self.model.usable:,} vectors kept, "
            f"{self.matched.foreign:,} foreign"
        )

    def to_json(self) -> dict[str, Any]:
        """Everything but the list of foreign records; no text of any record."""
        return {
            "dataset": self.dataset,
            "environment": self.environment,
            "space": self.space,
            "target": self.inventory.target,
            "namespace": self.inventory.namespace,
            "inventory": self.inventory.to_json(),
            "matched": self.matched.to_json(),
            "model": self.model.to_json(),
            "plan": {
                "line": self.line,
                "target": self.line_target,
                "vectors_known": self.known,
                "vectors_kept": self.kept,
                "vectors_to_embed": self.to_embed,
                "seconds_saved": self.seconds_saved,
                "records_to_write": self.records,
                "bytes_to_write": self.bytes,
                "not_carried_over": self.matched.foreign,
            },
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Adopted:
    """What taking over did."""

    plan: AdoptionPlan
    version: int
    made: bool
    """The baseline was made now; False: it stood already."""
    stored: int
    """Vectors that were taken from the index now."""
    embedded: int

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "made": self.made,
            "stored": self.stored,
            "embedded": self.embedded,
            "report": self.plan.to_json(),
        }


def examine(
    lake: Lake,
    tables: SpaceTables,
    target: Target,
    namespace: str,
    *,
    environment: str,
    space: EmbeddingSpace,
    embedder: Embedder,
    normalize: bool,
    line: str,
    line_target: str,
    known: Iterable[pa.RecordBatch],
    sample: int = SAMPLE,
    text_keys: Sequence[str] = TEXT_KEYS,
    on_step: OnStep | None = None,
) -> AdoptionPlan:
    """Compare a namespace with the chunks that ``lake`` holds. ``known``: contents that have a vector (``KNOWN_SCHEMA``)."""

    def step(name: str, unit: str) -> Callable[[int, int], None]:
        return lambda done, total: on_step(name, done, total, unit) if on_step is not None else None

    inventory = take_inventory(lake, target, namespace, text_keys=text_keys, on_read=step("read the index", "records"))
    matched = match(lake, tables.chunks)
    model = check_model(
        lake, target, inventory, tables.chunks, embedder, normalize=normalize, sample=sample,
        on_embed=step("compare vectors", "texts"),
    )  # fmt: skip
    stage(lake, "adopt_known", KNOWN_SCHEMA, known)
    have, kept, records, size = lake.row(
        f"""SELECT (SELECT count(*) FROM adopt_contents SEMI JOIN adopt_known USING (content_hash)),
                   (SELECT count(*) FROM adopt_usable ANTI JOIN adopt_known USING (content_hash)),
                   count(*),
                   coalesce(sum({4 * space.dimension + _OVERHEAD} + strlen(text) + strlen(metadata) + strlen(document_id)), 0)
            FROM {tables.chunks}"""
    )
    return AdoptionPlan(
        dataset=tables.dataset.dataset,
        environment=environment,
        space=space.name,
        line=line,
        line_target=line_target,
        inventory=inventory,
        matched=matched,
        model=model,
        known=have,
        kept=kept,
        to_embed=matched.contents - have - kept,
        records=records,
        bytes=int(size),
        notes=_notes(inventory, matched, model, space),
        foreign=foreign_records(lake),
    )


def _notes(inventory: Inventory, matched: Matched, model: ModelCheck, space: EmbeddingSpace) -> tuple[str, ...]:
    notes = []
    if inventory.changed:
        notes.append("somebody wrote to the index while it was read: look again before you decide")
    if inventory.metric != space.metric:
        notes.append(f"the index compares by {inventory.metric}, the space by {space.metric}: scores will differ")
    if model.normalise:
        notes.append(f"{model.normalise:,} vectors are not normalised, the space's are: they are scaled to length one")
    if inventory.norms.mixed:
        notes.append("some vectors of the index are normalised and some are not")
    if model.disputed:
        notes.append(f"{model.disputed:,} texts stand there with several different vectors: they are embedded anew")
    if matched.ambiguous:
        notes.append(f"{matched.ambiguous:,} records hold a text that several chunks share under different headings")
    if matched.keys_lost:
        notes.append(f"metadata that no chunk carries: {', '.join(matched.keys_lost[:10])}")
    if inventory.ours:
        notes.append(f"{inventory.ours:,} records carry ids of our making: was this copied from a managed line?")
    return tuple(notes)


def keep_vectors(
    lake: Lake,
    tables: SpaceTables,
    target: Target,
    namespace: str,
    *,
    normalize: bool,
    on_keep: Callable[[int, int], None] | None = None,
) -> int:
    """Commit the usable vectors for contents that lack one, shard by shard; returns how many. Call after ``examine``."""
    done = 0
    pending = store.find_pending(lake, tables, None)
    total = int(lake.row("SELECT count(*) FROM pending SEMI JOIN adopt_usable USING (content_hash) WHERE NOT known")[0])
    for shard in pending:
        wanted = lake.table(
            """SELECT content_hash, id, vector_hash FROM adopt_usable
               SEMI JOIN (SELECT content_hash FROM pending WHERE shard = ? AND NOT known) USING (content_hash)
               ORDER BY content_hash""",
            [shard.shard],
        )
        for begin in range(0, wanted.num_rows, _COMMIT_ROWS):
            vectors = _unchanged(lake, target, namespace, wanted.slice(begin, _COMMIT_ROWS), normalize=normalize)
            if not vectors.num_rows:
                continue
            message = f"keep {vectors.num_rows} vectors of {target.name}/{namespace} for {tables.dataset.dataset}"
            store.store_vectors(lake, tables, shard.shard, vectors, message)
            done += vectors.num_rows
            if on_keep is not None:
                on_keep(done, total)
    return done


def _unchanged(lake: Lake, target: Target, namespace: str, wanted: pa.Table, *, normalize: bool) -> pa.Table:
    """Table [content_hash, vector] of the wanted records that still hold the vector that was examined (law 2)."""
    found = target.fetch(namespace, wanted["id"].to_pylist())
    if not found.num_rows:
        return pa.table({"content_hash": pa.array([], pa.string()), "vector": pa.array([], pa.list_(pa.float32()))})
    raw, _ = vector_facts(found["vector"])
    fetched = found.select(["id", "vector"]).append_column("raw", raw)
    with lake.registered("adopt_wanted", wanted), lake.registered("adopt_fetched", fetched):
        same = lake.table(
            """SELECT content_hash, raw FROM adopt_wanted w
               JOIN adopt_fetched f ON f.id = w.id AND md5(f.raw) = w.vector_hash ORDER BY content_hash"""
        )
    dimension = found["vector"].type.list_size
    rows = np.frombuffer(b"".join(same["raw"].to_pylist()), dtype=np.float32).reshape(-1, dimension).copy()
    if normalize and len(rows):
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
        # What has length one already keeps its bytes.
        off = np.abs(lengths - 1) > 1e-6
        rows[off] = (rows[off] / lengths[off, None]).astype(np.float32)
    return pa.table({"content_hash": same["content_hash"], "vector": vectors_to_arrow(rows)})
