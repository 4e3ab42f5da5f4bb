"""What is asked, checked before anybody is asked: a wrong question is the caller's, and is told so at once.

Laws
----
1. Whatever is handed in, it is asked, or ``InputError`` says what is wrong with it: no library meets half a surrogate pair, a
   number of another kind, or a filter that is deeper than who reads it can go.
2. A filter is bounded: targets plan each condition for itself, in time that grows faster than their number.
"""

import operator
from collections.abc import Iterable, Mapping
from typing import Any

from vector_pipeline.errors import InputError
from vector_pipeline.targets.base import Filter

MAX_CONDITIONS = 256
"""Of one filter: each operator of each field is one."""
MAX_VALUES = 10_000
"""Of all lists of one filter together."""
MAX_DEPTH = 16
"""Of conditions within conditions."""
_MAX_ITEMS = MAX_CONDITIONS * (MAX_DEPTH + 2)
"""Keys of all objects of one filter: a condition has a field, an operator, and as many conditions around it."""


def texts_of(asked: object) -> list[str]:
    """The texts of a query: one, or several."""
    if isinstance(asked, str):
        found: list[Any] = [asked]
    elif isinstance(asked, Iterable) and not isinstance(asked, bytes | bytearray | Mapping):
        found = list(asked)
    else:
        raise InputError(f"a query is a text or a list of texts, not {type(asked).__name__}")
    for one in found:
        if not isinstance(one, str):
            raise InputError(f"a query is a text or a list of texts, not {type(one).__name__}")
        require_text(one, "the query")
    if not found or not all(one.strip() for one in found):
        raise InputError("the query is empty", fix="Give it at least one word")
    return found


def count_of(top_k: object) -> int:
    """``top_k`` as a number. How many a target gives it says itself."""
    try:
        if isinstance(top_k, bool):
            raise TypeError
        found = operator.index(top_k)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(f"top_k is a whole number, not {type(top_k).__name__}", fix="Ask for 1 hit or more") from None
    if found < 1:
        raise InputError(f"top_k is {found}", fix="Ask for 1 hit or more")
    return found


def key_of(key: object) -> str | None:
    """The key of a user or a session, as it is."""
    if key is not None and not isinstance(key, str):
        raise InputError(f"key is a text, not {type(key).__name__}")
    return key


def filter_of(filter: object) -> Filter | None:
    """A filter within bounds (law 2). What its conditions say the target's parser looks at."""
    if filter is None:
        return None
    if not isinstance(filter, Mapping):
        raise InputError(f"filter must be an object, not {type(filter).__name__}")
    level: list[object] = [filter]
    conditions = items = values = depth = 0
    while level:
        depth += 1
        # Each level is an object and the list in it; the innermost has a field, an operator and its values besides.
        if depth > 2 * MAX_DEPTH + 4:
            raise InputError(f"filter is more than {MAX_DEPTH} levels deep", fix="Ask several questions")
        below: list[object] = []
        # Looked at while it is counted: what is held in many places is large however little memory it takes.
        for one in level:
            if isinstance(one, str):
                require_text(one, "filter")
            elif isinstance(one, Mapping):
                items += len(one)
                for key, inner in one.items() if items <= _MAX_ITEMS else ():
                    if isinstance(key, str):
                        require_text(key, "filter")
                    conditions += not isinstance(inner, Mapping) and key not in ("$and", "$or")
                    below.append(inner)
            elif isinstance(one, list | tuple | set | frozenset):
                values += len(one)
                below += one if values <= MAX_VALUES else ()
            if conditions > MAX_CONDITIONS or items > _MAX_ITEMS:
                raise InputError(
                    f"filter has more than {MAX_CONDITIONS} conditions", fix="Give many values of one field with $in"
                )
            if values > MAX_VALUES:
                raise InputError(f"filter has more than {MAX_VALUES} values", fix="Ask several questions")
        level = below
    return filter


def require_text(text: str, what: str) -> None:
    """``InputError`` for a text that no file and no service can hold. It is not repeated."""
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{what} is no valid Unicode: it holds half a surrogate pair") from None
