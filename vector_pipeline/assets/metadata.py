"""Metadata of materialisations and checks: what a person sees beside an asset."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import dagster as dg

from vector_pipeline.lake.diff import VersionDiff
from vector_pipeline.project import Project
from vector_pipeline.release.plan import Cost, Plan
from vector_pipeline.report.page.summary import pictures, summary
from vector_pipeline.report.samples import ShardFacts
from vector_pipeline.report.words import markdown
from vector_pipeline.verify.outcome import could_not_run

Metadata = dict[str, Any]
"""Plain values and ``MetadataValue``s, as Dagster takes them."""
_CELL = 120


def table(rows: Sequence[Mapping[str, Any]]) -> dg.MarkdownMetadataValue:
    """Rows as a Markdown table with a column for each key that any of them has; a cell is one line of bounded length."""
    if not rows:
        return dg.MetadataValue.md("nothing")
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [
        "| " + " | ".join(map(_cell, names)) + " |",
        "|" + " --- |" * len(names),
        *("| " + " | ".join(_cell(row.get(name)) for name in names) + " |" for row in rows),
    ]
    return dg.MetadataValue.md("\n".join(lines))


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
    text = " ".join(str(value).split())
    return markdown(text if len(text) <= _CELL else text[: _CELL - 1] + "…")


def counts(value: Any, *names: str) -> Metadata:
    """The named numbers of one of the core's outcomes, or all of them."""
    fields = asdict(value)
    return {name: fields[name] for name in (names or fields) if isinstance(fields[name], int | float)}


def plain(value: Any) -> dg.JsonMetadataValue:
    """A JSON value as such: Dagster stores no enumeration of ours, not even one that is a string."""
    return dg.MetadataValue.json(json.loads(json.dumps(value)))


def seconds(value: float) -> dg.FloatMetadataValue:
    """A duration."""
    return dg.MetadataValue.float(round(float(value), 3))


def warnings(context: dg.AssetExecutionContext | dg.OpExecutionContext, core: Project) -> Metadata:
    """What did not follow a move: said in the run's log, and beside the asset."""
    found = core.take_warnings()
    for line in found:
        context.log.warning(line)
    return {"warnings": plain(found)} if found else {}


def command(line: str) -> dg.MarkdownMetadataValue:
    """A command to type next."""
    return dg.MetadataValue.md(f"`{line}`")


def diff(found: VersionDiff) -> Metadata:
    """A diff by record and by document, with examples."""
    rows = [
        {
            "": "records",
            "added": found.records_added,
            "removed": found.records_removed,
            "changed": found.records_metadata,
            "unchanged": found.records_unchanged,
        },
        {
            "": "documents",
            "added": found.documents_added,
            "removed": found.documents_removed,
            "changed": found.documents_changed,
            "unchanged": found.documents_unchanged,
        },
    ]
    examples = [{"": kind, "documents": ", ".join(ids)} for kind, ids in found.examples.items() if ids]
    return {"diff": table(rows), "examples": table(examples), "documents_moved": found.documents_moved}


def plan(found: Plan) -> Metadata:
    """What a push was about to do, and what else was weighed."""
    examples = [{"action": action, "documents": ", ".join(ids)} for action, ids in found.examples.items() if ids]
    stages = [
        {"stage": stage.kind.value, "records": stage.records, "bytes": stage.bytes, "requests": stage.requests}
        for stage in found.stages
    ]
    weighed = [
        {
            "strategy": one.load or one.strategy.value,
            "chosen": "yes" if one.why.startswith("chosen") else "" if one.possible else "not possible",
            **_cost(one.cost),
            "why": one.why,
        }
        for one in found.alternatives
    ]
    return {
        "actions": table([found.actions]),
        "documents": table([found.documents]),
        "examples": table(examples),
        "strategy": found.strategy.value,
        "why": found.why,
        "stages": table(stages),
        "cost": table([_cost(found.cost)]),
        **({"alternatives": table(weighed)} if weighed else {}),
        **({"notes": table([{"note": note} for note in found.notes])} if found.notes else {}),
        # By themselves, so that the UI plots them.
        "estimated_seconds": seconds(found.cost.seconds),
        **({"money": found.cost.money} if found.cost.money is not None else {}),
    }


def _cost(cost: Cost) -> Mapping[str, Any]:
    return {
        "vectors": cost.vectors,
        "records": cost.records,
        "bytes": cost.bytes,
        "requests": cost.requests,
        "seconds": f"{cost.seconds:.1f}",
        "money": "" if cost.money is None else f"{cost.money:.6g} {cost.currency or ''}".rstrip(),
    }


def report(core: Project, dataset: str, version: int) -> Metadata:
    """Write the report of a version that the gates have just judged; where it lies, and the whole in short with pictures.

    What keeps it from being written never fails a run: the verdicts stand in the registry.
    """
    try:
        facts, file = core.write_report(dataset, version)
        return {
            "report": dg.MetadataValue.path(str(file)),
            "outlook": facts.outlook.value,
            "summary": dg.MetadataValue.md(summary(facts)),
        }
    except Exception as error:  # noqa: BLE001  whatever is wrong with a page, the gates have judged
        return {"report": could_not_run("the report", error).summary}


def charts(detail: Mapping[str, Any]) -> Metadata:
    """Pictures of what a gate measured; nothing where it left none."""
    found = pictures(detail)
    return {"charts": dg.MetadataValue.md(found)} if found else {}


def report_shards(
    context: dg.AssetExecutionContext, shards: Sequence[int], facts: Mapping[int, ShardFacts], unit: str
) -> None:
    """What each shard holds, on its own partition: the run's totals are the materialisation's metadata."""
    empty = ShardFacts(0, "")
    for key, shard in zip(sorted(context.partition_keys), shards, strict=True):
        found = facts.get(shard, empty)
        held = {f"shard_{unit}": found.rows, **{f"shard_{name}": value for name, value in found.counts.items()}}
        context.add_asset_metadata({**held, "shard_digest": found.digest or "empty"}, partition_key=key)
