"""Gates as asset checks. All of them block: what did not pass, or could not run, stops everything downstream in the run."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import dagster as dg

from assets import metadata as show
from assets.names import CHUNKS, EMBEDDINGS, STAGING_INDEX, documents_key, space_key, staging_checks_op
from assets.states import STATE, passed_before, state_of
from assets.steps import step
from resources import ProjectResource
from vector_pipeline.config import GateConfig
from vector_pipeline.project.gating import MIRROR_DRIFT
from vector_pipeline.verify import catalogue
from vector_pipeline.verify.agreement import NAME as MIRRORS_AGREE
from vector_pipeline.verify.catalogue import key_of
from vector_pipeline.verify.expectations import Kind
from vector_pipeline.verify.outcome import CheckResult, Status, overall

EXPECTATIONS_OF_VERSION, MIRRORS = "expectations_of_version", "mirrors"
"""Checks that stand for several gates; ``MIRRORS`` only where a dataset has several targets. Every other gate is its own check."""
_TOGETHER = {
    EXPECTATIONS_OF_VERSION: ("documents expectations", "chunks expectations", "embeddings expectations"),
    MIRRORS: (MIRROR_DRIFT, MIRRORS_AGREE),
}
_SAYS = {
    EXPECTATIONS_OF_VERSION: "Documents, chunks and embeddings of the version keep what is expected of them.",
    MIRRORS: "Every target holds the version as the lake has it, and answers as the first one does.",
}


def gates_of_checks(gates: GateConfig, *, mirrored: bool) -> dict[str, tuple[str, ...]]:
    """Checks of a staging index in order, and the gates that each stands for: those that are not turned off."""
    grouped = {name for ones in _TOGETHER.values() for name in ones}
    every = {EXPECTATIONS_OF_VERSION: _TOGETHER[EXPECTATIONS_OF_VERSION]}
    every |= {gate.key: (gate.name,) for gate in catalogue.GATES if gate.name not in grouped}
    if mirrored:
        every[MIRRORS] = _TOGETHER[MIRRORS]
    on = {check: tuple(one for one in ones if gates.mode(key_of(one)) != "off") for check, ones in every.items()}
    return {check: ones for check, ones in on.items() if ones}


class VerifySettings(dg.Config):
    """What a run may say about the gates."""

    version: int | None = None
    """Version to verify; default: what staging holds."""


def data_check(dataset: str, key: dg.AssetKey, kind: Kind, space: str | None) -> dg.AssetChecksDefinition:
    """Expectations over the lake's present state: early, before anything downstream is paid for."""

    @dg.asset_check(
        asset=key,
        name=f"{kind}_expectations",
        blocking=True,
        description=f"What must hold of every row of {kind}, checked by Great Expectations over the whole dataset.",
    )
    def body(context: dg.AssetCheckExecutionContext, project: ProjectResource) -> dg.AssetCheckResult:
        with step(context):
            core = project.get()
            state = state_of(core, dataset, kind, space)
            known = passed_before(context.instance, dg.AssetCheckKey(key, f"{kind}_expectations"), state)
            if known is not None:
                return known
            return as_check(core.check_data(dataset, kind, space=space), state=state)

    return body


def data_checks(dataset: str, spaces: Sequence[str]) -> list[dg.AssetChecksDefinition]:
    """Every data check of a dataset."""
    found = [data_check(dataset, documents_key(dataset), "documents", None)]
    for space in spaces:
        found.append(data_check(dataset, space_key(dataset, space, CHUNKS), "chunks", space))
        found.append(data_check(dataset, space_key(dataset, space, EMBEDDINGS), "embeddings", space))
    return found


def staging_checks(
    dataset: str, space: str, demanded: GateConfig, *, mirrored: bool = False
) -> dg.AssetChecksDefinition:
    """The gates before promotion, on what every target really holds. Their verdicts go to the registry."""
    gates = gates_of_checks(demanded, mirrored=mirrored)
    key = space_key(dataset, space, STAGING_INDEX)
    says = {gate.key: gate.says for gate in catalogue.GATES} | _SAYS

    def blocks(ones: Sequence[str]) -> bool:
        return any(demanded.mode(key_of(one)) == "block" for one in ones)

    @dg.multi_asset_check(
        name=staging_checks_op(dataset, space),
        can_subset=True,
        specs=[
            dg.AssetCheckSpec(name, asset=key, blocking=blocks(ones), description=says[name])
            for name, ones in gates.items()
        ],
    )
    def body(
        context: dg.AssetCheckExecutionContext, config: VerifySettings, project: ProjectResource
    ) -> Iterator[dg.AssetCheckResult]:
        chosen = [name for name in gates if dg.AssetCheckKey(key, name) in context.selected_asset_check_keys]
        with step(context):
            core = project.get()
            version = config.version or core.staged(dataset, space)
            wanted = [gate for name in chosen for gate in gates[name]]
            found = core.verify_places(dataset, version=version, run_id=context.run.run_id, only=wanted)
            once = core.version_gates(dataset)
        results = _of_places([(deployment.target, ones) for deployment, ones in found], once)
        for name in chosen:
            ones = [one for gate, one in results if gate in gates[name]]
            yield as_check(_worst(name, ones), name=name, asset_key=key, version=version)

    return body


def _of_places(
    found: Sequence[tuple[str, Sequence[CheckResult]]], once: Collection[str]
) -> list[tuple[str, CheckResult]]:
    """Gates and results; of several places those of an index begin with their target, and the others (``once``) are told once."""
    told: list[tuple[str, CheckResult]] = []
    for number, (target, results) in enumerate(found):
        for one in results:
            if len(found) == 1 or one.name in once:
                told += [(one.name, one)] if not number else []
            else:
                labelled = replace(one, name=f"{one.name} ({target})", summary=f"{target}: {one.summary}")
                told.append((one.name, labelled))
    return told


def _worst(name: str, results: Sequence[CheckResult]) -> CheckResult:
    """Several results as one: the worst status, every summary."""
    if len(results) == 1:
        return results[0]
    return CheckResult(
        name,
        overall(results),
        "; ".join(result.summary for result in results),
        {result.name: result.detail for result in results},
        tuple(example for result in results for example in result.examples),
    )


def as_check(
    result: CheckResult,
    *,
    name: str | None = None,
    asset_key: dg.AssetKey | None = None,
    version: int | None = None,
    state: str | None = None,
) -> dg.AssetCheckResult:
    """A gate's result in Dagster's words: a warning passes, and what could not run fails."""
    examples = [dict(example) for example in result.examples]
    # Top-level numbers stand by themselves, so that the UI plots them over time.
    numbers = {name: value for name, value in result.detail.items() if isinstance(value, int | float)}
    return dg.AssetCheckResult(
        passed=not result.blocks,
        severity=dg.AssetCheckSeverity.WARN if result.status is Status.WARNED else dg.AssetCheckSeverity.ERROR,
        check_name=name,
        asset_key=asset_key,
        description=result.summary,
        metadata={
            **numbers,
            "status": result.status.value,
            "summary": result.summary,
            **({"version": version} if version is not None else {}),
            **({STATE: state} if state is not None else {}),
            **({"examples": show.table(examples)} if examples else {}),
            "detail": dg.MetadataValue.json(dict(result.detail)),
        },
    )
