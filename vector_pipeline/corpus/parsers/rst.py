"""reStructuredText: docutils makes HTML, ``html`` makes Markdown. Nothing is read from or written to disk.

Sphinx's own directives and roles are unknown to docutils; their words are kept, so that nobody's notes are lost.
"""

import re
import textwrap
from typing import Any

from docutils import nodes
from docutils.core import publish_doctree, publish_from_doctree
from docutils.utils import SystemMessage

from vector_pipeline.corpus.decoding import decode
from vector_pipeline.corpus.metadata import ParseError
from vector_pipeline.corpus.model import Reason
from vector_pipeline.corpus.parsers import MARKDOWN, Draft
from vector_pipeline.corpus.parsers.html import html_to_markdown

_SETTINGS: dict[str, Any] = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "_disable_config": True,
    "report_level": 5,
    "halt_level": 4,
    "warning_stream": False,
    "input_encoding": "unicode",
    "output_encoding": "unicode",
    "embed_stylesheet": False,
    "stylesheet_path": None,
    "syntax_highlight": "none",
    "math_output": "LaTeX",
    "initial_header_level": 1,
}
_DIRECTIVE = re.compile(r"\.\.\s+(?P<name>[\w:.+-]+)::[ \t]*(?P<argument>[^\n]*)\n?(?P<body>.*)", re.DOTALL)
_ROLE = re.compile(r":[\w:.+-]+:`(?P<words>[^`]*)`")
_TARGET = re.compile(r"\s*<[^>]*>$")
_OPTION = re.compile(r":[\w-]+:")
_ERROR = 3
_NO_WORDS = {"toctree", "index", "currentmodule", "module", "highlight"}


def parse(data: bytes) -> Draft:
    """Text, title, and the fields of the docinfo as metadata. A severe error is ``unparsable``."""
    try:
        tree = publish_doctree(decode(data), settings_overrides=_SETTINGS)
    except SystemMessage as error:
        raise ParseError(Reason.UNPARSABLE, f"reStructuredText: {error}") from None
    metadata = _docinfo(tree)
    _keep_unknown_words(tree)
    title = str(tree.get("title", ""))
    settings = {**_SETTINGS, "initial_header_level": 2 if _has_title(tree) else 1}
    html = publish_from_doctree(tree, writer="html5", settings_overrides=settings)
    body = re.search(r"<body[^>]*>(.*)</body>", str(html), re.DOTALL)
    # Admonitions are <aside>: content here, not a frame.
    return Draft(
        html_to_markdown(body.group(1) if body else "", everything=True),
        MARKDOWN,
        property_title=title,
        metadata=metadata,
    )


def _has_title(tree: nodes.document) -> bool:
    return any(isinstance(child, nodes.title) for child in tree.children)


def _docinfo(tree: nodes.document) -> dict[str, Any]:
    """The fields at the beginning (author, date, version, any other), taken out of the tree."""
    metadata: dict[str, Any] = {}
    for docinfo in list(tree.findall(nodes.docinfo)):
        for field in docinfo.children:
            if isinstance(field, nodes.field):
                metadata[field[0].astext()] = field[1].astext()
            elif isinstance(field, nodes.authors):
                metadata["authors"] = [author.astext() for author in field.children]
            else:
                metadata[str(getattr(field, "tagname", ""))] = field.astext()
        docinfo.parent.remove(docinfo)
    return metadata


def _keep_unknown_words(tree: nodes.document) -> None:
    for message in list(tree.findall(nodes.system_message)):
        replacement = _directive_words(message)
        message.parent.replace(message, replacement)
    for problem in list(tree.findall(nodes.problematic)):
        problem.parent.replace(problem, nodes.inline("", _without_roles(problem.astext())))


def _directive_words(message: nodes.system_message) -> list[nodes.Node]:
    """What an error (not a warning) left out: argument and body of an unknown directive, or the source as it stands."""
    source = next((block.astext() for block in message.findall(nodes.literal_block)), "").strip()
    if message["level"] < _ERROR or not source:
        return []
    match = _DIRECTIVE.match(source)
    if match is None:
        return [nodes.paragraph("", source)]
    if match["name"] in _NO_WORDS:
        return []
    body = [line for line in textwrap.dedent(match["body"]).split("\n") if not _OPTION.match(line)]
    paragraphs = [match["argument"], *"\n".join(body).split("\n\n")]
    return [nodes.paragraph("", _without_roles(text.strip())) for text in paragraphs if text.strip()]


def _without_roles(text: str) -> str:
    """``:func:`~os.path.join``` is its words."""
    return _ROLE.sub(lambda match: _TARGET.sub("", match["words"]).lstrip("~!"), text)
