"""Plans and diffs as text, in the manner of Terraform: ``+`` comes, ``~`` changes, ``-`` goes."""

from collections.abc import Iterable, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vector_pipeline.lake.diff import VersionDiff
from vector_pipeline.release.costs import duration, said, said_of_prices
from vector_pipeline.release.plan import Cost, Plan, Stage, StageKind
from vector_pipeline.report.units import human_bytes, plural

_COLOURS = {"+": "green", "~": "yellow", "-": "red", "!": "magenta"}


def plan_lines(plan: Plan) -> Group:
    """A plan: what changes by document, vector and record; the stages with what they take; the strategy and why; notes."""
    head = Text(f"{plan.dataset} v{plan.version} to {plan.goal}, target {plan.target} (environment {plan.environment})")
    if plan.empty:
        return Group(head, Text(""), Text(no_changes(plan), style="bold"), *_notes(plan))
    parts: list[RenderableType] = [head, Text(""), _counts(plan), Text("")]
    parts += _examples(plan)
    parts += [_stage_table(plan), Text(""), _facts(plan), *_notes(plan)]
    parts += [Text(""), Text(plan_summary(plan), style="bold")]
    return Group(*parts)


def no_changes(plan: Plan) -> str:
    """The one line of an empty plan."""
    where = "Production serves" if plan.goal == "production" else "The target holds"
    return f"No changes. {where} version {plan.version}."


def plan_summary(plan: Plan) -> str:
    """The last line of a plan that does something."""
    counts = {kind: sum(stage.records for stage in plan.stages if stage.kind == kind) for kind in _DOING}
    doing = [f"{plural(count, 'record')} to {_DOING[kind]}" for kind, count in counts.items() if count]
    size = sum(stage.bytes for stage in plan.stages)
    what = f"{', '.join(doing)}, {human_bytes(size)}" if doing else _without_records(plan)
    return f"Plan: {what}. {_after(plan)}"


_DOING = {
    StageKind.UPSERT: "write",
    StageKind.IMPORT: "import",
    StageKind.DERIVE: "derive",
    StageKind.SET_METADATA: "give other metadata",
    StageKind.CLOSE: "close",
    StageKind.DELETE: "delete",
}
_STAGES = {
    StageKind.ENSURE_NAMESPACE: "make or check the namespace",
    StageKind.UPSERT: "write records",
    StageKind.IMPORT: "import records from files into a new namespace",
    StageKind.DERIVE: "derive records, without vectors",
    StageKind.SET_METADATA: "replace metadata",
    StageKind.CLOSE: "close records",
    StageKind.DELETE: "delete records",
    StageKind.VERIFY: "run the gates",
    StageKind.MOVE_ALIAS: "move",
}


def _without_records(plan: Plan) -> str:
    moved = [stage.where for stage in plan.stages if stage.kind is StageKind.MOVE_ALIAS]
    return f"no record to write; {' and '.join(moved)} to move" if moved else "no record to write"


def _after(plan: Plan) -> str:
    if plan.goal == "production":
        return "Production moves when the gates have passed."
    return "What production serves does not change until promote."


def _counts(plan: Plan) -> Table:
    actions, documents = plan.actions, plan.documents
    ended = "deleted" if any(stage.kind is StageKind.DELETE for stage in plan.stages) else "closed"
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_row(
        Text("Documents"),
        _signed("+", documents["added"], "added"),
        _signed("~", documents["changed"], "changed"),
        _signed("-", documents["removed"], "removed"),
        Text(""),
    )
    grid.add_row(
        Text("Records"),
        _signed("+", actions["add"], "added"),
        _signed("~", actions["metadata"], "metadata only"),
        _signed("-", actions["remove"], ended),
        Text(f"{actions['unchanged']:,} unchanged"),
    )
    more = [_signed("+", actions["restore"], "returning")] if actions["restore"] else []
    more += [_signed("!", actions["foreign"], f"not ours, {ended}")] if actions["foreign"] else []
    if more:
        grid.add_row(Text(""), *more, *[Text("")] * (4 - len(more)))
    spared = sum(stage.records for stage in plan.stages if stage.kind in (StageKind.DERIVE, StageKind.SET_METADATA))
    grid.add_row(
        Text("Vectors"),
        _signed("+", plan.vectors, "sent"),
        Text(f"{spared:,} not sent: they are there", style="" if spared else "dim"),
        Text(""),
        Text(""),
    )
    return grid


def _signed(sign: str, count: int, word: str) -> Text:
    return Text(f"{sign} {count:,} {word}", style=_COLOURS[sign] if count else "dim")


def _examples(plan: Plan) -> list[RenderableType]:
    words = (
        ("+", "add", "records added in"),
        ("+", "restore", "records returning in"),
        ("~", "metadata", "metadata changed in"),
        ("-", "remove", "records ended in"),
        ("!", "foreign", "not ours in"),
    )
    lines: list[RenderableType] = []
    for sign, action, phrase in words:
        found = plan.examples.get(action, [])
        if found:
            lines.append(Text(f"  {sign} {phrase} {', '.join(found[:5])}{', …' if len(found) > 5 else ''}"))
    return [*lines, Text("")] if lines else []


def _stage_table(plan: Plan) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for column in ("Stages", "records", "size", "requests", "time"):
        made.add_column(column, justify="left" if column == "Stages" else "right", overflow="fold")
    for number, stage in enumerate(plan.stages, start=1):
        line = [Text(f"{number}. {stage_name(stage)}")]
        if stage.records:
            amounts = (
                f"{stage.records:,}",
                human_bytes(stage.bytes),
                f"{stage.requests:,}",
                duration(stage.seconds),
            )
            line += [Text(amount) for amount in amounts]
        made.add_row(*line, *[Text("")] * (5 - len(line)))
    return made


def stage_name(stage: Stage) -> str:
    """One stage: ``write records``, ``close records by filter``, ``move production``."""
    name = _STAGES.get(stage.kind, str(stage.kind)) + (f" by {stage.ending}" if stage.ending else "")
    if not stage.where:
        return name
    return f"{name} {stage.where}" if stage.kind is StageKind.MOVE_ALIAS else f"{name} in {stage.where}"


def _facts(plan: Plan) -> Table:
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_row(Text("Cost"), Text(cost_line(plan.cost)))
    grid.add_row(Text("Line"), Text(plan.namespace))
    grid.add_row(Text("Strategy"), Text(f"{plan.strategy}: {plan.why}"))
    weighed = [one for one in plan.alternatives if not one.load]
    loads = [one for one in plan.alternatives if one.load]
    for number, one in enumerate(loads):
        grid.add_row(Text("" if number else "Load"), Text(f"{one.load}: {one.why}"))
    others = [one for one in weighed if (one.strategy, one.namespace) != (plan.strategy, plan.namespace)]
    for number, one in enumerate(others):
        taking = f" ({cost_line(one.cost)})" if one.cost.records else ""
        grid.add_row(Text("" if number else "Instead"), Text(f"{one.strategy} into {one.namespace}: {one.why}{taking}"))
    return grid


def cost_line(cost: Cost) -> str:
    """``1,204 records, 800 vectors, 2.1 MB, 3 requests, about 1.2 s, 0.05 USD``."""
    parts = [
        plural(cost.records, "record"), plural(cost.vectors, "vector"), human_bytes(cost.bytes),
        plural(cost.requests, "request"), f"about {duration(cost.seconds)}",
    ]  # fmt: skip
    if cost.money is not None:
        parts.append(said(cost))
        told = said_of_prices(cost)
        parts[-1] += f" ({told})" if told else ""
    return ", ".join(parts)


def retried_line(retried: Mapping[str, int]) -> str:
    """``retried: 14 × 429, 6 × 503, 4 × lost response (read back)``; empty where nothing was."""
    told = sorted(retried.items(), key=lambda one: (-one[1], one[0]))
    return f"retried: {', '.join(f'{count:,} × {reason}' for reason, count in told)}" if told else ""


def _notes(plan: Plan) -> list[RenderableType]:
    return [Text(""), *(Text(f"Note: {note}", style="yellow") for note in plan.notes)] if plan.notes else []


def diff_lines(old: int, new: int, diff: VersionDiff) -> Group:
    """A diff between two versions: counts, then examples of documents."""
    if diff.empty and not (diff.documents_added or diff.documents_removed or diff.documents_changed):
        return Group(Text(f"No difference between v{old} and v{new}.", style="bold"))
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_row(
        Text("Documents"),
        _signed("+", diff.documents_added, "added"),
        _signed("~", diff.documents_changed, "changed"),
        _signed("-", diff.documents_removed, "removed"),
        Text(f"{diff.documents_unchanged:,} unchanged"),
    )
    grid.add_row(
        Text("Records"),
        _signed("+", diff.records_added, "added"),
        _signed("~", diff.records_metadata, "metadata only"),
        _signed("-", diff.records_removed, "removed"),
        Text(f"{diff.records_unchanged:,} unchanged"),
    )
    parts: list[RenderableType] = [Text(f"v{old} to v{new}"), Text(""), grid]
    if diff.documents_moved:
        parts.append(Text(f"{plural(diff.documents_moved, 'document')} moved: the same text under another id"))
    parts.append(Text(""))
    shown = (("+", "added", diff.documents_added), ("~", "changed", diff.documents_changed))
    for sign, change, total in (*shown, ("-", "removed", diff.documents_removed)):
        parts += _listed(sign, diff.examples.get(change, []), total)
    return Group(*parts)


def _listed(sign: str, documents: Iterable[str], total: int) -> list[Text]:
    names = list(documents)
    lines = [Text(f"  {sign} {name}", style=_COLOURS[sign]) for name in names]
    if total > len(names):
        lines.append(Text(f"  {sign} … and {total - len(names):,} more", style=_COLOURS[sign]))
    return lines
