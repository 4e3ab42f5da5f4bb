"""The three gates: every row of documents, chunks and embeddings is as the dataset's suite demands.

Laws
----
1. A null fact was not measured: expectations skip nulls, so that the default suites demand that measured columns are not null.
2. Nothing is written and nothing is sent.
3. Every stored vector that a chunk needs is looked at, in each shard that holds it: any of them may be what a push takes. That each
   chunk has one is demanded by no suite, but always (``lacking``).
"""

from dataclasses import dataclass
from pathlib import Path

from vector_pipeline.config import DatasetConfig, GateConfig
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables, at
from vector_pipeline.release.registry import Version
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.expectations.counting import Source, evaluate
from vector_pipeline.verify.expectations.finding import Finding
from vector_pipeline.verify.expectations.lacking import lacking
from vector_pipeline.verify.expectations.reading import suite_of
from vector_pipeline.verify.expectations.suite import Kind, Suite, fill, parameters_of
from vector_pipeline.verify.expectations.verdict import verdict
from vector_pipeline.verify.outcome import CheckResult, guarded


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A suite and what became of it."""

    suite: Suite
    rows: int
    findings: tuple[Finding, ...]


def judge_documents(context: GateContext) -> CheckResult:
    """The gate ``documents expectations``."""
    return _of_version("documents", context)


def judge_chunks(context: GateContext) -> CheckResult:
    """The gate ``chunks expectations``."""
    return _of_version("chunks", context)


def judge_embeddings(context: GateContext) -> CheckResult:
    """The gate ``embeddings expectations``."""
    return _of_version("embeddings", context)


def _of_version(kind: Kind, context: GateContext) -> CheckResult:
    space = context.settings.spaces.get(context.version.space)
    return expect(
        kind, context.lake, context.candidate.tables, context.version, settings=context.settings, gates=context.gates,
        base=context.base, normalized=space is None or space.embedder.normalize,
    )  # fmt: skip


def expect(
    kind: Kind,
    lake: Lake,
    tables: SpaceTables,
    version: Version | None,
    *,
    settings: DatasetConfig,
    gates: GateConfig,
    base: Path,
    normalized: bool,
) -> CheckResult:
    """What must hold of every row, of a version or (None) of the lake's present state. Never raises: see ``guarded``."""
    name = f"{kind} expectations"

    def gate() -> CheckResult:
        found = evaluated(kind, lake, tables, version, settings=settings, gates=gates, base=base, normalized=normalized)
        missed = lacking(lake, tables, version) if kind == "embeddings" and version is not None else None
        return verdict(name, found.suite, found.rows, [*found.findings, *([missed] if missed is not None else [])])

    return guarded(name, gate)


def evaluated(
    kind: Kind,
    lake: Lake,
    tables: SpaceTables,
    version: Version | None,
    *,
    settings: DatasetConfig,
    gates: GateConfig,
    base: Path,
    normalized: bool,
) -> Evaluated:
    """The dataset's suite and its findings. ``ConfigError`` for a suite with a mistake."""
    suite = suite_of(kind, gates, base)
    source = _source(kind, lake, tables, version)
    parameters = parameters_of(
        gates, shards=settings.shards, allow_empty=settings.source.allow_empty, dimension=source.dimension,
        normalized=normalized,
    )  # fmt: skip
    filled = fill(suite, parameters)
    rows, findings = evaluate(source, filled, in_memory=gates.expectations_in_memory)
    return Evaluated(filled, rows, tuple(findings))


def _source(kind: Kind, lake: Lake, tables: SpaceTables, version: Version | None) -> Source:
    snapshot = version.lake_snapshot if version is not None else None
    if kind == "documents":
        return Source(lake, at(tables.dataset.documents, snapshot))
    chunks = at(tables.chunks, snapshot)
    if kind == "chunks":
        return Source(lake, chunks)
    dimension = (
        version.dimension
        if version is not None
        else int(lake.row(f"SELECT coalesce(mode(len(vector)), 0) FROM (FROM {tables.embeddings} LIMIT 1000)")[0])
    )
    needed = (
        f"(FROM {tables.embeddings} SEMI JOIN (SELECT shard, content_hash FROM {chunks}) c USING (shard, content_hash))"
    )

    def naming(rows: str) -> str:
        """A vector is named by a document whose text it stands for."""
        first = f"SELECT content_hash, min(document_id) AS document_id FROM {chunks} c SEMI JOIN ({rows}) r USING (content_hash)"
        return f"SELECT r.*, d.document_id FROM ({rows}) r LEFT JOIN ({first} GROUP BY content_hash) d USING (content_hash)"

    return Source(lake, needed, dimension, naming)
