"""Data expectations on documents, chunks and embeddings, checked by Great Expectations over per-row facts.

Laws
----
1. A null or NaN fact was not measured, so it fails: Great Expectations itself skips nulls, hence every measured column
   is also expected to be not null.
2. Nothing is written and nothing is sent: the context is ephemeral, analytics and progress bars are off.
3. Great Expectations takes seconds to import, so only the functions that use it do; its warnings stay in here.
"""

import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from vector_pipeline.config import DatasetConfig, GateConfig
from vector_pipeline.errors import InputError, UnavailableError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.tables import SpaceTables, at
from vector_pipeline.release.registry import Version
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.facts import (
    CHUNK_FACTS,
    DOCUMENT_FACTS,
    EMBEDDING_FACTS,
    chunks_facts,
    documents_facts,
    embeddings_facts,
)
from vector_pipeline.verify.outcome import EXAMPLES, CheckResult, Status, guarded
from vector_pipeline.verify.suites import Rules, chunk_rules, document_rules, embedding_rules

Kind = Literal["documents", "chunks", "embeddings"]

FACTS: Mapping[str, tuple[str, ...]] = {
    "documents": DOCUMENT_FACTS,
    "chunks": CHUNK_FACTS,
    "embeddings": EMBEDDING_FACTS,
}
_NAMES: Mapping[str, tuple[str, ...]] = {
    "documents": ("document_id", "title"),
    "chunks": ("record_id", "document_id", "ordinal"),
    "embeddings": ("content_hash", "shard"),
}
"""Columns that name a failing row to a person."""
_LOCK = threading.Lock()
"""One check at a time: Great Expectations keeps the current context in a global, and ``catch_warnings`` is global."""


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
    base: Path,  # noqa: ARG001  suites as files are found from there
    normalized: bool,
) -> CheckResult:
    """What must hold of every row, of a version or (None) of the lake's present state."""
    snapshot = version.lake_snapshot if version is not None else None
    # A source that may be empty may be released empty: nothing is what was asked for.
    least = 0 if settings.source.allow_empty else 1
    if kind == "documents":
        facts = lake.table(documents_facts(at(tables.dataset.documents, snapshot)))
        return validate("documents", facts, gates=gates, shards=settings.shards, min_rows=least)
    if kind == "chunks":
        facts = lake.table(chunks_facts(at(tables.chunks, snapshot)))
        return validate("chunks", facts, gates=gates, min_rows=least)
    # A vector stands in every shard that needs it: it is checked once. Vectors that no chunk needs any more are not.
    needed = (
        f"(SELECT * FROM {tables.embeddings} SEMI JOIN (SELECT content_hash FROM {at(tables.chunks, snapshot)}) "
        "USING (content_hash) QUALIFY row_number() OVER (PARTITION BY content_hash) = 1)"
    )
    dimension = version.dimension if version is not None else lake.row(
        f"SELECT coalesce(max(len(vector)), 0) FROM {tables.embeddings}"
    )[0]  # fmt: skip
    facts = lake.table(embeddings_facts(needed, dimension))
    return validate("embeddings", facts, gates=gates, dimension=dimension, normalized=normalized, min_rows=least)


def validate(
    kind: Kind,
    facts: pa.Table,
    *,
    gates: GateConfig,
    dimension: int | None = None,
    normalized: bool = True,
    shards: int | None = None,
    min_rows: int = 1,
) -> CheckResult:
    """Check ``facts`` (columns ``FACTS[kind]``, made by ``vector_pipeline.verify.facts``) and name the rows that fail.

    ``dimension`` is needed for embeddings. ``shards`` bounds the documents' shard; None leaves it unchecked. Never
    raises: what stops the check makes the result ``unknown``.
    """
    name = f"{kind} expectations"

    def gate() -> CheckResult:
        missing = [column for column in FACTS[kind] if column not in facts.column_names]
        if missing:
            raise InputError(f"the facts of {kind} lack the column {missing[0]}", fix="Make them with verify.facts")
        if kind == "documents":
            rules = document_rules(shards)
        elif kind == "chunks":
            rules = chunk_rules(gates)
        else:
            rules = embedding_rules(dimension, normalized)
        if not facts.num_rows:
            # Nothing can be said of no rows but whether there may be none: a mean over them is no number.
            rules = Rules()
        rules.rows(min_rows)
        with _quiet():
            return _run(name, kind, facts.select(FACTS[kind]), rules)

    return guarded(name, gate)


@contextmanager
def _quiet() -> Iterator[None]:
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _run(name: str, kind: Kind, facts: pa.Table, rules: Rules) -> CheckResult:
    import great_expectations as gx
    import great_expectations.expectations as gxe
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    settings = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    context = gx.get_context(mode="ephemeral", project_config=settings)
    asset = context.data_sources.add_pandas("facts").add_dataframe_asset(kind)
    frame = facts.to_pandas()
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch(batch_parameters={"dataframe": frame})
    expectations = [
        getattr(gxe, rule.expectation)(**rule.arguments, meta={"rule": number})
        for number, rule in enumerate(rules.rules)
    ]
    # The rows' positions come back without `unexpected_index_column_names`, which costs two seconds for each 100,000
    # failing rows (it reads them one by one in Python); positions are free and name the same rows.
    outcome = batch.validate(
        gx.ExpectationSuite(name=kind, expectations=expectations),
        result_format={
            "result_format": "SUMMARY",
            "partial_unexpected_count": EXAMPLES,
            "return_unexpected_index_query": False,
        },
    )
    by_rule = sorted(outcome.results, key=_rule_number)
    findings = [_finding(rule.says, result) for rule, result in zip(rules.rules, by_rule, strict=True)]
    return _verdict(name, kind, facts, findings)


def _rule_number(result: Any) -> int:
    return int(result.expectation_config.meta["rule"])


def _finding(says: str, result: Any) -> dict[str, Any]:
    """One expectation's outcome as plain values."""
    raised = _raised(result.exception_info or {})
    if raised is not None:
        raise UnavailableError(f"the expectation '{says}' could not be evaluated: {raised}")
    kwargs, seen = result.expectation_config.kwargs, result.result
    return {
        "expectation": says,
        "type": result.expectation_config.type,
        "success": bool(result.success),
        "column": kwargs.get("column"),
        "observed": seen.get("observed_value"),
        "unexpected": seen.get("unexpected_count"),
        "of": seen.get("element_count"),
        "values": seen.get("partial_unexpected_list", []),
        "positions": seen.get("partial_unexpected_index_list") or [],
    }


def _raised(info: Mapping[str, Any]) -> str | None:
    """The message of an exception inside an expectation: flat for some, keyed by the metric for others."""
    for item in (info, *(value for value in info.values() if isinstance(value, Mapping))):
        if item.get("raised_exception"):
            return str(item.get("exception_message"))
    return None


def _verdict(name: str, kind: Kind, facts: pa.Table, findings: list[dict[str, Any]]) -> CheckResult:
    examples: list[Mapping[str, Any]] = []
    faults = []
    for finding in findings:
        positions = finding.pop("positions")
        if finding["success"]:
            continue
        if finding["type"] == "expect_column_mean_to_be_between":
            positions = _offenders(facts[finding["column"]])
        named = _named(kind, facts, finding, positions)
        examples += named
        extent = f"{finding['unexpected']:,} of {finding['of']:,} rows" if finding["of"] else f"{finding['observed']}"
        first = f", such as {named[0][_NAMES[kind][0]]}" if named else ""
        faults.append(f"{finding['expectation']} ({extent}{first})")
    detail = {"rows": facts.num_rows, "expectations": findings}
    if not faults:
        summary = f"{kind}: {len(findings)} expectations hold for {facts.num_rows:,} rows"
        return CheckResult(name, Status.PASSED, summary, detail)
    summary = f"{kind}: {len(faults)} of {len(findings)} expectations fail: {'; '.join(faults)}"
    return CheckResult(name, Status.FAILED, summary, detail, tuple(examples))


def _offenders(column: pa.ChunkedArray) -> list[int]:
    """Positions of the first rows that raise a share."""
    import pyarrow.compute as pc

    hits: list[int] = pc.indices_nonzero(pc.greater(pc.fill_null(column, 0), 0))[:EXAMPLES].to_pylist()
    return hits


def _named(kind: Kind, facts: pa.Table, finding: Mapping[str, Any], positions: list[int]) -> list[dict[str, Any]]:
    columns = [*_NAMES[kind], *([finding["column"]] if finding["column"] else [])]
    rows = facts.select(list(dict.fromkeys(columns))).take(pa.array(positions, pa.int64())).to_pylist()
    return [{"expectation": finding["expectation"], **row} for row in rows]
