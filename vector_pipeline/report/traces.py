"""What a terminal shows of blame and erase: rich renderables, no I/O."""

from rich.console import Group, RenderableType
from rich.text import Text

from vector_pipeline.report.tables import table
from vector_pipeline.trace.blame import Blame, Change, Standing
from vector_pipeline.trace.erased import Erased


def blame_lines(found: Blame) -> Group:
    """The versions in which the document entered or left, where it stands now, and who is there instead."""
    parts: list[RenderableType] = [Text(f'{found.document} in the top {found.top_k} of "{found.question}"'), Text("")]
    by_version = {one.version: one for one in found.standings}
    if found.changes:
        parts.append(
            table(
                ("version", "", "rank", "score", "before", "because"),
                (_row(change, by_version) for change in found.changes),
                right=("rank", "score", "before"),
            )
        )
    else:
        word, count = "in" if found.latest.inside else "out", len(found.standings)
        searched = "the version" if count == 1 else f"each of the {count} versions"
        parts.append(Text(f"It was {word} in {searched} searched."))
    parts += [Text(""), Text(f"Now (v{found.latest.version}): {_stands(found.latest, found.top_k)}", style="bold")]
    if not found.latest.inside:
        parts += [Text(f"  {rank:>2}  {score:.3f}  {document}") for rank, document, score in found.top[:10]]
    if found.skipped:
        parts += [Text(""), Text(f"Not searched: {_skipped(found)}", style="yellow")]
    return Group(*parts)


def _row(change: Change, standings: dict[int, Standing]) -> tuple[object, ...]:
    here = standings[change.version]
    before = standings.get(change.previous) if change.previous is not None else None
    sign = Text("+ entered", style="green") if change.entered else Text("- left", style="red")
    score = f"{here.score:.3f}" if here.score is not None else None
    return f"v{change.version}", sign, here.rank, score, before.rank if before else None, change.detail


def _stands(here: Standing, top_k: int) -> str:
    if here.rank is None:
        return "the version does not hold the document"
    where = "in" if here.inside else f"not in the top {top_k}"
    return f"{where}, rank {here.rank:,} of {here.records:,} records, score {here.score:.3f}"


def _skipped(found: Blame) -> str:
    """Versions by reason: ``v1, v2 (expired)``."""
    reasons: dict[str, list[str]] = {}
    for number, why in found.skipped.items():
        reasons.setdefault(why, []).append(f"v{number}")
    return "; ".join(f"{', '.join(numbers)} ({why})" for why, numbers in reasons.items())


def erased_lines(found: Erased) -> Group:
    """What an erasure touched, or would, place by place; and what it cannot reach."""
    places = [one for one in found.places if found.dry_run is False or one.before]
    if found.dry_run:
        head = Text(f"Would erase {found.document} from {found.dataset}:", style="bold")
    elif found.gone and not found.searched:
        head = Text(f"{found.document} of {found.dataset}: {found.state}:", style="bold yellow")
    elif found.gone:
        head = Text(f"{found.document} is gone from {found.dataset}:", style="bold green")
    else:
        head = Text(f"{found.document} is NOT gone from {found.dataset} everywhere:", style="bold red")
    columns = ("place", "what", "found") if found.dry_run else ("place", "what", "before", "remaining")
    rows = ((one.where, one.what, str(one.before), *(() if found.dry_run else (str(one.remaining),))) for one in places)
    parts: list[RenderableType] = [head, Text(""), table(columns, rows, right=columns[2:])]
    if found.versions:
        verb = "would be made" if found.dry_run else "were made"
        parts += [
            Text(""),
            Text(f"Kept versions {verb} again without it, under their numbers: {_numbers(found.versions)}"),
        ]
    bad = [one for one in found.gates if one.status not in ("passed", "warned")]
    parts += [Text(f"  ! v{one.version} {one.name}: {one.status}, {one.summary}", style="red") for one in bad]
    for title, ones in (("Not reached", found.not_reached), ("Note", found.notes), ("Beyond reach", found.unreachable)):
        parts += [Text(f"{title}: {one}", style="yellow" if title == "Not reached" else "dim") for one in ones]
    return Group(*parts)


def _numbers(versions: tuple[int, ...]) -> str:
    return ", ".join(f"v{one}" for one in versions)
