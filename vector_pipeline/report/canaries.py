"""What a terminal shows of canaries: suggestions, and what is wrong with a file of them. Rich renderables, no I/O."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from vector_pipeline.report.tables import table
from vector_pipeline.report.units import plural
from vector_pipeline.verify.canaries.check import Looked
from vector_pipeline.verify.sidebyside import Found
from vector_pipeline.verify.suggest.suggestion import Suggested, Suggestion

_SNIPPET = 240
_FIRST = 3


def suggestions_table(found: Suggested) -> Group:
    """Every suggestion in a line."""
    rows = [
        (number, one.query, one.document, f"{one.score:.3f}", f"{one.margin:.3f}", one.why)
        for number, one in enumerate(found.suggestions, start=1)
    ]
    columns = ("", "question", "document", "score", "before the next", "why")
    return Group(table(columns, rows, right=("", "score", "before the next")), Text(""), Text(asked_line(found)))


def asked_line(found: Suggested) -> str:
    """How many, and of what."""
    asked = found.asked
    where = f"in {asked.name}" if asked.name else "in the lake"
    made = plural(len(found.suggestions), "canary").replace("canarys", "canaries")
    return f"{made} suggested, from version {asked.version} {where}."


def suggestion_lines(number: int, total: int, one: Suggestion) -> Group:
    """One suggestion for a person to judge: the question, why, and the first documents."""
    head = Text(f"[{number} of {total}] ", style="dim")
    head.append(f'"{one.query}"', style="bold not dim")
    parts: list[RenderableType] = [head, Text(f"{one.why}; expects {one.document}", style="dim")]
    return Group(*parts, *hits_of(one.hits))


def hits_of(hits: tuple[Found, ...]) -> list[RenderableType]:
    """The first documents, the first one with its text."""
    parts: list[RenderableType] = []
    for hit in hits[:_FIRST]:
        line = Text(f"{hit.rank:>2}  ")
        line.append(f"{hit.score:.3f}", style="cyan")
        line.append(f"  {hit.document}", style="bold" if hit.rank == 1 else "")
        parts.append(line)
        if hit.rank == 1:
            text = hit.text if len(hit.text) <= _SNIPPET else f"{hit.text[: _SNIPPET - 1].rstrip()}…"
            parts.append(Padding(Text(text, style="dim"), (0, 0, 0, 4)))
    return parts


def looked_lines(found: Looked, shown: str) -> Group:
    """A file of canaries that was looked over. ``shown``: its name."""
    signs = {"error": ("✗", "red"), "warning": ("!", "yellow")}
    parts: list[RenderableType] = []
    for one in found.remarks:
        sign, style = signs[one.level]
        line = Text(f"{sign} ", style=style)
        line.append(
            f'{shown}:{one.line}: "{one.query}" ' if one.line else f"{shown}: ", style="not red not yellow default"
        )
        line.append(one.says, style="default")
        parts.append(line)
    count, errors = len(found.file.canaries), found.errors
    total = plural(count, "canary").replace("canarys", "canaries")
    warnings = len(found.remarks) - errors
    held = f"{total} held against version {found.version}: "
    said = (
        " and ".join(plural(n, word) for n, word in ((errors, "error"), (warnings, "warning")) if n)
        or "nothing is wrong"
    )
    return Group(*parts, Text(f"{held}{said}."))
