"""Which scripts a text is written in, as expressions of DuckDB: letters are counted in the first characters of a text only.

A script that holds under a tenth of the dataset's letters is a foreign one there. What is foreign follows from the dataset alone:
a translation of all of it is not seen here, but by comparing with production.
"""

from collections.abc import Mapping

from vector_pipeline.verify.patterns import WIDE

_HEAD = "left(text, 400)"
_USUAL = 0.1
_NAMES: Mapping[str, str] = {
    "cyrillic": r"\p{Cyrillic}", "greek": r"\p{Greek}", "arabic": r"\p{Arabic}", "hebrew": r"\p{Hebrew}",
    "east_asian": r"\p{Han}\p{Hiragana}\p{Katakana}", "hangul": r"\p{Hangul}", "thai": r"\p{Thai}",
    "devanagari": r"\p{Devanagari}",
}  # fmt: skip
SCRIPTS = ("latin", *_NAMES)
WITHOUT_BLANKS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
"""Of a class of characters: letters of scripts that write no blanks between words."""
_OTHER = "[" + "".join(_NAMES.values()) + "]"
_HAS_OTHER = f"({WIDE} AND regexp_matches({_HEAD}, '{_OTHER}'))"


def _letters(pattern: str) -> str:
    return f"length(regexp_replace({_HEAD}, '[^{pattern}]+', '', 'g'))"


def counted() -> dict[str, str]:
    """Letters of a row, in all and by script. Where there is nothing but Latin, every character counts for a letter."""
    found = {name: f"CASE WHEN {_HAS_OTHER} THEN {_letters(pattern)} ELSE 0 END" for name, pattern in _NAMES.items()}
    latin = f"CASE WHEN {_HAS_OTHER} THEN {_letters(chr(92) + 'p{Latin}')} ELSE length({_HEAD}) END"
    letters = f"CASE WHEN {_HAS_OTHER} THEN {_letters(chr(92) + 'pL')} ELSE length({_HEAD}) END"
    return {"letters": letters, "latin": latin, **found}


def foreign() -> str:
    """Share of a row's letters in foreign scripts, over ``base`` (``counted``) and ``letters`` (their sums); 0 without letters."""
    parts = [f"CASE WHEN (SELECT {name} < {_USUAL} * letters FROM letters) THEN {name} ELSE 0 END" for name in SCRIPTS]
    return f"coalesce(({' + '.join(parts)}) / nullif(base.letters, 0), 0)::DOUBLE"
