"""``staging_index`` and ``production_index``: desired state against observed state, and the alias that decides."""

import getpass
import json
import time
from typing import Literal

import dagster as dg

from assets import metadata as show
from assets.names import SNAPSHOT, STAGING_INDEX, production_key, space_key
from assets.steps import step
from resources import ProjectResource
from vector_pipeline.config import DatasetConfig
from vector_pipeline.errors import InputError
from vector_pipeline.project import Project
from vector_pipeline.release.plan import Plan
from vector_pipeline.release.push import Pushed
from vector_pipeline.release.registry import Alias


class PushSettings(dg.Config):
    """What a run may say about a push."""

    version: int | None = None
    """Version to push; default: the newest of the space."""
    allow_removed_share: float | None = None
    """In place of ``gates.max_removed_share``, for this push alone."""
    plan_json: str | None = None
    """A saved plan: exactly it is applied, or nothing."""
    by: str = ""
    """Who pushes; default: the account that runs Dagster."""


class PromoteSettings(dg.Config):
    """What a run may say about the move of ``production``."""

    verb: Literal["promote", "rollback"] = "promote"
    version: int | None = None
    """Version to promote; default: what staging holds."""
    to: int | None = None
    """Version to roll back to; default: the one that was live before."""
    by: str = ""
    """Who moves it; default: the account that runs Dagster."""
    reason: str = ""
    """Kept in the history."""


def account() -> str:
    """The account that this process runs as: who moved an alias, when nobody says it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "dagster"


def staging_index(dataset: str, config: DatasetConfig, space: str, kinds: set[str]) -> dg.AssetsDefinition:
    """A version on the target, seen by nobody until an alias moves."""
    serving = space == config.serving_space

    @dg.asset(
        key=space_key(dataset, space, STAGING_INDEX),
        deps=[space_key(dataset, space, SNAPSHOT)],
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=dataset,
        owners=config.owners,
        kinds=kinds,
        description=f"The newest version on target {config.target}: planned against what it really holds, then pushed."
        + ("" if serving else " Not the space that production serves."),
    )
    def body(context: dg.AssetExecutionContext, config: PushSettings, project: ProjectResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with step(context):
            started = time.perf_counter()
            core = project.get()
            pushed = core.push(
                dataset,
                version=config.version or core.version(dataset, None, space).number,
                saved=_saved(config.plan_json),
                run_id=context.run.run_id,
                by=config.by or account(),
                max_removed_share=config.allow_removed_share,
            )
            took = time.perf_counter() - started
            return dg.MaterializeResult(
                data_version=dg.DataVersion(pushed.deployment.digest or ""), metadata=_pushed(core, pushed, took)
            )

    return body


def _saved(text: str | None) -> Plan | None:
    if text is None:
        return None
    try:
        return Plan.from_json(json.loads(text))
    except ValueError:
        raise InputError("the saved plan is not JSON", fix="Make a new one: vector-pipeline plan --out FILE") from None


def _pushed(core: Project, pushed: Pushed, took: float) -> show.Metadata:
    plan, applied = pushed.plan, pushed.applied
    dataset = plan.dataset
    return {
        "version": plan.version,
        "digest": pushed.deployment.digest or "",
        "records": pushed.deployment.records,
        "written": applied.upserted,
        "closed": applied.closed,
        "bytes": applied.bytes,
        "requests": applied.requests,
        **show.plan(plan),
        "environment": plan.environment,
        "target": plan.target,
        "namespace": plan.namespace,
        "address": core.target(dataset, read_only=True).address(plan.namespace),
        "seconds": show.seconds(took),
        "next": show.command(f"vector-pipeline verify {dataset}"),
    }


def production_index(dataset: str, config: DatasetConfig, kinds: set[str]) -> dg.AssetsDefinition:
    """The alias that readers follow. It refuses by itself what the gates have not passed, whoever asks."""

    @dg.asset(
        key=production_key(dataset),
        deps=[space_key(dataset, config.serving_space, STAGING_INDEX)],
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=dataset,
        owners=config.owners,
        kinds=kinds,
        description="What readers see. Promotion and rollback move an alias, and write nothing to the target.",
    )
    def body(
        context: dg.AssetExecutionContext, config: PromoteSettings, project: ProjectResource
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with step(context):
            core, by, run_id = project.get(), config.by or account(), context.run.run_id
            if config.verb == "rollback":
                alias, moved = core.rollback(dataset, by=by, to=config.to, reason=config.reason, run_id=run_id)
            else:
                alias, moved = core.promote(dataset, by=by, version=config.version, reason=config.reason, run_id=run_id)
            return dg.MaterializeResult(
                data_version=dg.DataVersion(alias.deployment.digest or ""),
                metadata=_served(core, alias, config.verb, moved),
            )

    return body


def _served(core: Project, alias: Alias, verb: str, moved: bool) -> show.Metadata:
    dataset, deployment = alias.dataset, alias.deployment
    said = {"promote": "promoted", "rollback": "rolled back to"}[verb]
    history = [
        {
            "at": f"{move.at:%Y-%m-%d %H:%M:%S}",
            "alias": move.name,
            "move": move.kind,
            "from": move.from_version,
            "to": move.to_version,
            "by": move.by,
            "reason": move.reason,
        }
        for move in core.history(dataset, limit=5)
    ]
    return {
        "outcome": f"{said} version {deployment.version}"
        if moved
        else f"nothing to do: production serves version {deployment.version} already",
        "moved": moved,
        "version": deployment.version,
        "digest": deployment.digest or "",
        "records": deployment.records,
        "generation": alias.generation,
        "by": alias.moved_by,
        "environment": alias.environment,
        "target": deployment.target,
        "namespace": deployment.namespace,
        "history": show.table(history),
        "next": show.command(f'vector-pipeline query {dataset} "…"'),
    }
