"""Gates as asset checks, one for each gate of the catalogue: new ones appear here by themselves.

What did not pass, or could not run, stops everything downstream in the run, where policy has the gate block.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg

from vector_pipeline.assets import metadata as show
from vector_pipeline.assets.names import (
    CHUNKS,
    EMBEDDINGS,
    STAGING_INDEX,
    documents_key,
    op_of,
    space_key,
    staging_checks_op,
)
from vector_pipeline.assets.placing import takes_project
from vector_pipeline.assets.states import STATE, passed_before, state_of
from vector_pipeline.assets.steps import step
from vector_pipeline.config import GateConfig
from vector_pipeline.project.gating import MIRROR_DRIFT
from vector_pipeline.resources import ProjectResource
from vector_pipeline.verify import catalogue
from vector_pipeline.verify.agreement import NAME as MIRRORS_AGREE
from vector_pipeline.verify.catalogue import key_of
from vector_pipeline.verify.expectations import Kind
from vector_pipeline.verify.outcome import CheckResult, Status, overall
from vector_pipeline.verify.policy import softened

EXPECTATIONS_OF_VERSION, MIRRORS = "expectations_of_version", "mirrors"
"""Checks that stand for several gates; ``MIRRORS`` only where a dataset has several targets. Every other gate is its own check."""
_BULKY = frozenset({"charts", "answers"})
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


def data_check(
    dataset: str, key: dg.AssetKey, kind: Kind, space: str | None, demanded: GateConfig
) -> dg.AssetChecksDefinition | None:
    """Expectations over the lake's present state: early, before anything downstream is paid for. None where they are turned off.

    A space that is filled in part is not judged: nothing is said of it.
    """
    mode = demanded.mode(key_of(f"{kind} expectations"))
    if mode == "off":
        return None

    check = dg.AssetCheckKey(key, f"{kind}_expectations")

    @dg.multi_asset_check(
        name=f"{op_of(key)}_{check.name}",
        # It may say nothing: then there is no evaluation, and what is downstream goes on.
        can_subset=True,
        specs=[
            dg.AssetCheckSpec(
                check.name,
                asset=key,
                blocking=mode == "block",
                description=f"What must hold of every row of {kind}, checked by Great Expectations over the whole dataset.",
            )
        ],
    )
    @takes_project(dataset)
    def body(context: dg.AssetCheckExecutionContext, project: ProjectResource) -> Iterator[dg.AssetCheckResult]:
        with step(context):
            core = project.get()
            whole = space is None or core.serves(dataset, space)
            if not whole and space is not None and not core.judged_now(dataset, space, vectors=kind == "embeddings"):
                # Others may be at it. The run that makes it whole judges it, and so do the gates of a version that is made of it.
                context.log.info("%s is filled in part: its %s are judged when they are whole", space, kind)
                return
            state = state_of(core, dataset, kind, space)
            said = passed_before(context.instance, check, state)
            if said is None:
                result = core.check_data(dataset, kind, space=space)
                said = as_check(result, name=check.name, asset_key=key, state=state, fails=softened(result))
        yield said

    return body


def data_checks(dataset: str, spaces: Sequence[str], demanded: GateConfig) -> list[dg.AssetChecksDefinition]:
    """Every data check of a dataset."""
    found = [data_check(dataset, documents_key(dataset), "documents", None, demanded)]
    for space in spaces:
        found.append(data_check(dataset, space_key(dataset, space, CHUNKS), "chunks", space, demanded))
        found.append(data_check(dataset, space_key(dataset, space, EMBEDDINGS), "embeddings", space, demanded))
    return [one for one in found if one is not None]


def staging_checks(
    dataset: str, space: str, demanded: GateConfig, *, mirrored: bool = False
) -> dg.AssetChecksDefinition | None:
    """The gates before promotion, on what every target really holds. Their verdicts go to the registry. None where all are off."""
    gates = gates_of_checks(demanded, mirrored=mirrored)
    if not gates:
        return None
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
    @takes_project(dataset)
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
            page = dg.MetadataValue.path(str(core.report_file(dataset, version)))
        results = _of_places([(deployment.target, ones) for deployment, ones in found], once)
        for name in chosen:
            ones = [one for gate, one in results if gate in gates[name]]
            yield as_check(
                _worst(name, ones), name=name, asset_key=key, version=version, report=page,
                fails=any(map(softened, ones)) and not blocks(gates[name]),
            )  # fmt: skip
        # After the results: nothing that is wrong with a page may keep them.
        written = show.report(core, dataset, version)
        context.op_execution_context.log_event(dg.AssetObservation(key, metadata={"version": version, **written}))

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
    """Several results as one: the worst status, every summary. Of one gate at several places the numbers are the first one's."""
    if len(results) == 1:
        return results[0]
    same = len({one.name.partition(" (")[0] for one in results}) == 1
    return CheckResult(
        name,
        overall(results),
        "; ".join(result.summary for result in results),
        {**(_numbers(results[0].detail) if same else {}), **{result.name: result.detail for result in results}},
        tuple(example for result in results for example in result.examples),
    )


def as_check(
    result: CheckResult,
    *,
    name: str | None = None,
    asset_key: dg.AssetKey | None = None,
    version: int | None = None,
    state: str | None = None,
    report: dg.PathMetadataValue | str | None = None,
    fails: bool = False,
) -> dg.AssetCheckResult:
    """A gate's result in Dagster's words: a warning passes, and what could not run fails. ``fails``: a warning does too, with
    severity WARN, which stops nothing: policy alone made it one.
    """
    examples = [dict(example) for example in result.examples]
    # Top-level numbers stand by themselves, so that the UI plots them over time.
    numbers = _numbers(result.detail)
    return dg.AssetCheckResult(
        passed=not result.blocks and not fails,
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
            **({"report": report} if report is not None else {}),
            **({"examples": show.table(examples)} if examples else {}),
            **show.charts(result.detail),
            "detail": dg.MetadataValue.json(_without_bulk(result.detail)),
        },
    )


def _numbers(detail: Mapping[str, Any]) -> dict[str, int | float]:
    return {name: value for name, value in detail.items() if isinstance(value, int | float)}


def _without_bulk(detail: Mapping[str, Any]) -> dict[str, Any]:
    """What the report shows is not kept a second time in Dagster's events; of several results (in one detail), of each."""
    kept = {name: value for name, value in detail.items() if name not in _BULKY}
    return {name: _without_bulk(value) if isinstance(value, Mapping) else value for name, value in kept.items()}
