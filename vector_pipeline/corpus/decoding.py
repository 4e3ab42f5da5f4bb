"""Bytes to text. Unicode is not normalised: only the mark at the beginning goes and line ends become ``\\n``."""

import codecs
import re

from vector_pipeline.corpus.metadata import ParseError
from vector_pipeline.corpus.model import Reason

# Longer marks first: UTF-32's little-endian mark begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MOST_CONTROL = 0.01
"""Share of control characters above which a text is no text (ANSI escapes are allowed)."""


def decode(data: bytes, *, declared: str | None = None) -> str:
    """The text of ``data``: by its mark, as UTF-8, as ``declared``, else as charset-normalizer detects.

    Raises ``ParseError`` (not-text).
    """
    text = _decode(data, declared)
    if "\x00" in text or len(_CONTROL.findall(text)) > _MOST_CONTROL * len(text):
        raise ParseError(Reason.NOT_TEXT, "the file is binary: it holds NUL bytes or control characters")
    return text


def _decode(data: bytes, declared: str | None) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(encoding)
            except UnicodeDecodeError:
                raise ParseError(Reason.NOT_TEXT, f"the file begins as {encoding} but is not: save it again") from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if b"\x00" in data:
        raise ParseError(Reason.NOT_TEXT, "the file is binary: it holds NUL bytes")
    if declared:
        try:
            return data.decode(declared)
        except (UnicodeDecodeError, LookupError):
            pass  # A page that lies about its encoding is common; detect it instead.
    return _detect(data)


def _detect(data: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(data).best()
    if best is None:
        raise ParseError(Reason.NOT_TEXT, "no text encoding fits the file: save it as UTF-8")
    # Of a short text with a few accents it knows no language and any code page fits: then the commonest one.
    if not best.coherence and sum(byte > 0x7F for byte in data) * 3 < len(data):
        try:
            return data.decode("cp1252")
        except UnicodeDecodeError:
            pass
    return str(best)


def tidy(text: str) -> str:
    """Line ends as ``\\n``, no blanks at the end, no NUL and no half characters (some PDFs hold both)."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "").rstrip()
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
