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
    if any("\0" in one for one in texts_within(filter)):
        raise ValueError("filter holds a zero character")
    return filter


def texts_within(value: Any) -> set[str]:
    """Every text in a filter, names of fields too."""
    found: set[str] = set()
    level = [value]
    while level:
        below: list[Any] = []
        for one in level:
            if isinstance(one, str):
                found.add(one)
            elif isinstance(one, dict):
                below += [*one, *one.values()]
            elif isinstance(one, list):
                below += one
        level = below
    return found
