"""``production_index``: the alias that readers follow, and who may move it."""

from typing import Literal

import dagster as dg
from pydantic import Field

from vector_pipeline.assets import metadata as show
from vector_pipeline.assets.approving import first_run, nobody_asked, require_seen
from vector_pipeline.assets.declarative import to_production
from vector_pipeline.assets.names import STAGING_INDEX, production_key, space_key
from vector_pipeline.assets.placing import index_asset, takes_project
from vector_pipeline.assets.steps import launched_by, step
from vector_pipeline.config import DatasetConfig
from vector_pipeline.project import Project
from vector_pipeline.project.live import LiveChecked
from vector_pipeline.release.promote import PRODUCTION
from vector_pipeline.release.registry import Alias
from vector_pipeline.resources import ProjectResource


class PromoteSettings(dg.Config):
    """What a run may say about the move of ``production``."""

    verb: Literal["promote", "rollback"] = "promote"
    version: int | None = None
    """Version to promote; default: what staging holds. A run that is executed again names it."""
    to: int | None = None
    """Version to roll back to; default: the one that was live before."""
    only_from: int | None = None
    """Roll back only where production serves this version: what somebody promoted since is left alone."""
    without: list[str] = Field(default_factory=list)
    """Of several targets those that are taken out of service with the move."""
    override: list[str] = Field(default_factory=list)
    """Gates that a person lets the version past, with a reason. Kept in the history."""
    by: str = ""
    """Who moves it; default: the run's ``user`` tag, or the account that runs Dagster."""
    reason: str = ""
    """Kept in the history."""


def production_index(
    dataset: str, config: DatasetConfig, kinds: set[str], pool: str | None = None
) -> dg.AssetsDefinition:
    """The alias that readers follow. It refuses by itself what the gates have not passed, whoever asks."""

    @index_asset(
        dataset,
        config,
        production_key(dataset),
        space_key(dataset, config.serving_space, STAGING_INDEX),
        kinds=kinds,
        pool=pool,
        condition=to_production() if config.promotion.policy == "automatic" else None,
        description=(
            "What readers see. Promotion and rollback move an alias, and write nothing to the target (in place: what differs). "
            "After a promotion it is read through the alias and checked; when that fails it moves back by itself."
        ),
    )
    @takes_project(dataset)
    def body(
        context: dg.AssetExecutionContext, config: PromoteSettings, project: ProjectResource
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with step(context):
            core, by, run_id = project.get(), config.by or launched_by(context), context.run.run_id
            named = (config.version if config.verb == "promote" else config.to) is not None
            require_seen(context, core, dataset, verb=config.verb, named=named)
            if config.verb == "rollback":
                alias, moved = core.rollback(
                    dataset, by=by, to=config.to, only_from=config.only_from, reason=config.reason, run_id=run_id,
                    without=config.without,
                )  # fmt: skip
                return _materialized(context, core, alias, config.verb, moved)
            alias, moved = core.promote(
                dataset, by=by, version=config.version, reason=config.reason, run_id=run_id,
                automatic=nobody_asked(context.run, dataset), without=config.without, overrides=config.override,
            )  # fmt: skip
            checked = core.settle(alias, by=by, run_id=run_id) if moved else LiveChecked(())
            if checked.error is not None:
                # A step that fails materialises nothing: what it did stands beside the asset as an observation.
                found = {**_served(core, checked.back or alias, config.verb, moved), **_checked(checked, alias)}
                found |= show.warnings(context, core)
                context.log_event(dg.AssetObservation(context.asset_key, metadata=found))
                raise checked.error
            return _materialized(context, core, alias, config.verb, moved, checked)

    return body


def _materialized(
    context: dg.AssetExecutionContext,
    core: Project,
    alias: Alias,
    verb: str,
    moved: bool,
    checked: LiveChecked | None = None,
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    found = {**_served(core, alias, verb, moved), **(_checked(checked, alias) if checked is not None else {})}
    found |= show.warnings(context, core)
    repeats = first_run(context.run)
    found |= {"repeats_run": repeats} if repeats is not None else {}
    return dg.MaterializeResult(data_version=dg.DataVersion(alias.deployment.digest or ""), metadata=found)


def _checked(checked: LiveChecked, alias: Alias) -> show.Metadata:
    """What production said of itself, and where that left it."""
    if not checked.results:
        return {}
    rows = [{"check": one.name, "status": one.status.value, "says": one.summary} for one in checked.results]
    found: show.Metadata = {"self_check": show.table(rows), "self_check_passed": checked.error is None}
    if checked.error is None:
        return found
    back = checked.back
    stands = "stays there" if back is None else f"moved back by itself to version {back.deployment.version}"
    outcome = f"promoted version {alias.deployment.version}, which failed its own check; production {stands}"
    return {**found, "outcome": outcome, "promoted": alias.deployment.version}


def _places(core: Project, dataset: str) -> show.Metadata:
    """Where each of several targets stands."""
    places = core.standing(dataset, PRODUCTION)
    if len(places) == 1 and not core.apart(dataset):
        return {}
    rows = [
        {
            "alias": one.name, "target": one.deployment.target, "version": one.deployment.version,
            "namespace": one.deployment.namespace, "generation": one.generation,
        }
        for one in places
    ]  # fmt: skip
    out = [f"{one.target}: {one.reason}" for one in core.withdrawn(dataset).values() if not one.removed]
    return {"places": show.table(rows), **({"out_of_service": "; ".join(out)} if out else {})}


def _let_past(core: Project, alias: Alias) -> show.Metadata:
    """Gates that a person let past what production serves."""
    rows = [
        {"gate": one.check, "said": one.status.value, "summary": one.summary, "by": one.by, "reason": one.reason}
        for one in core.let_past_in_production(alias.dataset)
    ]
    return {"overridden": show.table(rows)} if rows else {}


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
        "space": deployment.space,
        "digest": deployment.digest or "",
        "records": deployment.records,
        "generation": alias.generation,
        "by": alias.moved_by,
        "environment": alias.environment,
        "target": deployment.target,
        "namespace": deployment.namespace,
        **_places(core, dataset),
        **_let_past(core, alias),
        "history": show.table(history),
        "next": show.command(f'vector-pipeline query {dataset} "…"'),
    }
