"""How much work a space is, before it is done: chunks, texts to embed, tokens and bytes. Reads only.

Laws
----
1. What the space's branch holds already is counted; what it lacks is estimated from a sample of documents that are cut with the
   space's own chunker and counted with its own tokenizer. A sample of everything is exact.
2. A text is embedded once, in however many documents it stands. A sample shows only few of those: each text of a sampled document
   counts as its share of the documents that have it. How many these are is known of documents that are alike, of the text that
   stands in its place in another space's branch, and of what the sample shows twice.
3. Nothing is embedded here: ``probe`` are the texts that a measurement of the embedder's rate would take.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vector_pipeline.build.cutting import Sample, cut_sample, tokens_read
from vector_pipeline.build.estimates import Estimate, Numbers, expand
from vector_pipeline.corpus import Chunker
from vector_pipeline.embedding.base import TokenCounter
from vector_pipeline.hashing import content_hash
from vector_pipeline.lake import sampled as store
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables

_PENDING = 2_000
"""Contents that wait for a vector whose tokens are counted; of more, a sample."""
PROBE = 32
"""Texts that a rate is measured with."""


@dataclass(frozen=True, slots=True)
class SpaceWork:
    """What making a space whole takes."""

    documents: int
    missing: int
    """Documents that the space's branch lacks, or has in another state."""
    orphaned: int
    """Documents that are gone, and whose chunks it still has."""
    sampled: int
    """Of the missing ones: cut for this."""
    chunks: Estimate
    """Of all documents: the records of its version."""
    texts: Estimate
    """To embed: distinct, and without a vector of this embedder."""
    known: float | None
    """Share of the sampled contents that have a vector already; None where nothing was sampled."""
    tokens: Estimate
    """That the model reads of the texts to embed: prompts counted, special tokens not."""
    payload: Estimate
    """Bytes of all records' texts and metadata."""
    rows: Estimate
    """Bytes of the chunks that are written to the lake, before compression."""
    cut_s: float
    """Seconds of cutting the missing documents, at the pace at which the sample was cut now."""
    moved: bool
    """Whether every missing document was sampled and its contents are those that the branch holds: only metadata differs."""
    probe: tuple[str, ...] = field(default=(), repr=False)
    """Up to ``PROBE`` texts that would be embedded, in an order that says nothing of their length."""
    probe_tokens: int = 0


def work_of(
    lake: Lake, tables: SpaceTables, chunker: Chunker, tokens: TokenCounter, *,
    sample: int, prompt: str = "", alike: SpaceTables | None = None, own: bool = True,
) -> SpaceWork:  # fmt: skip
    """What a space takes. ``tables``: where its contents are counted; ``own``: they are its own, so that nothing in them has to be
    written again (False: another space's with the same chunks); ``alike``: another space's, for law 2.
    """
    holds = store.held(lake, tables)
    before = tokens.count(prompt) if prompt else 0
    cut = cut_sample(lake, tables, chunker, tokens, sample, alike)
    whole = len(cut.seen) >= holds.missing
    size = float(cut.column("size").sum()) if whole else float(store.missing_bytes(lake, tables))
    embedded, waiting = store.known(lake, tables, sorted(cut.texts))
    new = set(cut.texts) - embedded - waiting
    sizes = cut.column("size")

    def total(values: Numbers, of: float | None = None) -> Estimate:
        return expand(values, sizes, holds.missing, size, whole=of)

    chunks, payload, rows = (total(cut.column(name)) for name in ("chunks", "payload", "rows"))
    texts, counts = _to_embed(cut, new, holds.missing, before)
    all_tokens = total(
        np.array([sum(one[0] for one in seen.contents.values()) for _, seen in sorted(cut.seen.items())])
    )
    pending, pending_tokens, pending_texts = _pending(
        lake, tables, (holds.pending, holds.pending_bytes), tokens, before
    )
    probe = sorted((*((name, cut.texts[name]) for name in new), *((content_hash(one), one) for one in pending_texts)))[
        :PROBE
    ]
    held_rows = Estimate.exactly(0 if own else holds.rows)
    return SpaceWork(
        documents=holds.documents,
        missing=holds.missing,
        orphaned=store.orphans(lake, tables),
        sampled=len(cut.seen),
        chunks=chunks + Estimate.exactly(holds.chunks),
        texts=total(texts, chunks.value) + pending,
        known=len(embedded) / len(cut.texts) if cut.texts else None,
        tokens=total(counts, all_tokens.value) + pending_tokens,
        payload=payload + Estimate.exactly(holds.payload),
        rows=rows + held_rows,
        cut_s=cut.seconds * (size / float(sizes.sum()) if sizes.sum() else 0.0),
        moved=whole and holds.missing > 0 and own and _same(lake, tables, cut),
        probe=tuple(text for _, text in probe),
        probe_tokens=sum(before + tokens_read(tokens, text) for _, text in probe),
    )  # fmt: skip


def _to_embed(cut: Sample, new: set[str], members: int, before: int) -> tuple[Numbers, Numbers]:
    """Of each sampled document, by id: texts to embed and their tokens, each as this document's share of it (law 2)."""
    seen_in = Counter(key for one in cut.seen.values() for key in one.contents)
    scale, counted = members / max(len(cut.seen), 1), set[str]()
    texts, counts = [], []
    for _, one in sorted(cut.seen.items()):
        if scale > 1:
            among = {key: _documents_with(seen_in[key], known, scale) for key, (_, known) in one.contents.items()}
            shares = {key: 1 / among[key] for key in one.contents if key in new}
        else:
            # All was seen: a text is the first document's that has it, so that sums are whole numbers.
            shares = {key: 1.0 for key in one.contents if key in new and key not in counted}
            counted.update(shares)
        texts.append(sum(shares.values()))
        counts.append(sum(share * (before + one.contents[key][0]) for key, share in shares.items()))
    return np.array(texts, dtype=np.float64), np.array(counts, dtype=np.float64)


def _documents_with(seen: int, known: float, scale: float) -> float:
    """How many documents have a text that the sample shows ``seen`` times. What other tables know counts, unless more was seen."""
    if seen <= known:
        return known
    return seen * scale if seen > 1 else 1.0


def embedding_work(
    lake: Lake, tables: SpaceTables, tokens: TokenCounter, prompt: str, shards: Sequence[int]
) -> tuple[int, float]:
    """Texts that embedding shards embeds, and their tokens: as ``work_of`` counts what is cut."""
    held = store.lacking(lake, tables, shards)
    _, counted, _ = _pending(lake, tables, held, tokens, tokens.count(prompt) if prompt else 0)
    return held[0], counted.value


def _pending(
    lake: Lake, tables: SpaceTables, held: tuple[int, int], tokens: TokenCounter, before: int
) -> tuple[Estimate, Estimate, list[str]]:
    """Contents that are cut and wait for a vector (``held``: how many, and their bytes): how many, their tokens, some of them."""
    count, size = held
    if not count:
        return Estimate.exactly(0), Estimate.exactly(0), []
    found = store.pending_sample(lake, tables, _PENDING)
    texts = found["text"].to_pylist()
    counts = np.array([before + tokens_read(tokens, text) for text in texts], dtype=np.float64)
    sizes = found["size"].to_numpy().astype(np.float64)
    return Estimate.exactly(count), expand(counts, sizes, count, size), texts


def _same(lake: Lake, tables: SpaceTables, cut: Sample) -> bool:
    held = store.same_chunks(lake, tables)
    return all(
        set(held.get(name, [])) == set(one.contents) and len(held.get(name, [])) == one.chunks
        for name, one in cut.seen.items()
    )
