"""Signs in texts, as expressions of DuckDB over a column ``text``.

Patterns are costly, so that each is tried only where a cheap look allows it: most texts of most corpora are ASCII.
"""

from collections.abc import Mapping

from vector_pipeline.corpus.record_sql import quoted

WIDE = "strlen(text) <> length(text)"
"""A text with characters beyond ASCII."""
# Bytes 80 to BF as Latin-1 and Windows-1252 show them.
_CONTINUATION = (
    r"[\x{80}-\x{BF}\x{0152}\x{0153}\x{0160}\x{0161}\x{0178}\x{017D}\x{017E}\x{0192}\x{02C6}\x{02DC}\x{2013}\x{2014}"
    r"\x{2018}-\x{201A}\x{201C}-\x{201E}\x{2020}-\x{2022}\x{2026}\x{2030}\x{2039}\x{203A}\x{20AC}\x{2122}]"
)
# UTF-8 of two bytes (Ã©, Â£), of three (â€™, ï»¿) and four (ðŸ˜€). After Ã only what no language writes there: no closing quotes.
_LETTER = (
    r"Ã[\x{80}-\x{BF}\x{0152}\x{0153}\x{0160}\x{0161}\x{0178}\x{017D}\x{017E}\x{0192}\x{201A}\x{201E}\x{2020}\x{2021}"
    r"\x{2030}\x{20AC}]"
)
MOJIBAKE = "|".join(
    (
        _LETTER,
        r"Â[\x{80}-\x{BF}]",
        f"(?:[ÄÅÎÏÐÑØÙ]{_CONTINUATION}){{2}}",  # Greek, Cyrillic, Arabic, Polish …: two in a row
        f"â{_CONTINUATION}{{2}}|â€",  # typographic signs
        f"(?:[à-ï]{_CONTINUATION}{{2}}){{2}}",  # everything of three bytes: two in a row
        "ï»¿|ï¿½|ðŸ",  # byte order marks, what was lost before, emoji
    )
)
"""UTF-8 that was read as Latin-1 or Windows-1252, in a text of any language."""
_C0 = r"[\x{00}-\x{08}\x{0E}-\x{1F}\x{7F}]"
_CONTROL = r"[\x{00}-\x{08}\x{0E}-\x{1F}\x{7F}-\x{9F}]"


def _found(pattern: str) -> str:
    return f"len(regexp_extract_all(text, {quoted(pattern)}))"


_LOST = "length(text) - length(replace(text, chr(65533), ''))"
ENCODING: Mapping[str, str] = {
    "bad_chars": f"CASE WHEN contains(text, chr(65533)) THEN {_LOST} ELSE 0 END",
    "mojibake": f"CASE WHEN {WIDE} AND regexp_matches(text, '[ÂÃÄÅÎÏÐÑØÙà-ïð]') THEN {_found(MOJIBAKE)} ELSE 0 END",
    "control_chars": f"""CASE WHEN regexp_matches(text, {quoted(_C0)}) OR ({WIDE} AND regexp_matches(text, '[\\x{{80}}-\\x{{9F}}]'))
        THEN {_found(_CONTROL)} ELSE 0 END""",
}
"""Facts on a wrong encoding: how many signs a text holds; 0 where there is no text."""


def normalised(text: str) -> str:
    """A text's letters and digits, in lower case, nothing between them."""
    return rf"regexp_replace(lower({text}), '[^\pL\pN]+', '', 'g')"
