"""An index that grew by hand as text: what it holds, what the source explains, and what taking it over would do."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vector_pipeline.adopt import AdoptionPlan, Inventory, Listed, Matched, ModelCheck
from vector_pipeline.report.tables import table
from vector_pipeline.report.units import human_bytes, plural

_SHOWN_KEYS = 8


def namespaces_table(found: Sequence[Listed]) -> Table:
    """Namespaces of a target, and whose they are."""
    return table(
        ("namespace", "records", "dimensions", "metric", "managed"),
        ((one.namespace, one.records, one.dimension, one.metric, one.dataset) for one in found),
        right=("records", "dimensions"),
    )


def adoption_lines(plan: AdoptionPlan) -> Group:
    """The whole report."""
    found = plan.inventory
    head = Text(f"{plan.dataset} from {found.target}, namespace {found.namespace} (environment {plan.environment})")
    parts: list[RenderableType] = [head, Text("")]
    sections = (
        ("What it holds", _inventory(found)),
        ("Against the source", _matched(plan.matched)),
        ("Against the model", _model(plan.model)),
        ("What managing it would do", _plan(plan)),
    )
    for title, rows in sections:
        grid = Table.grid(padding=(0, 3, 0, 0))
        for name, value in rows:
            grid.add_row(Text(f"  {name}"), Text(value))
        parts += [Text(title, style="bold"), grid, Text("")]
    parts += [Text(f"Note: {note}", style="yellow") for note in plan.notes]
    return Group(*parts, *([Text("")] if plan.notes else []), Text(summary(plan), style="bold"))


def summary(plan: AdoptionPlan) -> str:
    """The last line."""
    return (
        f"Adopt: {plural(plan.kept, 'vector')} kept, {plan.to_embed:,} to embed, {plan.matched.foreign:,} foreign. "
        f"{plan.inventory.namespace} is not written to."
    )


def _inventory(found: Inventory) -> list[tuple[str, str]]:
    norms = found.norms
    lengths = "-"
    if norms.least is not None and norms.median is not None and norms.most is not None:
        mixed = "; mixed" if norms.mixed else ""
        share = norms.normalised / max(1, norms.normalised + norms.others)
        lengths = f"{norms.least:.3g} to {norms.most:.3g}, median {norms.median:.3g}; {share:.1%} normalised{mixed}"
    rows = [
        ("records", f"{found.records:,}, {human_bytes(found.bytes)}; {found.dimension} dimensions, {found.metric}"),
        ("documents", f"{found.documents:,}"),
        ("texts", _counted(found.text_from) + (f"; {found.without_text:,} without" if found.without_text else "")),
        ("duplicates", f"{found.duplicate_texts:,} of text, {found.duplicate_vectors:,} of vector"),
        ("vectors", f"{found.zero_vectors:,} zero, {found.not_finite:,} not finite"),
        ("lengths", lengths),
        ("ids", _counted(found.id_shapes)),
    ]
    keys = [f"{key} ({', '.join(types)}, {sum(types.values()):,})" for key, types in found.metadata.items()]
    more = [f"and {len(keys) - _SHOWN_KEYS} more"] if len(keys) > _SHOWN_KEYS else []
    return [*rows, ("metadata", ", ".join([*keys[:_SHOWN_KEYS], *more]) or "-")]


def _matched(found: Matched) -> list[tuple[str, str]]:
    explained = sum(found.records.values())
    foreign = f"{found.foreign:,}"
    if found.foreign_examples:
        more = ", …" if found.foreign > len(found.foreign_examples) else ""
        foreign += f": {', '.join(found.foreign_examples)}{more}"
    return [
        (
            "source",
            f"{plural(found.documents, 'document')}, {plural(found.chunks, 'chunk')}, {plural(found.contents, 'different text')}",
        ),
        ("explained", f"{plural(explained, 'record')} ({_counted(found.records)})" if explained else "0 records"),
        ("foreign", foreign),
        ("not in the index", f"{plural(found.unexplained, 'text')} of the source"),
    ]


def _model(found: ModelCheck) -> list[tuple[str, str]]:
    rows = [("verdict", f"{found.verdict}: {found.why}")]
    if found.cosines is not None:
        least, median, most = found.cosines
        rows.append(("compared", f"{found.compared:,}, of which {found.agree:,} agree"))
        rows.append(("cosine", f"{least:.4f} to {most:.4f}, median {median:.4f}"))
        rows.append(("spread", _counted({name: count for name, count in (found.distribution or {}).items() if count})))
    for number, group in enumerate(found.groups):
        kept = "kept" if group.kept else "kept where compared" if group.agree else "not kept"
        line = f"{plural(group.records, 'record')} ({group.name}): {group.agree:,} of {group.compared:,} agree, {kept}"
        rows.append(("groups" if not number else "", line))
    if found.at_most_wrong:
        rows.append(("doubt", f"at most {found.at_most_wrong:.1%} of what is kept is of another model (95%)"))
    return rows


def _plan(plan: AdoptionPlan) -> list[tuple[str, str]]:
    total = max(1, plan.matched.contents)
    saved = (
        "" if plan.seconds_saved is None or not plan.kept else f"; saves about {plan.seconds_saved:,.1f} s of embedding"
    )
    rows = [
        ("vectors kept", f"{plan.kept:,} ({plan.kept / total:.1%}){saved}"),
        ("to embed", f"{plan.to_embed:,} ({plan.to_embed / total:.1%})"),
        ("new line", f"{plan.line} in {plan.line_target}: {plural(plan.records, 'record')}, {human_bytes(plan.bytes)}"),
        ("not carried over", plural(plan.matched.foreign, "record")),
        ("the old index", "stays as it is and goes on serving, until its owner drops it"),
    ]
    return [("in the lake already", f"{plan.known:,}"), *rows] if plan.known else rows


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "-"
