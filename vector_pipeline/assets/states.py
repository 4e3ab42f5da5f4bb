"""A data check that has passed for exactly this content is not run again: it would take seconds to say the same.

Only early checks do so. The gates before promotion always run, on the version itself.
"""

from pathlib import Path

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from vector_pipeline.hashing import bytes_hash, fingerprint
from vector_pipeline.lake.tables import DatasetTables
from vector_pipeline.project import Project
from vector_pipeline.report.samples import chunk_shards, document_shards, vector_shards
from vector_pipeline.verify import expectations, facts
from vector_pipeline.verify.expectations import Kind
from vector_pipeline.verify.expectations.reading import default_text, suite_path

STATE = "state"
"""Metadata key of what a check looked at."""
_RULES = sorted([Path(facts.__file__), *Path(expectations.__file__).parent.glob("*.py")])
"""The code that says what facts and expectations mean."""


def state_of(core: Project, dataset: str, kind: Kind, space: str | None) -> str:
    """Name of what a data check looks at: the rows' identities, its settings, and the rules themselves."""
    settings, lake = core.dataset(dataset), core.lake(read_only=True)
    if kind == "documents":
        seen = [document_shards(lake, DatasetTables(dataset), None)]
    else:
        tables = core.tables(dataset, space)
        seen = [chunk_shards(lake, tables, None)]
        if kind == "embeddings":
            seen.append(vector_shards(lake, tables, None))
    return fingerprint(
        {
            "kind": kind,
            "rows": [{str(shard): one.digest for shard, one in sorted(shards.items())} for shards in seen],
            "gates": core.gates(dataset).model_dump(mode="json"),
            "shards": settings.shards,
            "space": None if space is None else core.space(dataset, space).fingerprint,
            "suite": _suite(core, dataset, kind),
            "rules": [bytes_hash(path.read_bytes()) for path in _RULES],
        }
    )


def _suite(core: Project, dataset: str, kind: Kind) -> str:
    """Digest of the suite as it stands in its file."""
    path = suite_path(kind, core.gates(dataset), core.base)
    return bytes_hash(path.read_bytes() if path is not None and path.is_file() else default_text(kind).encode())


def passed_before(instance: dg.DagsterInstance, key: dg.AssetCheckKey, state: str) -> dg.AssetCheckResult | None:
    """The last result of a check, if it passed and looked at the same state."""
    done = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit=1, status=done)
    event = records[0].event if records else None
    evaluation = event.asset_check_evaluation if event is not None else None
    if evaluation is None or not evaluation.passed:
        return None
    found = evaluation.metadata.get(STATE)
    if found is None or found.value != state:
        return None
    unchanged = {"reused": f"nothing has changed since run {records[0].run_id[:8]}"}
    return dg.AssetCheckResult(
        passed=True,
        asset_key=key.asset_key,
        check_name=key.name,
        severity=evaluation.severity,
        description=evaluation.description,
        metadata={**evaluation.metadata, **unchanged},
    )
