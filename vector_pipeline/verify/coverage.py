"""Coverage: does the target hold exactly the records of a snapshot? Set against set, never count against count.

The records that a reader of ``version`` sees (``added_in <= version < removed_in``), named without their generation,
must equal the snapshot's record ids; each must be visible once, carry the snapshot's metadata hash and belong to its
space. A record id holds the content's hash, so equal ids prove equal content (``vector_pipeline.hashing``, law 2).
"""

import tempfile
from collections.abc import Iterable
from typing import Any

import duckdb
import pyarrow as pa

from vector_pipeline.hashing import sql_base_record_id
from vector_pipeline.lake.snapshots import read_identities
from vector_pipeline.release.observed import proved
from vector_pipeline.release.remembering import doubt
from vector_pipeline.verify.context import GateContext
from vector_pipeline.verify.outcome import EXAMPLES, CheckResult, Status, guarded

NAME = "coverage"

_FAULTS = {
    "missing": """
        SELECT record_id AS name, {'fault': 'missing', 'id': record_id} AS example
        FROM desired ANTI JOIN visible ON base = record_id""",
    "unexpected": """
        SELECT base AS name, {'fault': 'unexpected', 'id': base || generation, 'document_id': document_id} AS example
        FROM visible ANTI JOIN desired ON base = record_id""",
    "doubled": """
        SELECT base AS name, {'fault': 'doubled', 'id': base, 'generations': list(base || generation)[:10]} AS example
        FROM visible SEMI JOIN (SELECT base FROM visible GROUP BY base HAVING count(*) > 1) AS twice USING (base)
        GROUP BY base""",
    "metadata differs": """
        SELECT base AS name, {'fault': 'metadata differs', 'id': base || generation, 'document_id': document_id,
            'desired': desired.metadata_hash, 'observed': visible.metadata_hash} AS example
        FROM visible JOIN desired ON base = record_id
        WHERE visible.metadata_hash IS DISTINCT FROM desired.metadata_hash""",
    "other space": """
        SELECT base AS name, {'fault': 'other space', 'id': base || generation, 'document_id': document_id,
            'space': other_space} AS example
        FROM visible WHERE other_space IS NOT NULL""",
    "repeated in the snapshot": """
        SELECT record_id AS name, {'fault': 'repeated in the snapshot', 'id': record_id, 'rows': count(*)} AS example
        FROM desired GROUP BY record_id HAVING count(*) > 1""",
}
"""Kind of fault: a query of (name, example), in the order in which a person should read them."""

FAULTS = tuple(fault.replace(" ", "_") for fault in _FAULTS)
"""Keys of ``detail`` that count them."""

_VISIBLE = f"""
    INSERT INTO visible
    SELECT base, substr(id, length(base) + 1), document_id, metadata_hash,
        CASE WHEN space IS DISTINCT FROM $space THEN coalesce(space, '') END
    FROM (
        SELECT *, CASE WHEN contains(id, '~') THEN {sql_base_record_id("id")} ELSE id END AS base
        FROM incoming WHERE added_in <= $version AND removed_in > $version
    )
"""


def judge(context: GateContext) -> CheckResult:
    """The gate: the candidate's records in the lake against what its target holds."""
    side, version = context.candidate, context.version
    desired = read_identities(context.lake, side.tables, version.lake_snapshot)
    target = context.target(side)
    assert side.deployment is not None
    state = target.describe(side.deployment.namespace)
    observed = proved(context.lake, target, state) if state else target.scan(side.deployment.namespace)
    found = coverage(desired, observed, version.number, version.fingerprint)
    if state is not None and found.status is Status.FAILED:
        # Here, and not by the verdict: where this gate only warns, that says nothing of it.
        doubt(context.lake, target, state)
    return found


def coverage(
    desired: pa.Table | pa.RecordBatchReader,
    observed: Iterable[pa.RecordBatch],
    version: int,
    fingerprint: str,
    *,
    memory_limit: str = "256MB",
) -> CheckResult:
    """Compare a snapshot's (record_id, metadata_hash) rows with a target's scan (``MARK_SCHEMA`` batches).

    Both are read once, batch by batch, into an in-memory DuckDB that spills to a temporary folder beyond
    ``memory_limit``. ``detail`` counts each kind of fault, ``examples`` names up to ten of each. Never raises: a scan
    that breaks makes the result ``unknown``.
    """

    def gate() -> CheckResult:
        with (
            tempfile.TemporaryDirectory(prefix="vector_pipeline_coverage_") as spill,
            duckdb.connect(":memory:", config={"memory_limit": memory_limit, "temp_directory": spill}) as con,
        ):
            _load(con, desired, observed, {"version": version, "space": fingerprint})
            return _compare(con, version, fingerprint)

    return guarded(NAME, gate)


def _load(
    con: duckdb.DuckDBPyConnection,
    desired: pa.Table | pa.RecordBatchReader,
    observed: Iterable[pa.RecordBatch],
    reader: dict[str, Any],
) -> None:
    con.execute("SET preserve_insertion_order = false")
    con.register("incoming", desired)
    con.execute("CREATE TABLE desired AS SELECT record_id, metadata_hash FROM incoming")
    con.unregister("incoming")
    # No index: the hash joins below are faster without, and spill. A generation is empty for nearly all.
    con.execute("""CREATE TABLE visible (
        base VARCHAR, generation VARCHAR, document_id VARCHAR, metadata_hash VARCHAR, other_space VARCHAR)""")
    con.execute("CREATE TABLE scanned (records BIGINT)")
    for batch in observed:  # here, not inside DuckDB: a target's own error keeps its words
        con.register("incoming", pa.Table.from_batches([batch]))
        con.execute("INSERT INTO scanned SELECT count(*) FROM incoming")
        con.execute(_VISIBLE, reader)
        con.unregister("incoming")


def _compare(con: duckdb.DuckDBPyConnection, version: int, fingerprint: str) -> CheckResult:
    sizes = "SELECT (SELECT count(*) FROM desired), (SELECT count(*) FROM visible), (SELECT sum(records) FROM scanned)"
    wanted, visible, scanned = _row(con, sizes)
    detail: dict[str, Any] = {
        "version": version,
        "space": fingerprint,
        "desired": wanted,
        "visible": visible,
        "scanned": int(scanned or 0),
    }
    examples: list[dict[str, Any]] = []
    faults = []
    for key, (fault, query) in zip(FAULTS, _FAULTS.items(), strict=True):
        # min_by with a count keeps ten rows, so that a million faults cost no more memory than ten.
        found = f"SELECT count(*), min_by(example, name, {EXAMPLES}) FROM ({query})"
        count, named = _row(con, found)
        detail[key] = count
        if count:
            faults.append(f"{count:,} {fault}")
            examples += named or []
    if faults:
        summary = f"version {version} is not what the target holds: {', '.join(faults)} (of {wanted:,} records)"
        return CheckResult(NAME, Status.FAILED, summary, detail, tuple(examples))
    if not wanted:
        return CheckResult(NAME, Status.WARNED, f"version {version} has no records, and the target shows none", detail)
    summary = f"the target shows all {wanted:,} records of version {version}, each once, and no other"
    return CheckResult(NAME, Status.PASSED, summary, detail)


def _row(con: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = con.execute(query).fetchone()
    assert row is not None  # an aggregate always gives one row
    return row
