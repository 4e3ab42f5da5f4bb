"""The attestation of what production serves: a check with a history of its own.

It stops nothing and moves no alias: a build refuses by itself to write with a model that changed. Only when a run says so are rows
moved into quarantine.
"""

from typing import Any

import dagster as dg

from vector_pipeline.assets import metadata as show
from vector_pipeline.assets.auditing import looked, nothing_served, serves
from vector_pipeline.assets.names import ATTESTATION, RESULT, production_key
from vector_pipeline.assets.placing import takes_project
from vector_pipeline.assets.steps import step
from vector_pipeline.project import Project
from vector_pipeline.project.attesting import Attestation
from vector_pipeline.release.promote import PRODUCTION
from vector_pipeline.resources import ProjectResource

_NUMBERS = ("golden", "golden_moved", "golden_worst", "sampled", "vectors", "wrong", "worst", "moved", "in_quarantine")


class AttestSettings(dg.Config):
    """What a run may say about an attestation."""

    space: str = ""
    """Space to attest; default: the one that production serves."""
    quarantine: bool = False
    """Move what is doubted out of the way."""
    whole: bool = False
    """Look at every stored text."""
    everything: bool = False
    """Doubt every vector and the golden texts: the next build makes them anew."""
    sample: int = 0
    """Stored texts to look at; 0: as ``gates.attestation.sample`` says."""
    seed: str = ""
    """Draw the sample of another attestation again."""


def attestation_check(dataset: str) -> dg.AssetChecksDefinition:
    """``attestation`` of ``production_index``."""

    @dg.asset_check(
        asset=production_key(dataset),
        name=ATTESTATION,
        description="Golden texts and a sample of what production serves, embedded again: model and vectors are right.",
    )
    @takes_project(dataset)
    def body(
        context: dg.AssetCheckExecutionContext, config: AttestSettings, project: ProjectResource
    ) -> dg.AssetCheckResult:
        with step(context):
            core = project.get()
            if not config.space and not serves(core, dataset):
                return nothing_served(show.plain({"passed": True}))
            found = core.attest(
                dataset, space=config.space or _served_space(core, dataset), quarantine=config.quarantine,
                whole=config.whole, everything=config.everything, sample=config.sample or None, seed=config.seed or None,
            )  # fmt: skip
            return _as_check(found)

    return body


def _served_space(core: Project, dataset: str) -> str:
    registry = core.registry(read_only=True)
    alias = registry.alias(dataset, core.environment, PRODUCTION)
    assert alias is not None  # asked before
    return registry.version(dataset, alias.deployment.version).space


def _as_check(found: Attestation) -> dg.AssetCheckResult:
    value: dict[str, Any] = found.to_json()
    rows = [
        {"version": one.version, "records": one.records, "aliases": ", ".join(one.aliases)} for one in found.touched
    ]
    doubted = found.doubted
    return looked(
        found.passed,
        found.summary,
        {name: value[name] for name in _NUMBERS},
        {
            "space": found.space,
            "model": found.model,
            **({"doubted": doubted.contents, "documents": ", ".join(doubted.examples)} if doubted is not None else {}),
            **({"touched": show.table(rows)} if rows else {}),
            RESULT: show.plain(value),
        },
    )
