"""Write the Python language reference that every interpreter carries as Markdown files.

    python examples/python_reference/write_documents.py [FOLDER]

``pydoc_data.topics`` holds what ``help("assert")`` prints: 79 topics of the language reference as plain text. Each
becomes one file here, ``<category>/<topic>.md``, with front matter and the markup that its text implies: underlined
titles become headings, literal blocks become fences, grid tables become tables, the body under a definition loses its
indent. No word is changed. Equal interpreters write equal bytes, and a file that would not change is not touched: its
mtime stays.
"""

import json
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from pydoc_data.topics import topics

DEFAULT_FOLDER = Path(__file__).parent / "documents"
DEFAULT_CATEGORY = "reference"
"""Of a topic that this script does not know: newer interpreters may bring some."""

_CATEGORIES = {
    "statements": "assert assignment async augassign break class compound continue del else for function global if "
    "import nonlocal pass raise return try while with yield",
    "expressions": "assignment-expressions atom-identifiers atom-literals attribute-references await binary bitwise "
    "booleans calls comparisons conversions dict exprlists in lambda lists operator-summary power shifting slicings "
    "subscriptions unary",
    "data-model": "attribute-access callable-types context-managers customization numeric-types objects sequence-types "
    "specialattrs specialnames types",
    "types": "bltin-code-objects bltin-ellipsis-object bltin-null-object bltin-type-objects string-methods truth "
    "typesfunctions typesmapping typesmethods typesmodules typesseq typesseq-mutable",
    "lexical-analysis": "floating id-classes identifiers imaginary integers numbers strings",
    "execution-model": "dynamic-features exceptions execmodel naming",
    "tools": "debugger formatstrings",
}
CATEGORY_OF = {topic: category for category, names in _CATEGORIES.items() for topic in names.split()}

_LEVELS = {"*": "#", "=": "##", "-": "###", "~": "####"}
_LIST_ITEM = re.compile(r"(\* |\d+\. |\[\d+\] )")
_GRAMMAR = re.compile(r"(?!Note:)\w+ *(::=|: +\S)")
_SENTENCE = re.compile(r"\* |[\"“*(]*[A-Z]")


def document_path(topic: str) -> str:
    """Where a topic's document is, below the folder."""
    return f"{CATEGORY_OF.get(topic, DEFAULT_CATEGORY)}/{topic}.md"


def reference_documents() -> dict[str, str]:
    """Path below the folder → Markdown, of every topic of this interpreter, in the order of their paths."""
    return dict(sorted((document_path(topic), topic_document(topic, text)) for topic, text in topics.items()))


def write_documents(folder: Path) -> int:
    """Write the reference into ``folder``; returns how many documents it has. Files of other names are left alone."""
    documents = reference_documents()
    for path, text in documents.items():
        write_if_changed(folder / path, text)
    return len(documents)


def write_if_changed(file: Path, text: str) -> bool:
    """Write ``text`` unless the file holds it already; returns whether it wrote."""
    data = text.encode("utf-8")
    if file.is_file() and file.read_bytes() == data:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return True


def front_matter(**fields: str) -> str:
    """A YAML header. A JSON string is a YAML string, whatever quotes and colons it holds."""
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
    return "\n".join(["---", *lines, "---", "", ""])


def markdown_document(topic: str, category: str, body: str) -> str:
    """A document whose text is Markdown already: its front matter, with the first line's title, and the text."""
    header = front_matter(
        title=body.partition("\n")[0].removeprefix("# "),
        topic=topic,
        category=category,
        python_version=f"{sys.version_info.major}.{sys.version_info.minor}",
    )
    return header + body.strip("\n") + "\n"


def topic_document(topic: str, text: str) -> str:
    """A topic's plain text as a document."""
    body = "\n".join(_markdown(text.strip("\n").split("\n")))
    return markdown_document(topic, CATEGORY_OF.get(topic, DEFAULT_CATEGORY), re.sub(r"\n{3,}", "\n\n", body))


def _markdown(lines: list[str]) -> list[str]:
    """Lines of reStructuredText's plain-text form, at indent 0, as lines of Markdown."""
    out: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if _is_title(lines, at):
            out += [f"{_LEVELS[lines[at + 1][0]]} {line}", ""]
            at += 2
        elif line == "-[ Footnotes ]-":
            out.append("## Footnotes")
            at += 1
        elif line and set(line) == {"="}:
            out.append("---")
            at += 1
        elif line.startswith("+-"):
            end = _end_of(lines, at, lambda text: text[:1] in ("+", "|"))
            out += _table(lines[at:end])
            at = end
        elif item := _LIST_ITEM.match(line):
            width = len(item.group())
            end = _end_of_indent(lines, at + 1, width)
            # A footnote is a paragraph in Markdown, and its other paragraphs must not look like code.
            pad = "" if line.startswith("[") else " " * width
            inner = _markdown([line[width:], *(text[width:] for text in lines[at + 1 : end])])
            out += [item.group() + inner[0], *(pad + text if text else "" for text in inner[1:])]
            at = end
        elif line.startswith(" "):
            end = _end_of_indent(lines, at, 1)
            out += ["", *_indented(lines[at:end], out), ""]
            at = end
        else:
            out.append(line)
            at += 1
    return out


def _indented(block: list[str], before: list[str]) -> list[str]:
    """An indented block: code or grammar becomes a fence; the body of a definition or a note is dedented."""
    indent = min(len(text) - len(text.lstrip()) for text in block if text.strip())
    body = [text[indent:] for text in block]
    while not body[-1].strip():
        body.pop()
    lead = next((index for index in reversed(range(len(before))) if before[index].strip()), None)
    lead_text = before[lead] if lead is not None else ""
    grammar = bool(_GRAMMAR.match(body[0]))
    # Notes ("Note:", "See also:") are indented by two, literal blocks and definitions by three.
    if (
        indent != 2
        and not body[0].startswith("+-")
        and (grammar or lead_text.endswith(":") or not _SENTENCE.match(body[0]))
    ):
        mark = "````" if any("```" in text for text in body) else "```"
        language = "text" if grammar else "pycon" if any(text.startswith(">>> ") for text in body) else ""
        return [mark + language, *body, mark]
    if lead is not None and indent == 3 and lead < len(before) - 1 and body[0][:2] not in ("* ", "+-"):
        _quote_terms(before, lead)
    return _markdown(body)


def _quote_terms(before: list[str], last: int) -> None:
    """Mark the terms that a definition's body follows as code: ``__init__`` would be bold otherwise."""
    while last >= 0 and before[last].strip() and not before[last].startswith(("#", "`")):
        before[last] = f"`{before[last]}`"
        last -= 1


def _table(lines: list[str]) -> list[str]:
    """A grid table as a Markdown table; a cell's lines are joined."""
    edges = [index for index, character in enumerate(lines[0]) if character == "+"]
    rows: list[list[str]] = [[]]
    for line in lines[1:]:
        if line.startswith(("+-", "|=", "+=")):
            rows.append([])
            continue
        cells = [line[left + 1 : right].strip() for left, right in pairwise(edges)]
        rows[-1] = [_join(old, new) for old, new in zip(rows[-1] or [""] * len(cells), cells, strict=True)]
    shown = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows if row]
    return ["", shown[0], "|" + " --- |" * (len(edges) - 1), *shown[1:], ""]


def _join(old: str, new: str) -> str:
    return old + new if old.endswith("-") else f"{old} {new}".strip()


def _is_title(lines: list[str], at: int) -> bool:
    line, under = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
    same = len(under) >= 3 and under[0] in _LEVELS and set(under) == {under[0]}
    return same and bool(line) and not line.startswith((" ", "+", "|")) and abs(len(under) - len(line)) <= 2


def _end_of_indent(lines: list[str], start: int, width: int) -> int:
    """End of the block from ``start`` whose lines are blank or indented by ``width``; its last line is not blank."""
    end = _end_of(lines, start, lambda text: not text.strip() or text.startswith(" " * width))
    while end > start and not lines[end - 1].strip():
        end -= 1
    return end


def _end_of(lines: list[str], start: int, holds: Callable[[str], bool]) -> int:
    return next((index for index in range(start, len(lines)) if not holds(lines[index])), len(lines))


if __name__ == "__main__":
    chosen = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FOLDER
    print(f"{write_documents(chosen)} documents of Python {sys.version.split()[0]} in {chosen}")
