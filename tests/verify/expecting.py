"""Expectations over tables of a plain DuckDB connection: what the lake gives, without a lake."""

from pathlib import Path

import duckdb

from vector_pipeline.config import GateConfig
from vector_pipeline.lake.connection import Lake
from vector_pipeline.verify.expectations.counting import Source, evaluate
from vector_pipeline.verify.expectations.reading import suite_of
from vector_pipeline.verify.expectations.suite import Kind, Suite, fill, parameters_of
from vector_pipeline.verify.expectations.verdict import verdict
from vector_pipeline.verify.outcome import CheckResult, guarded


def check_rows(
    con: duckdb.DuckDBPyConnection,
    kind: Kind,
    relation: str,
    *,
    gates: GateConfig | None = None,
    suite: Suite | None = None,
    base: Path = Path(),
    shards: int = 4,
    allow_empty: bool = False,
    dimension: int | None = None,
    normalized: bool = True,
) -> CheckResult:
    """What a gate says of a relation: of ``suite``, or of the suite that ``gates`` name."""
    demanded = gates or GateConfig()

    def gate() -> CheckResult:
        chosen = fill(
            suite or suite_of(kind, demanded, base),
            parameters_of(demanded, shards=shards, allow_empty=allow_empty, dimension=dimension, normalized=normalized),
        )
        lake = Lake(con, "memory", read_only=True)
        source = Source(lake, relation, dimension if kind == "embeddings" else None)
        rows, findings = evaluate(source, chosen, in_memory=demanded.expectations_in_memory)
        return verdict(f"{kind} expectations", chosen, rows, findings)

    return guarded(f"{kind} expectations", gate)
