"""Names in the asset graph, in one place: keys, checks, jobs."""

from typing import Literal, get_args

import dagster as dg
from typing_extensions import TypeIs

AssetVerb = Literal["build", "push", "verify", "promote", "release", "audit", "attest", "reembed"]
"""Verbs that materialise or check assets."""
MaintenanceVerb = Literal["repair", "expire", "collect", "retire", "erase", "adopt"]
"""Verbs that tend an index and materialise nothing."""
Verb = AssetVerb | MaintenanceVerb
ASSET_VERBS: tuple[AssetVerb, ...] = get_args(AssetVerb)
MAINTENANCE_VERBS: tuple[MaintenanceVerb, ...] = get_args(MaintenanceVerb)


def maintains(verb: Verb) -> TypeIs[MaintenanceVerb]:
    """Whether a verb's job is a single op."""
    return verb in MAINTENANCE_VERBS


RAW_DOCUMENTS, CHUNKS, EMBEDDINGS, SNAPSHOT = "raw_documents", "chunks", "embeddings", "snapshot"
STAGING_INDEX, PRODUCTION_INDEX = "staging_index", "production_index"
DRIFT = "drift"
"""Name of the check of ``production_index`` that audits what it serves."""

ATTESTATION = "attestation"
"""Name of the check of ``production_index`` that embeds some of what it serves again."""

RESULT = "result"
"""Metadata key of what a verb returned, as JSON: a command prints from it."""

LOCATION = "vector_pipeline"
"""Name of the code location in ``workspace.yaml``."""
DATASET_TAG = "vector_pipeline/dataset"
"""On every run of a dataset's jobs; the run queue lets one of them run at a time."""
FILL_TAG = "vector_pipeline/fill"
"""On every run that fills a space of a dataset: it goes on beside the dataset's other jobs, so it has no ``DATASET_TAG``."""
PROCESS_TAG = "vector_pipeline/process"
"""``host/pid`` of a run that a command executes in its own process."""


def documents_key(dataset: str) -> dg.AssetKey:
    """``[dataset, raw_documents]``."""
    return dg.AssetKey([dataset, RAW_DOCUMENTS])


def space_key(dataset: str, space: str, step: str) -> dg.AssetKey:
    """``[dataset, space, step]``: every space has its own branch below the documents."""
    return dg.AssetKey([dataset, space, step])


def production_key(dataset: str) -> dg.AssetKey:
    """``[dataset, production_index]``."""
    return dg.AssetKey([dataset, PRODUCTION_INDEX])


def index_pool(target: str) -> str:
    """Dagster's pool of what writes to a target."""
    return f"index_{target}"


def staging_checks_op(dataset: str, space: str) -> str:
    """Name of the op that runs the gates of a staging index."""
    return f"{dataset}__{space}__gates"


def op_of(key: dg.AssetKey) -> str:
    """Name of the op that materialises an asset: where a run's configuration for it goes."""
    return "__".join(key.path)


def audit_op(dataset: str) -> str:
    """Name of the op that audits what production serves."""
    return f"{op_of(production_key(dataset))}_{DRIFT}"


def attest_op(dataset: str) -> str:
    """Name of the op that attests what production serves."""
    return f"{op_of(production_key(dataset))}_{ATTESTATION}"


def maintenance_op(dataset: str, verb: MaintenanceVerb) -> str:
    """Name of the one op of a maintenance job."""
    return f"{verb}__{dataset}"


def job_name(dataset: str, verb: Verb, space: str | None = None) -> str:
    """Name of a dataset's job; of ``reembed`` there is one a space."""
    return f"{dataset}__{verb}" if space is None else f"{dataset}__{verb}__{space}"
