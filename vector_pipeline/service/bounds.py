"""What of a filter is taken: as much as the reader takes, and no zero characters, which no database keeps.

What a filter means, and whether it is one, is the target's to say (``targets.filters``): this is looked at before.
"""

from typing import Any

from vector_pipeline.errors import InputError
from vector_pipeline.serving.questions import filter_of


def bounded(filter: dict[str, Any]) -> dict[str, Any]:
    """The same filter. ``ValueError`` says which bound it breaks, and nothing of what is in it."""
    try:
        filter_of(filter)
    except InputError as error:
        raise ValueError(str(error)) from None
    if any("\0" in one for some in _texts(filter) for one in some):
        raise ValueError("filter holds a zero character")
    return filter


def values_within(filter: dict[str, Any] | None) -> set[str]:
    """Every text in a filter but names of fields and operators."""
    return _texts(filter)[1]


def _texts(filter: Any) -> tuple[set[str], set[str]]:
    """Names, and texts among the values."""
    names: set[str] = set()
    values: set[str] = set()
    level = [filter]
    while level:
        below: list[Any] = []
        for one in level:
            if isinstance(one, str):
                values.add(one)
            elif isinstance(one, dict):
                names.update(one)
                below += one.values()
            elif isinstance(one, list):
                below += one
        level = below
    return names, values
