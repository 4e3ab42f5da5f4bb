"""Jobs: the verbs that write. The command line, a schedule and a person in the UI launch the same ones."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster._core.execution.plan.resume_retry import ReexecutionStrategy
from dagster._core.storage.tags import RETRY_STRATEGY_TAG

from vector_pipeline.assets.names import (
    ASSET_VERBS,
    ATTESTATION,
    CHUNKS,
    DRIFT,
    EMBEDDINGS,
    FILL_TAG,
    SNAPSHOT,
    STAGING_INDEX,
    AssetVerb,
    Verb,
    attest_op,
    audit_op,
    documents_key,
    job_name,
    maintains,
    maintenance_op,
    op_of,
    production_key,
    run_tags,
    space_key,
    staging_checks_op,
)
from vector_pipeline.assets.partitions import range_tags
from vector_pipeline.config import DatasetConfig

SHARDED_VERBS: tuple[Verb, ...] = ("build", "release", "reembed")
"""Verbs whose runs cover a range of shards."""
AGAIN = {RETRY_STRATEGY_TAG: ReexecutionStrategy.ALL_STEPS.value}
"""A run whose process died is run again as a whole: what is done already costs little, and no gate judges what is not there."""
_PUSH = ("version", "allow_removed_share", "over_budget", "plan_json", "strategy", "load", "on_drift", "target", "by")
"""Settings of a push."""
_PROMOTE = ("verb", "version", "to", "only_from", "without", "override", "by", "reason")
"""Settings of a move of production."""
ATTEST = ("quarantine", "whole", "everything", "sample", "seed")
"""Settings of an attestation, beside the space."""
_SAYS = {
    "build": "Source to version, for every space, with the data expectations.",
    "push": "The newest version to the target's staging, then its gates.",
    "verify": "The gates of what staging holds, again.",
    "promote": "Move production to what staging holds, or back: `verb: rollback`.",
    "audit": "What production serves, compared with what it should hold. Nothing is moved or written.",
    "attest": "Golden texts and a sample of what production serves, embedded again. `quarantine: true` moves what is wrong.",
    "release": "The whole chain to staging and its gates; production too where promotion is automatic.",
    "reembed": "Fill a space that does not serve, make a version of it, write that beside production, and run its gates.",
}


def dataset_jobs(
    dataset: str,
    config: DatasetConfig,
    first: Sequence[dg.AssetKey] = (),
    executor: dg.ExecutorDefinition | None = None,
) -> list[Any]:
    """The asset jobs of a dataset, one a verb; of ``reembed``, one a space that does not serve.

    ``first``: assets that lie before the documents and go with them. ``executor``: default: the code location's.
    """
    jobs = [
        dg.define_asset_job(
            job_name(dataset, verb),
            selection=_selection(dataset, config, verb, first),
            executor_def=executor,
            description=_SAYS[verb],
            tags={**run_tags(dataset), **AGAIN},
        )
        for verb in ASSET_VERBS
        if verb != "reembed"
    ]
    for space in config.spaces:
        if space != config.serving_space:
            jobs.append(
                dg.define_asset_job(
                    job_name(dataset, "reembed", space),
                    selection=dg.AssetSelection.assets(
                        *(space_key(dataset, space, step) for step in (CHUNKS, EMBEDDINGS, SNAPSHOT, STAGING_INDEX))
                    ),
                    executor_def=executor,
                    description=_SAYS["reembed"],
                    tags={**run_tags(dataset, FILL_TAG), **AGAIN},
                )
            )
    return jobs


def _selection(
    dataset: str, config: DatasetConfig, verb: AssetVerb, first: Sequence[dg.AssetKey] = ()
) -> dg.AssetSelection:
    staging = dg.AssetSelection.assets(space_key(dataset, config.serving_space, STAGING_INDEX))
    # An audit reads the whole index: it has a schedule of its own, and a move does not wait for it.
    production = dg.AssetSelection.assets(production_key(dataset)).without_checks()
    if verb == "audit":
        return dg.AssetSelection.checks(dg.AssetCheckKey(production_key(dataset), DRIFT))
    if verb == "attest":
        return dg.AssetSelection.checks(dg.AssetCheckKey(production_key(dataset), ATTESTATION))
    if verb == "verify":
        return dg.AssetSelection.checks_for_assets(space_key(dataset, config.serving_space, STAGING_INDEX))
    if verb == "push":
        return staging
    if verb == "promote":
        return production
    build = dg.AssetSelection.assets(*first, *_left_half(dataset, list(config.spaces)))
    if verb == "build":
        return build
    return build | staging | production if config.promotion.policy == "automatic" else build | staging


def _left_half(dataset: str, spaces: Sequence[str]) -> list[dg.AssetKey]:
    steps = (CHUNKS, EMBEDDINGS, SNAPSHOT)
    return [documents_key(dataset), *(space_key(dataset, space, step) for space in spaces for step in steps)]


def sharded_keys(dataset: str, config: DatasetConfig, space: str | None = None) -> list[dg.AssetKey]:
    """Assets that are partitioned by shard: those of the dataset, or of one space's branch."""
    spaces = config.spaces if space is None else [space]
    keys = [space_key(dataset, one, step) for one in spaces for step in (CHUNKS, EMBEDDINGS)]
    return [documents_key(dataset), *keys] if space is None else keys


def full_range(config: DatasetConfig) -> dict[str, str]:
    """Tags that make a run of a sharded verb cover every shard."""
    return range_tags(0, config.shards - 1)


def run_config(dataset: str, config: DatasetConfig, verb: Verb, values: dict[str, Any]) -> dict[str, Any]:
    """A run's configuration from flat values: each goes to the op that knows it, whatever ops the verb has."""
    if maintains(verb):
        given = {name: value for name, value in values.items() if value is not None}
        return {"ops": {maintenance_op(dataset, verb): {"config": given}}} if given else {}
    space = values.pop("space") if verb == "reembed" else None
    serving = space or config.serving_space
    push = op_of(space_key(dataset, serving, STAGING_INDEX))
    snapshots = [op_of(space_key(dataset, space, SNAPSHOT)) for space in config.spaces]
    takers: dict[AssetVerb, dict[str, Sequence[str]]] = {
        "build": {"message": snapshots},
        # What was pushed is verified, also where staging does not follow yet.
        "push": {**{name: [push] for name in _PUSH}, "version": [push, staging_checks_op(dataset, serving)]},
        "audit": {name: [audit_op(dataset)] for name in ("level", "by")},
        "attest": {name: [attest_op(dataset)] for name in ("space", *ATTEST)},
        "reembed": {
            "message": [op_of(space_key(dataset, serving, SNAPSHOT))],
            **{name: [op_of(space_key(dataset, serving, EMBEDDINGS))] for name in ("texts_per_s", "over_budget")},
            **{name: [push] for name in ("allow_removed_share", "strategy", "load", "on_drift", "by")},
        },
        "verify": {"version": [staging_checks_op(dataset, serving)]},
        "promote": {name: [op_of(production_key(dataset))] for name in _PROMOTE},
        "release": {
            "message": snapshots,
            **{name: [push] for name in _PUSH if name not in ("version", "plan_json", "target")},
        },
    }
    ops: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        if value is None:
            continue
        for op in takers[verb][name]:
            ops.setdefault(op, {"config": {}})["config"][name] = value
    return {"ops": ops} if ops else {}
