"""Plans and diffs as text, in the manner of Terraform: ``+`` comes, ``~`` changes, ``-`` goes."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vector_pipeline.lake.diff import VersionDiff
from vector_pipeline.release.plan import Plan, Stage
from vector_pipeline.report.units import human_bytes, plural

_COLOURS = {"+": "green", "~": "yellow", "-": "red", "!": "magenta"}
_STAGES = {
    "ensure-namespace": "make the namespace",
    "upsert": "write",
    "close": "close",
}


def plan_lines(plan: Plan) -> Group:
    """A plan: counts by document and record, examples, strategy and why, stages with bytes."""
    head = Text(
        f"{plan.dataset} v{plan.version} to {plan.target}, namespace {plan.namespace} (environment {plan.environment})"
    )
    if plan.empty:
        return Group(head, Text(""), Text(no_changes(plan), style="bold"))
    parts: list[RenderableType] = [head, Text(""), _counts(plan), Text("")]
    parts += _examples(plan)
    parts.append(_facts(plan))
    parts += [Text(""), Text(plan_summary(plan), style="bold")]
    return Group(*parts)


def no_changes(plan: Plan) -> str:
    """The one line of an empty plan."""
    return f"No changes. The target holds version {plan.version}."


def plan_summary(plan: Plan) -> str:
    """The last line of a plan that does something."""
    written = sum(stage.bytes for stage in plan.stages)
    closed = sum(stage.records for stage in plan.stages if stage.kind == "close")
    doing = [f"{plural(plan.vectors, 'record')} to write"] if plan.vectors else []
    doing += [f"{plural(closed, 'record')} to close"] if closed else []
    said = ", ".join(doing) or "an empty namespace to make"
    return f"Plan: {said}, {human_bytes(written)}. What production serves does not change until promote."


def _counts(plan: Plan) -> Table:
    actions, documents = plan.actions, plan.documents
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
        _signed("-", actions["remove"], "closed"),
        Text(f"{actions['unchanged']:,} unchanged"),
    )
    if actions["foreign"]:
        grid.add_row(Text(""), _signed("!", actions["foreign"], "not ours, closed"), Text(""), Text(""), Text(""))
    return grid


def _signed(sign: str, count: int, word: str) -> Text:
    return Text(f"{sign} {count:,} {word}", style=_COLOURS[sign] if count else "dim")


def _examples(plan: Plan) -> list[RenderableType]:
    words = (("+", "add", "records added in"), ("~", "metadata", "metadata changed in"), ("-", "remove", "closed in"))
    lines: list[RenderableType] = []
    for sign, action, phrase in (*words, ("!", "foreign", "not ours in")):
        found = plan.examples.get(action, [])
        if found:
            lines.append(Text(f"  {sign} {phrase} {', '.join(found[:5])}{', …' if len(found) > 5 else ''}"))
    return [*lines, Text("")] if lines else []


def _facts(plan: Plan) -> Table:
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_row(Text("Strategy"), Text(f"{plan.strategy}: {plan.why}"))
    for number, stage in enumerate(plan.stages, start=1):
        grid.add_row(Text("Stages" if number == 1 else ""), Text(f"{number}. {stage_line(stage)}"))
    return grid


def stage_line(stage: Stage) -> str:
    """One stage: ``write 14 records, 33.1 KB in 1 request``."""
    if stage.kind == "ensure-namespace":
        return _STAGES[stage.kind]
    verb = _STAGES.get(stage.kind, stage.kind)
    requests = plural(stage.requests, "request")
    return f"{verb} {plural(stage.records, 'record')}, {human_bytes(stage.bytes)} in {requests}"


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
