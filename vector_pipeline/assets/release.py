"""``staging_index``: desired state against observed state."""

import json
import time
from typing import Literal

import dagster as dg

from vector_pipeline.assets import metadata as show
from vector_pipeline.assets.declarative import to_staging
from vector_pipeline.assets.names import SNAPSHOT, STAGING_INDEX, space_key
from vector_pipeline.assets.placing import index_asset, takes_project
from vector_pipeline.assets.steps import launched_by, step
from vector_pipeline.config import DatasetConfig
from vector_pipeline.errors import InputError
from vector_pipeline.project import Project
from vector_pipeline.release.parts import plans_from_json
from vector_pipeline.release.plan import Plan
from vector_pipeline.release.push import Pushed
from vector_pipeline.report.changes import retried_line
from vector_pipeline.resources import ProjectResource


class PushSettings(dg.Config):
    """What a run may say about a push."""

    version: int | None = None
    """Version to push; default: the newest of the space."""
    allow_removed_share: float | None = None
    """In place of ``gates.max_removed_share``, for this push alone."""
    allow_changed_share: float | None = None
    """In place of ``gates.max_changed_share``, for this push alone."""
    over_budget: bool = False
    """Lets this push exceed ``gates.max_vectors`` and ``gates.max_cost``."""
    plan_json: str | None = None
    """A saved plan: exactly it is applied, or nothing."""
    strategy: Literal["configured", "auto", "versioned", "blue-green", "in-place"] = "configured"
    """How the version gets into the target; ``configured``: as ``release.strategy`` says."""
    load: Literal["configured", "auto", "upsert", "import"] = "configured"
    """How a line that does not exist yet is filled; ``configured``: as ``release.load`` says."""
    on_drift: Literal["configured", "stop", "repair", "ignore"] = "configured"
    """What to do about another hand in the index; ``configured``: as ``drift.on_drift`` says."""
    target: str | None = None
    """One of several targets, alone; default: all of them, in order."""
    by: str = ""
    """Who pushes; default: the run's ``user`` tag, or the account that runs Dagster."""


def staging_index(
    dataset: str, config: DatasetConfig, space: str, kinds: set[str], pool: str | None = None
) -> dg.AssetsDefinition:
    """A version on the target, seen by nobody until an alias moves."""
    serving = space == config.serving_space

    @index_asset(
        dataset,
        config,
        space_key(dataset, space, STAGING_INDEX),
        space_key(dataset, space, SNAPSHOT),
        kinds=kinds,
        pool=pool,
        condition=to_staging() if serving else None,
        description=f"The newest version on {_targets(config)}: planned against what it really holds, then pushed."
        + ("" if serving else " Not the space that production serves."),
    )
    @takes_project(dataset)
    def body(context: dg.AssetExecutionContext, config: PushSettings, project: ProjectResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with step(context):
            started = time.perf_counter()
            core = project.get()
            pushed = core.push(
                dataset,
                version=config.version or core.version(dataset, None, space).number,
                saved=_saved(config.plan_json),
                run_id=context.run.run_id,
                by=config.by or launched_by(context),
                max_removed_share=config.allow_removed_share,
                max_changed_share=config.allow_changed_share,
                over_budget=config.over_budget,
                strategy=_said(config.strategy),
                load=None if config.load == "configured" else config.load,
                on_drift=_said(config.on_drift),
                target=config.target,
            )
            warnings = show.warnings(context, core)
            took = time.perf_counter() - started
            return dg.MaterializeResult(
                data_version=dg.DataVersion(pushed.deployment.digest or ""),
                metadata={**_pushed(core, pushed, took), **warnings},
            )

    return body


def _said(word: str) -> str | None:
    return None if word == "configured" else word


def _targets(config: DatasetConfig) -> str:
    names = [name for _, name in config.places()]
    return f"target {names[0]}" if len(names) == 1 else f"targets {', '.join(names)}"


def _saved(text: str | None) -> list[Plan] | None:
    if text is None:
        return None
    try:
        return plans_from_json(json.loads(text))
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
        **({"retried": retried_line(applied.retried).removeprefix("retried: ")} if applied.retried else {}),
        **show.plan(plan),
        "environment": plan.environment,
        "target": plan.target,
        "namespace": plan.namespace,
        "address": core.target_named(plan.target, read_only=True).address(plan.namespace),
        **_places(pushed),
        "seconds": show.seconds(took),
        "next": show.command(f"vector-pipeline verify {dataset}"),
    }


def _places(pushed: Pushed) -> show.Metadata:
    """What each of several places took; the figures above are the first one's."""
    if not pushed.mirrors and not pushed.waits_for:
        return {}
    rows = [
        {
            "target": one.plan.target, "namespace": one.plan.namespace, "strategy": one.plan.strategy.value,
            "written": one.applied.upserted, "closed": one.applied.closed, "bytes": one.applied.bytes,
            "requests": one.applied.requests, "records": one.deployment.records,
        }
        for one in (pushed, *pushed.mirrors)
    ]  # fmt: skip
    waits = {"staging_waits_for": ", ".join(pushed.waits_for)} if pushed.waits_for else {}
    return {"places": show.table(rows), **waits}
