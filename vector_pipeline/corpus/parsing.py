"""From a file's bytes to a document, by its suffix; or to a quarantine with its reason. Never raises for bad content."""

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any, cast

from vector_pipeline.corpus.decoding import tidy
from vector_pipeline.corpus.metadata import ParseError, flatten
from vector_pipeline.corpus.model import Document, Quarantined, Reason
from vector_pipeline.corpus.outline import first_h1
from vector_pipeline.corpus.parsers import MARKDOWN, PLAIN, Draft


@dataclass(frozen=True)
class Parser:
    """One family of formats: which suffixes, which function, which libraries it leans on."""

    name: str
    revision: int
    """Raised when our own code changes what a file becomes: every file of the family is parsed again."""
    suffixes: tuple[str, ...]
    function: str
    libraries: tuple[str, ...]

    @cached_property
    def version(self) -> str:
        """``markdown/1+python-frontmatter-1.3.0``: equal versions make equal documents."""
        return f"{self.name}/{self.revision}" + "".join(f"+{library}-{version(library)}" for library in self.libraries)

    @cached_property
    def parse(self) -> Callable[[bytes], Draft]:
        """The function itself. Its libraries are imported at first use: starting up must not pay for them."""
        module, _, name = self.function.partition(":")
        found: Any = getattr(importlib.import_module(f"vector_pipeline.corpus.parsers.{module}"), name)
        return cast(Callable[[bytes], Draft], found)


_HTML = ("beautifulsoup4", "markdownify")
PARSERS = (
    Parser("markdown", 1, (".md", ".markdown"), "text:parse_markdown", ("python-frontmatter", "charset-normalizer")),
    Parser("text", 1, (".txt",), "text:parse_plain", ("charset-normalizer",)),
    Parser("html", 2, (".html", ".htm"), "html:parse", (*_HTML, "charset-normalizer")),
    Parser("rst", 1, (".rst",), "rst:parse", ("docutils", *_HTML, "charset-normalizer")),
    Parser("pdf", 1, (".pdf",), "pdf:parse", ("pypdf",)),
    Parser("docx", 1, (".docx",), "docx:parse", ("mammoth", *_HTML)),
)
_BY_SUFFIX = {suffix: parser for parser in PARSERS for suffix in parser.suffixes}


def parser_for(item_id: str) -> Parser | None:
    """The parser of a file name's suffix, whatever its case; None where there is none."""
    return _BY_SUFFIX.get(PurePosixPath(item_id).suffix.lower())


def parse(item_id: str, data: bytes) -> Document | Quarantined:
    """The document in ``data``; its id is a posix path, whose suffix names the format."""
    parser = parser_for(item_id)
    if parser is None:
        known = " ".join(sorted(_BY_SUFFIX))
        return Quarantined(item_id, Reason.UNSUPPORTED, f"no parser for this suffix: known are {known}; or exclude it")
    try:
        if not data.strip():
            raise ParseError(Reason.EMPTY, "the file is empty")
        with warnings.catch_warnings():
            # A library's warning about one file is nobody's business; what matters of it becomes a quarantine.
            warnings.simplefilter("ignore")
            draft = parser.parse(data)
        return _document(item_id, parser, draft)
    except ParseError as error:
        return Quarantined(item_id, error.reason, error.detail)
    except Exception as error:  # noqa: BLE001 - libraries raise anything for broken files; one must never stop the others
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return Quarantined(item_id, Reason.UNPARSABLE, f"not readable as {parser.name}: {detail}")


def _document(item_id: str, parser: Parser, draft: Draft) -> Document:
    path = PurePosixPath(item_id)
    text = tidy(draft.text).lstrip("\n")
    if not text.strip():
        raise ParseError(Reason.EMPTY, "the file holds no text")
    heading = first_h1(text) if draft.media_type == MARKDOWN and not draft.title else ""
    folder = path.parent.as_posix()
    metadata: dict[str, Any] = {} if folder == "." else {"folder": folder}
    metadata |= {"format": parser.name} | flatten(draft.metadata)
    title = tidy(draft.title or heading or draft.property_title or path.stem)
    return Document(item_id, text, title, draft.media_type, metadata)


def parse_record(text: str, media_type: str) -> tuple[str, str]:
    """A record's text as the chunker wants it: HTML becomes Markdown, anything else keeps its markup.

    Returns (text, media type). Text that HTML reduces to nothing comes back empty.
    """
    if media_type != "text/html":
        return tidy(text), MARKDOWN if media_type == MARKDOWN else PLAIN
    from vector_pipeline.corpus.parsers.html import html_to_markdown

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tidy(html_to_markdown(text)).lstrip("\n"), MARKDOWN
