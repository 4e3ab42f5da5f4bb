"""What an index holds, what of it the source explains, and what managing it would change. Writes temporary tables only."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from vector_pipeline.adopt.inventory import TEXT_KEYS, Inventory, take_inventory
from vector_pipeline.adopt.matching import Matched, foreign_records, match
from vector_pipeline.adopt.model_check import SAMPLE, ModelCheck, check_model
from vector_pipeline.embedding.base import Embedder, EmbeddingSpace
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.documents import stage
from vector_pipeline.lake.tables import SpaceTables
from vector_pipeline.targets.base import Target

KNOWN_SCHEMA = pa.schema([("content_hash", pa.string())])
OnStep = Callable[[str, int, int, str], None]
"""Called with (step, done, total, unit)."""
_OVERHEAD = 200
"""Bytes that ids, hashes and marks of a record take on the way; an estimate for people."""


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
