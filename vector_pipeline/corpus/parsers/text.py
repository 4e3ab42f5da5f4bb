"""Plain text and Markdown with YAML front matter (python-frontmatter)."""

from typing import Any

import yaml
from frontmatter.default_handlers import YAMLHandler

from vector_pipeline.corpus.decoding import decode
from vector_pipeline.corpus.metadata import ParseError
from vector_pipeline.corpus.model import Reason
from vector_pipeline.corpus.parsers import MARKDOWN, PLAIN, Draft


def parse_plain(data: bytes) -> Draft:
    """The text as it is."""
    return Draft(decode(data), PLAIN)


def parse_markdown(data: bytes) -> Draft:
    """Front matter becomes metadata and title; the rest is the text."""
    metadata, text = _front_matter(decode(data))
    title = metadata.pop("title", None)
    return Draft(text, MARKDOWN, title="" if title is None else " ".join(str(title).split()), metadata=metadata)


def _front_matter(text: str) -> tuple[dict[Any, Any], str]:
    handler = YAMLHandler()
    if not handler.detect(text):
        return {}, text
    try:
        block, rest = handler.split(text)
    except ValueError:
        return {}, text  # A thematic break with no second one.
    try:
        metadata = handler.load(block)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ParseError(Reason.BAD_METADATA, f"the front matter is not YAML: {_problem(error)}") from None
    if metadata is None:
        return {}, rest.lstrip("\n") if not block.strip() else text
    if not isinstance(metadata, dict):
        return {}, text  # Two thematic breaks with prose between them: the library would drop the prose.
    return metadata, rest.lstrip("\n")


def _problem(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        # Lines of the mark count from 0, and line 1 of the file is the boundary.
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error)
