"""Python's regular expressions in RE2's words, where both can say the same. Else Great Expectations evaluates them itself."""

import re

# Python's classes hold all of Unicode, RE2's only ASCII.
_CLASSES = {
    "w": r"\p{L}\p{N}_",
    "d": r"\p{Nd}",
    "s": r"\t-\r\x{1C}-\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}",
}
_END = r"(?:\n?\z)"
"""Python's $ stands before a line break at the end, too."""
_TOKEN = re.compile(r"\\.|\[\^?\]?|\]|\(\?.?|\{,\d*\}|.", re.DOTALL)
_OFTEN = re.compile(r"\{(?:\d*,)?\d{4,}|\{\d{4,},")
"""RE2 repeats nothing more than a thousand times."""
_OPENING = ("(?:", "(?i")
_ESCAPED = set("wdsWDStnrfvA.^$*+?()[]{}|\\/-\"'#&~%@!:;,=<>` _")


def as_re2(pattern: str) -> str | None:
    """A pattern that finds in RE2 what python finds; None where that is not sure: look-around, references, word boundaries."""
    parts: list[str] = []
    inside = False
    if re.search(r"[*+?}][+]|\(\?i(?!\))", pattern) or pattern.find("(?i)", 1) != -1 or _OFTEN.search(pattern):
        return None
    for token in _TOKEN.findall(pattern):
        if token.startswith("\\"):
            made = _escaped(token[1:], inside=inside)
            if made is None:
                return None
            parts.append(made)
        elif token.startswith("(?") and token not in _OPENING:
            return None
        elif token.startswith("["):
            # A bracket in a class is a plain one for python; RE2 may see a named class there.
            if inside:
                return None
            inside = True
            parts.append(token)
        elif token == "]" and inside:
            inside = False
            parts.append(token)
        elif token.startswith("{,") and not inside:
            # RE2 takes a repetition without its lower end for plain signs.
            parts.append("{0" + token[1:])
        else:
            parts.append(_END if token == "$" and not inside else token)
    return "".join(parts)


def _escaped(letter: str, *, inside: bool) -> str | None:
    if letter in _CLASSES:
        return _CLASSES[letter] if inside else f"[{_CLASSES[letter]}]"
    if letter.lower() in _CLASSES:
        return None if inside else f"[^{_CLASSES[letter.lower()]}]"
    if letter not in _ESCAPED or (letter == "A" and inside):
        return None
    return "\\" + letter
