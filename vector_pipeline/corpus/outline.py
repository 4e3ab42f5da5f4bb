"""Headings of a Markdown text, by CommonMark's own rules: ATX and setext, never inside a fence, a list or a quote."""

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_LINE_END = re.compile(r"\r\n?|\n")
# Most texts hold nothing that could be a heading; a regular expression says so without a parse.
_MAYBE = re.compile(r"^ {0,3}(#{1,6}([ \t]|$)|=+[ \t]*$|-+[ \t]*$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Heading:
    """One heading: its characters in the text (half open, whole lines), its level from 1 to 6, its words without markup."""

    start: int
    end: int
    level: int
    title: str


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark")


@cache
def _block_parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    # Only blocks are needed to find headings; their words are parsed one by one. Twice as fast.
    return MarkdownIt("commonmark").disable("inline", True)


def headings(text: str) -> list[Heading]:
    """Every heading of a Markdown text, in order."""
    if not _MAYBE.search(text.replace("\r", "\n")):
        return []
    lines = [0, *(match.end() for match in _LINE_END.finditer(text)), len(text)]
    tokens = _block_parser().parse(text)
    found = []
    for number, token in enumerate(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map:
            first, last = token.map
            title = plain(tokens[number + 1].content)
            found.append(Heading(lines[first], lines[min(last, len(lines) - 1)], int(token.tag[1:]), title))
    return found


def first_h1(text: str) -> str:
    """Words of the first heading of level 1, or an empty string."""
    return next((heading.title for heading in headings(text) if heading.level == 1 and heading.title), "")


def plain(markdown: str) -> str:
    """Words of one line of Markdown, without emphasis, code marks and link targets."""
    if not any(mark in markdown for mark in "*_`[]<>!\\&\n"):
        return " ".join(markdown.split())
    words = []
    for token in _parser().parseInline(markdown)[0].children or []:
        if token.type in ("softbreak", "hardbreak"):
            words.append(" ")
        elif token.type != "html_inline":
            words.append(token.content)
    return " ".join("".join(words).split())
