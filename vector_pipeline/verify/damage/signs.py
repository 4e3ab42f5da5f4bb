"""Signs of damage that a text carries itself, as SQL over one text. None is proof: they are compared with production's.

Laws
----
1. A sign is true, false, or for a text too short to tell false; it never depends on another text.
2. Scripts that write no blanks lack none. Blanks, wrapping, Unicode's normal forms and the kind of quotation marks change no sign.
"""

from collections.abc import Mapping, Sequence

from vector_pipeline.verify.letters import WITHOUT_BLANKS
from vector_pipeline.verify.patterns import MOJIBAKE

_LONG = 25
"""Words from which on a text must have small words, punctuation and capitals."""
_ENCODING = "|".join(
    (
        "\ufffd",
        MOJIBAKE,
        r"[\x{01}-\x{08}\x{0B}\x{0E}-\x{1F}\x{7F}-\x{84}\x{86}-\x{9F}]",  # control characters; a page break is none
        r"(?i:&amp;(?:#x?[0-9a-f]+|[a-z]{2,8});)",  # escaped twice
        r"\\u[0-9a-fA-F]{4}|(?:=[0-9A-F]{2}){2}",  # a literal's escapes, a mail's
        r"(?:^|\s)\p{L}+\?\p{Ll}+",  # a letter that was replaced
    )
)
_TAGS = (
    "a|abbr|article|aside|b|body|br|button|code|dd|div|dl|dt|em|figure|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|"
    "label|li|link|main|meta|nav|ol|option|p|path|pre|script|section|select|small|span|strong|style|sub|sup|svg|table|tbody|td|"
    "th|thead|tr|u|ul"
)
_MARKUP = "|".join(
    (
        rf"</?(?:{_TAGS})(?:\s[^<>]*)?/?>",
        "<!--|<!doctype|<!\\[cdata\\[",
        "&(?:nbsp|amp|lt|gt|quot|copy|reg|mdash|ndash|hellip|rsquo|lsquo|rdquo|ldquo|#x?[0-9a-f]{2,6});",
        r"\{\s*[a-z-]{3,}\s*:[^{};]{1,80};",
        r"\b(?:document|window)\.[a-z]+|\bfunction\s*\([^)]*\)\s*\{",
    )
)


def sql_plain_words(plain: str) -> str:
    """SQL: number of words of a text that ``lost_moved.plain`` made."""
    return f"(length({plain}) - length(replace({plain}, ' ', '')) + 1)"


def signs(whole: str, text: str, plain: str) -> Mapping[str, str]:
    """SQL conditions by name; all but ``small_words``, which needs to know production's.

    ``whole``: with titles and headings, which keep their own style; ``plain``: see ``lost_moved.plain``.
    """
    words = sql_plain_words(plain)
    spaced = f"""CASE WHEN strlen({plain}) <> length({plain}) AND regexp_matches({plain}, '[{WITHOUT_BLANKS}]')
                 THEN trim(regexp_replace({plain}, '[ {WITHOUT_BLANKS}]+', ' ', 'g')) ELSE {plain} END"""
    return {
        "encoding": f"regexp_matches({whole}, '{_ENCODING}')",
        "markup": f"regexp_matches({whole}, '(?i){_MARKUP}')",
        "capitals": f"({words} >= {_LONG} AND lower({text}) <> upper({text}) AND {text} IN (lower({text}), upper({text})))",
        "punctuation": rf"({words} >= {_LONG} AND NOT regexp_matches({text}, '[\p{{Po}}]'))",
        "blanks": f"list_contains(list_transform([{spaced}], lambda one: length(one) >= 150 "
        "AND length(one) - length(replace(one, ' ', '')) < 0.05 * length(one)), true)",
    }


def small_words(plain: str, common: Sequence[str], share: float) -> str:
    """SQL condition: far fewer of production's commonest words than there (``share`` of all words); false where they are rare."""
    if share < 0.1 or not common:
        return "false"
    # Two blanks between words, or a match would take the blank of the next one.
    padded = f"' ' || replace({plain}, ' ', '  ') || ' '"
    found = f"len(regexp_extract_all({padded}, ' (?:{'|'.join(common)}) '))"
    words = sql_plain_words(plain)
    return f"({words} >= {_LONG} AND {found} < {0.4 * share:.4f} * {words})"
