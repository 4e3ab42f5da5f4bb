"""What a terminal shows of two sides' answers: rich renderables for a given width, no I/O.

Text that came from outside (documents, titles, questions) is never read as markup: it goes in as ``Text``, and where a
width is reckoned ``legible``.
"""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vector_pipeline.report.tables import table
from vector_pipeline.report.units import plural
from vector_pipeline.report.words import legible
from vector_pipeline.verify.sidebyside import Answer, Asked, Found, SideBySide

WIDEST = 160
"""Beyond this many columns, lines are no easier to read."""
_RANK, _GAP = 4, 2


def answer_lines(found: SideBySide, answer: Answer, width: int) -> Group:
    """One question: the overlap in a line, and both rankings beside one another."""
    width = min(width, WIDEST)
    cell = max(16, (width - _RANK - _GAP) // 2)
    made = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold", show_edge=False)
    made.add_column("", justify="right", width=_RANK - _GAP)
    made.add_column(heading(found.left), width=cell - _GAP, no_wrap=True, overflow="ellipsis")
    made.add_column(heading(found.right), width=cell, no_wrap=True, overflow="ellipsis")
    for number in range(max(len(answer.left), len(answer.right))):
        left = _cell(answer.left, number, _left_mark(answer, number), cell - _GAP)
        right = _cell(answer.right, number, _right_mark(answer, number), cell)
        made.add_row(Text(str(number + 1), style="dim"), left, right)
    head = Text(f'"{answer.query}"', style="bold")
    parts: list[RenderableType] = [head, Text(said(answer)), Text("")]
    return Group(*parts, made if answer.left or answer.right else Text("Neither has an answer."))


def heading(side: Asked) -> str:
    """``production v3 on local``."""
    where = f"on {side.target}" if side.target is not None else "in the lake, exactly"
    return " ".join(part for part in (side.name, f"v{side.version}", where) if part)


def said(answer: Answer) -> str:
    """How much is alike, in one line."""
    most = max(len(answer.left), len(answer.right))
    if not most:
        return "No document on either side."
    parts = [
        f"{count} {word}"
        for count, word in ((answer.new, "new"), (answer.gone, "gone"), (answer.moved, "moved"))
        if count
    ]
    rest = f": {', '.join(parts)}" if parts else ", at the same ranks"
    return f"{answer.shared} of {most} documents on both sides (overlap {answer.overlap:.0%}){rest}"


def _left_mark(answer: Answer, number: int) -> Text:
    if number < len(answer.left) and answer.left[number].document not in answer.right_ranks:
        return Text("gone", style="red")
    return Text("")


def _right_mark(answer: Answer, number: int) -> Text:
    if number >= len(answer.right):
        return Text("")
    one = answer.right[number]
    before = answer.left_ranks.get(one.document)
    if before is None:
        return Text("new", style="green")
    if before == one.rank:
        return Text("")
    up = before > one.rank
    return Text(f"{'▲' if up else '▼'}{abs(before - one.rank)}", style="green" if up else "yellow")


def _cell(ones: Sequence[Found], number: int, mark: Text, width: int) -> Text:
    """Score, document and mark; below it where in the document, and how the chunk begins."""
    if number >= len(ones):
        return Text("")
    one = ones[number]
    score = f"{one.score:.3f}"
    room = width - len(score) - 1 - (len(mark.plain) + 1 if mark.plain else 0)
    head = Text(f"{score} ", style="cyan", end="")
    head.append(_tail(legible(one.document), room), style="not dim bold default")
    if mark.plain:
        head.append(" ")
        head.append_text(mark)
    place = one.heading or one.title
    line = f"{place}: {one.text}" if place and not one.text.startswith(place) else one.text
    head.append(f"\n{_head(legible(line), width)}", style="dim default")
    return head


def _tail(text: str, width: int) -> str:
    """The end of what is too long: of a path the file's name says most."""
    if cell_len(text) <= width:
        return text
    cut = text
    while cut and cell_len(cut) > width - 1:
        cut = cut[1:]
    return f"…{cut}"


def _head(text: str, width: int) -> str:
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…"


def summary_lines(found: SideBySide, width: int) -> Group:
    """Many questions, those that differ most first."""
    width = min(width, WIDEST)
    ordered = sorted(found.answers, key=lambda one: one.difference, reverse=True)
    rows = [
        (
            f"{one.overlap:.0%}",
            one.new,
            one.gone,
            one.moved,
            _first(one),
            _head(legible(one.query), max(20, width - 36)),
        )
        for one in ordered
    ]
    made = table(
        ("overlap", "new", "gone", "moved", "first", "question"), rows, right=("overlap", "new", "gone", "moved")
    )
    return Group(made, Text(""), Text(totals(found)))


def _first(answer: Answer) -> str:
    if not answer.left or not answer.right:
        return "same" if answer.left == answer.right else "other"
    return "same" if answer.left[0].document == answer.right[0].document else "other"


def totals(found: SideBySide) -> str:
    """Many questions in one line."""
    answers = found.answers
    alike = sum(one.overlap == 1 and not one.moved for one in answers)
    other = sum(_first(one) == "other" for one in answers)
    return (
        f"{heading(found.left)} and {heading(found.right)}: mean overlap {found.overlap:.1%} over "
        f"{plural(len(answers), 'question')}; {alike:,} alike, {other:,} with another first document"
    )
