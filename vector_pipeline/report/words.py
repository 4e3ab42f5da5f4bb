"""Texts from outside as a page or a terminal may show them: no mark turns the reading order of what follows, and control characters
are seen, and do nothing.

In Markdown they are words and nothing else: they make no picture, link or markup, and so load nothing.
"""

import re
from typing import Any

from markupsafe import Markup, escape

_TURNING = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CONTROLS = (
    *(code for code in range(0x20) if chr(code) not in "\t\n\r"),
    *range(0x7F, 0xA0),
    *range(0xD800, 0xE000),
    0xFFFE,
    0xFFFF,
)
"""What terminals take for commands, and what no XML may hold, a picture among it."""
_SHOWN = dict.fromkeys((*_TURNING, *_CONTROLS), "�")
_JSON = {code: f"\\u{code:04x}" for code in _SHOWN if code > 0x7E}
_MARKDOWN = str.maketrans({**{mark: f"\\{mark}" for mark in "\\`*_[]()!#~|"}, "&": "&amp;", "<": "&lt;", ">": "&gt;"})
_ADDRESS = re.compile(r"(?=://)|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)
"""Where an address that stands bare would be taken for one; renderers look for it after escapes are resolved."""
_JOINER = "\u2060"
"""Has no width and breaks no line."""


def legible(value: Any) -> Any:
    """A text with such marks made visible; anything else, and what is a drawing of ours already, as it is."""
    return value.translate(_SHOWN) if isinstance(value, str) and not isinstance(value, Markup) else value


def escaped(text: str) -> Markup:
    """A text inside a drawing."""
    return escape(legible(text))


def in_json(document: str) -> str:
    """The same JSON document, such marks written as escapes: they stand in texts alone."""
    return document.translate(_JSON)


def markdown(text: str) -> str:
    """A text as one line of Markdown, fit for a cell of a table, that shows it as it is."""
    line = str(legible(" ".join(text.split())))
    return _ADDRESS.sub(_JOINER, line).translate(_MARKDOWN)
