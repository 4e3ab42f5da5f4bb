"""Names of documents as people write them: an id, or a pattern with ``*``, ``?`` and ``[…]``.

``names`` is the meaning; ``expression`` is the same for a database (a property test holds it to that).
"""

import re
from fnmatch import fnmatchcase


def names(pattern: str, document: str) -> bool:
    """Equality first: an id may itself hold ``[`` or ``*``. A ``*`` matches across ``/``."""
    return pattern == document or fnmatchcase(document, pattern)


def expression(pattern: str) -> str:
    """A pattern as a regular expression of RE2, to be matched whole, a dot matching a line's end too."""
    parts, at = [], 0
    while at < len(pattern):
        sign, at = pattern[at], at + 1
        if sign == "*":
            parts.append(".*")
        elif sign == "?":
            parts.append(".")
        elif sign == "[" and (end := _class_end(pattern, at)) is not None:
            parts.append(_class(pattern[at:end]))
            at = end + 1
        else:
            parts.append(re.escape(sign))
    return "".join(parts)


def _class_end(pattern: str, at: int) -> int | None:
    """Where the ``]`` stands that ends a class, as fnmatch has it: never at once. None: the bracket is an ordinary sign."""
    first = at + 1 if pattern[at : at + 1] == "!" else at
    found = pattern.find("]", first + 1 if pattern[first : first + 1] == "]" else first)
    return found if found >= 0 else None


def _class(inside: str) -> str:
    """``a-z`` and ``!a-z`` with everything else taken literally; an empty range matches nothing."""
    negated, inside = inside.startswith("!"), inside.removeprefix("!")
    parts, at = [], 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            low, high = inside[at], inside[at + 2]
            parts += [f"{_literal(low)}-{_literal(high)}"] if low <= high else []
            at += 3
        else:
            parts.append(_literal(inside[at]))
            at += 1
    if not parts:
        return "." if negated else r"[^\x{0}-\x{10FFFF}]"
    return f"[{'^' if negated else ''}{''.join(parts)}]"


def _literal(sign: str) -> str:
    return f"\\x{{{ord(sign):X}}}"
