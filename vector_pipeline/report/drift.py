"""Drift and repairs as text."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vector_pipeline.drift import DriftReport
from vector_pipeline.drift.repair_plan import LinePlan, RepairPlan
from vector_pipeline.release.plan import StageKind
from vector_pipeline.report.units import human_bytes, plural

_COUNTS = ("expected", "found", "missing", "foreign", "tampered", "stale_marks", "compared")
_WRONG = ("missing", "foreign", "tampered", "stale_marks")
_SAYS = {
    "missing": "missing",
    "foreign": "foreign",
    "tampered": "tampered",
    "stale_marks": "stale marks",
}
_DOES = {
    StageKind.ENSURE_NAMESPACE: "make or close the namespace",
    StageKind.UPSERT: "write whole",
    StageKind.DERIVE: "write from a copy that stands there",
    StageKind.CLOSE: "set the end of",
    StageKind.DELETE: "delete",
}


def drift_lines(reports: Sequence[DriftReport]) -> Group:
    """One row an alias; then what is wrong, with examples."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("alias", "version", "level"):
        table.add_column(name)
    for name in _COUNTS:
        table.add_column(_SAYS.get(name, name), justify="right")
    table.add_column("result")
    for one in reports:
        row = [Text(f"{getattr(one, name):,}", style=_style(name, getattr(one, name))) for name in _COUNTS]
        said = Text("drift", style="bold red") if one.drifted else Text("no drift", style="green")
        table.add_row(one.alias or "-", f"v{one.version}", one.level, *row, said)
    parts: list[RenderableType] = [table]
    for one in reports:
        parts += _told(one)
    return Group(*parts)


def _style(name: str, value: int) -> str:
    return "red" if name in _WRONG and value else ""


def _told(report: DriftReport) -> list[RenderableType]:
    lines = [*report.faults, *(f"not judged: {what}" for what in report.not_judged)]
    found: list[RenderableType] = [Text(f"{report.alias or report.namespace}: {line}") for line in lines]
    shown = _examples(report.examples, {name: getattr(report, name) for name in _WRONG})
    if shown:
        found += [Text(""), Text(f"{report.alias or report.namespace}, for example:"), *shown]
    return found


def _examples(examples: Mapping[str, Sequence[str]], counts: Mapping[str, int]) -> list[RenderableType]:
    found: list[RenderableType] = []
    for name in _WRONG:
        names = examples.get(name, ())
        for index, one in enumerate(names):
            found.append(Text(f"  {_SAYS[name] if index == 0 else '':<12} {one}"))
        if names and counts.get(name, 0) > len(names):
            found.append(Text(f"  {'':<12} … and {counts[name] - len(names):,} more"))
    return found


def repair_lines(plan: RepairPlan) -> Group:
    """What a repair would do, line by line."""
    parts: list[RenderableType] = [Text(f"note: {note}") for note in plan.notes]
    for line in plan.lines:
        parts += _line(line)
    if plan.empty:
        parts.append(Text("No drift: nothing to repair.", style="bold"))
    else:
        size = human_bytes(sum(stage.bytes for stage in plan.stages))
        parts += [Text(""), Text(f"Repair: {plural(plan.writes, 'write')}, {size}.", style="bold")]
    return Group(*parts)


def _line(line: LinePlan) -> list[RenderableType]:
    versions = ", ".join(f"v{number}" for number in line.versions)
    parts: list[RenderableType] = [Text(f"{line.namespace} in {line.target}: {versions}")]
    if line.empty:
        return [*parts, Text("  as it should be")]
    wrong = [f"{count:,} {_SAYS[name]}" for name, count in line.drift.items() if count]
    parts.append(Text(f"  {', '.join(wrong) or 'the namespace is not there'}"))
    parts += _examples(line.examples, line.drift)
    for stage in line.stages:
        if stage.records:
            parts.append(Text(f"  - {_DOES[stage.kind]} {plural(stage.records, 'record')}"))
    cost = line.cost
    money = f", {cost.money:,.2f} {cost.currency}" if cost.money is not None else ""
    parts.append(Text(f"  about {cost.seconds:,.1f} s{money}"))
    return parts
