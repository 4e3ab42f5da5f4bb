"""Names in the asset graph, in one place: keys, checks, jobs."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal, get_args

import dagster as dg
from typing_extensions import TypeIs

from vector_pipeline.assets.placing import environment_of, placed_key

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


UPSTREAM = "upstream"
"""Name of the asset that lands what somebody else's asset made."""
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
ENVIRONMENT_TAG = "vector_pipeline/environment"
"""On every run of our jobs: several environments may record in one Dagster, and what one did says nothing of another."""
PROCESS_TAG = "vector_pipeline/process"
"""``host/pid`` of a run that a command executes in its own process."""


def run_tags(dataset: str, tag: str = DATASET_TAG) -> dict[str, str]:
    """Tags of a dataset's runs, for whoever makes its definitions. What a sensor or a schedule asks for has those of its job."""
    environment = environment_of(dataset)
    return {tag: dataset, **({ENVIRONMENT_TAG: environment} if environment else {})}


def runs_in(
    environment: str,
    *,
    job: str | None = None,
    statuses: Iterable[dg.DagsterRunStatus] = (),
    tags: Mapping[str, str] | None = None,
    updated_after: datetime | None = None,
) -> dg.RunsFilter:
    """Runs of an environment: every question to Dagster's records goes by this. ``environment`` empty: of any."""
    own = {ENVIRONMENT_TAG: environment} if environment else {}
    return dg.RunsFilter(
        job_name=job, statuses=list(statuses), tags={**own, **(tags or {})}, updated_after=updated_after
    )


def upstream_key(dataset: str) -> dg.AssetKey:
    """``[dataset, upstream]``."""
    return placed_key(dataset, UPSTREAM)


def documents_key(dataset: str) -> dg.AssetKey:
    """``[dataset, raw_documents]``."""
    return placed_key(dataset, RAW_DOCUMENTS)


def space_key(dataset: str, space: str, step: str) -> dg.AssetKey:
    """``[dataset, space, step]``: every space has its own branch below the documents."""
    return placed_key(dataset, space, step)


def production_key(dataset: str) -> dg.AssetKey:
    """``[dataset, production_index]``."""
    return placed_key(dataset, PRODUCTION_INDEX)


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
