"""A space's plan as text: what changes, what is estimated and how well, time, money, and the first load of each target."""

from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vector_pipeline.build.estimates import Estimate
from vector_pipeline.release.costs import duration, said, said_of_prices
from vector_pipeline.release.spaceplan import Change, IndexLoad, Pace, SpaceFacts, SpacePlan
from vector_pipeline.report.tables import table
from vector_pipeline.report.units import human_bytes, plural

CHANGES = {
    Change.NONE: "the same space: no vector changes",
    Change.METADATA: "the same space, and only metadata of documents differs: no vector changes",
    Change.METRIC: "the same vectors, compared in another way: nothing is embedded, a new namespace is written",
    Change.RE_CHUNK: "other chunks, the same embedder: only texts that have no vector yet are embedded",
    Change.RE_EMBED: "another embedder of the same dimension: every text is embedded anew",
    Change.DIMENSION: "another embedder and another dimension: every text is embedded anew",
}
"""One line a class, for people."""
_LOADS = ("target", "load", "records", "size", "time", "cost", "")


def space_plan_lines(plan: SpacePlan) -> Group:
    """A space's plan for people."""
    head = Text(f"{plan.dataset}: what space {plan.space.name} takes (environment {plan.environment})")
    parts: list[RenderableType] = [head, Text(""), _change(plan), Text(""), _work(plan), Text("")]
    parts += [_loads(plan), *_notes(plan), Text(""), Text(space_plan_summary(plan), style="bold")]
    return Group(*parts)


def space_plan_summary(plan: SpacePlan) -> str:
    """The last line: what there is to do."""
    what = f"{plan.change}: {_about(plan.texts)} {'text' if plan.texts.count == 1 else 'texts'} to embed"
    if plan.embed_s is not None and plan.texts.value:
        what += f" in ≈ {duration(plan.embed_s.value)}"
    records = f", {_about(plan.chunks)} records to load" if any(one.way for one in plan.loads) else ""
    return f"Plan: {what}{records}. What production serves does not change until promote."


def _about(estimate: Estimate) -> str:
    return f"{estimate.count:,}" if estimate.exact else f"≈ {_three(estimate.value):,}"


def figure(estimate: Estimate, noun: str = "") -> str:
    """``12,345``, or where it is estimated ``≈ 12,300 (±4%)``, ``≈ 40 (12 to 160)``, ``≈ 0 (at most 12)``; with a noun behind
    the number.
    """
    if estimate.exact:
        return plural(estimate.count, noun) if noun else f"{estimate.count:,}"
    return spelled(estimate, lambda value: f"{_three(value):,}", f" {noun}s" if noun else "")


def spelled(estimate: Estimate, words: Callable[[float], str], unit: str = "") -> str:
    """An estimate of seconds, bytes or money: each bound in ``words``, the first with the unit."""
    value = words(estimate.value) + unit
    if estimate.exact:
        return value
    if estimate.high == float("inf"):
        return "not known"
    if not estimate.value:
        return f"≈ {value} (at most {words(estimate.high)})"
    if estimate.spread > 0.5:
        return f"≈ {value} ({words(estimate.low)} to {words(estimate.high)})"
    return f"≈ {value} (±{max(estimate.spread, 0.01):.0%})"


def _three(value: float) -> int:
    """To three digits: more would say what nobody knows."""
    whole = round(value)
    return round(whole, -max(len(str(abs(whole))) - 3, 0))


def _change(plan: SpacePlan) -> Table:
    grid = _grid()
    grid.add_row(Text("Change"), Text(f"{plan.change}: {CHANGES[plan.change]}", style="bold"))
    grid.add_row(Text("From"), Text(_space(plan.since)))
    grid.add_row(Text("To"), Text(_space(plan.space)))
    for number, one in enumerate(plan.differs):
        grid.add_row(Text("" if number else "Differs"), Text(one))
    return grid


def _space(facts: SpaceFacts) -> str:
    since = "" if facts.version is None else f" (v{facts.version})"
    return f"{facts.name}{since}: {facts.model or 'model not recorded'}, {facts.dimension:,} dimensions, {facts.metric}"


def _work(plan: SpacePlan) -> Table:
    grid = _grid()
    grid.add_row(Text("Documents"), Text(_documents(plan)))
    grid.add_row(Text("Chunks"), Text(figure(plan.chunks)))
    known = f"; {plan.known:.0%} of the sampled contents have a vector already" if plan.known else ""
    grid.add_row(Text("To embed"), Text(f"{figure(plan.texts, 'text')}, {figure(plan.tokens, 'token')}{known}"))
    grid.add_row(Text("Time"), Text(_time(plan)))
    if plan.money is not None:
        grid.add_row(Text("Cost"), Text(f"{spelled(plan.money, lambda one: _money(one, plan.currency))} to embed"))
    elif plan.texts.high:
        grid.add_row(Text("Cost"), Text("not known: the embedder has no `prices`"))
    vectors, chunks = spelled(plan.vector_bytes, human_bytes), spelled(plan.text_bytes, human_bytes)
    grid.add_row(Text("Lake"), Text(f"+ {vectors} of vectors, {chunks} of chunks before compression"))
    return grid


def _documents(plan: SpacePlan) -> str:
    if not plan.missing:
        reused = plan.change is Change.METRIC and not plan.done
        return f"{plan.documents:,}, all of them " + (
            "with vectors that are reused" if reused else "in the space already"
        )
    looked = "all of these were cut" if plan.sampled >= plan.missing else f"{plan.sampled:,} of these were sampled"
    return f"{plan.documents:,}, of which {plan.missing:,} are not in the space yet: {looked}"


def _time(plan: SpacePlan) -> str:
    if not plan.texts.high:
        embed = "nothing to embed"
    elif plan.embed_s is None:
        embed = "to embed: not known; fill a shard, or plan without --no-measure"
    else:
        # No interval: how far the rate itself is off, nobody knows.
        embed = f"≈ {duration(plan.embed_s.value)} to embed, {_pace(plan.pace)}"
    return embed if not plan.cut_s else f"{embed}; {duration(plan.cut_s)} to cut"


def _pace(pace: Pace) -> str:
    rate = (pace.most_per_s if pace.held else pace.texts_per_s) or 0.0
    shown = f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
    if pace.held:
        return f"at {shown} texts/s (reembed.max_texts_per_s)"
    how = "as earlier fills took" if pace.source == "fills" else f"measured now with {plural(pace.texts, 'text')}"
    return f"at {shown} texts/s ({how})"


def _money(amount: float, currency: str | None) -> str:
    return f"{amount:,.2f} {currency}" if amount >= 0.005 or not amount else f"{amount:.2g} {currency}"


def _loads(plan: SpacePlan) -> Table:
    made = table(_LOADS, (_load(plan, one) for one in plan.loads), right=_LOADS[2:6])
    made.columns[0].header = "First load"
    return made


def _load(plan: SpacePlan, one: IndexLoad) -> tuple[object, ...]:
    if one.way is None:
        return (one.target, "has begun", "", "", "", "", f"what is left to write: vector-pipeline plan {plan.dataset}")
    cost, about = one.cost, "" if plan.chunks.exact else "≈ "
    told = said_of_prices(cost)
    money = "" if cost.money is None else f"{about}{said(cost)}" + (f" ({told})" if told else "")
    index = (
        f"needs another index: this one has {plan.since.dimension:,} dimensions ({plan.since.metric})"
        if one.other_index
        else ""
    )
    size, takes = f"{about}{human_bytes(cost.bytes)}", f"{about}{duration(cost.seconds)}"
    return one.target, one.way, figure(plan.chunks), size, takes, money, index


def _notes(plan: SpacePlan) -> list[RenderableType]:
    told = [note for one in plan.loads for note in one.notes]
    told += [f"a push to {one.target} {one.refused}" for one in plan.loads if one.refused]
    told = [*([f"a re-embedding {plan.refused}"] if plan.refused else []), *told, *plan.notes]
    return [Text(""), *(Text(f"Note: {note}", style="yellow") for note in told)] if told else []


def _grid() -> Table:
    return Table.grid(padding=(0, 3, 0, 0))
