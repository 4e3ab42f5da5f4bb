"""One metadata field of all records as arrays, so that a filter is evaluated at once and not record by record."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Scalar = str | bool | float

_NONE = -1


class Column:
    """Values of one field by slot: numbers as they are; strings and booleans, alone and in lists, as small codes."""

    def __init__(self) -> None:
        self._numbers = np.empty(0, np.float64)
        self._codes = np.empty(0, np.int32)
        self._there: Mask = np.empty(0, np.bool_)
        self._lists: dict[int, frozenset[int]] = {}
        self._known: dict[str | bool, int] = {}

    def set(self, slot: int, value: Any) -> None:
        """``value`` is a string, a float, a boolean, a list of strings, or None for a missing field."""
        if slot >= len(self._codes):
            self._grow(max(64, 2 * slot))
        number, code = np.nan, _NONE
        self._lists.pop(slot, None)
        if isinstance(value, list):
            self._lists[slot] = frozenset(self._coded(entry) for entry in value)
        elif isinstance(value, str | bool):
            code = self._coded(value)
        elif value is not None:
            number = value
        self._numbers[slot], self._codes[slot], self._there[slot] = number, code, value is not None

    def there(self, used: int) -> Mask:
        """Where the field is present, for slots 0 to ``used``."""
        return self._there[:used].copy()

    def any_of(self, values: Iterable[Scalar], used: int) -> Mask:
        """Where the value, or an element of it, is one of ``values``."""
        words = [value for value in values if isinstance(value, str | bool)]
        codes = [self._known[word] for word in words if word in self._known]
        numbers = [value for value in values if not isinstance(value, str | bool)]
        mask = _isin(self._codes[:used], codes) | _isin(self._numbers[:used], numbers)
        wanted = frozenset(codes)
        for slot, found in self._lists.items():
            mask[slot] = not wanted.isdisjoint(found)
        return mask

    def numbers(self, used: int) -> npt.NDArray[np.float64]:
        """The numbers; not-a-number where there is none."""
        return self._numbers[:used]

    def _coded(self, value: str | bool) -> int:
        return self._known.setdefault(value, len(self._known))

    def _grow(self, capacity: int) -> None:
        more = capacity - len(self._codes)
        self._numbers = np.concatenate([self._numbers, np.full(more, np.nan)])
        self._codes = np.concatenate([self._codes, np.full(more, _NONE, np.int32)])
        self._there = np.concatenate([self._there, np.zeros(more, np.bool_)])

    def fit(self, capacity: int) -> None:
        """Make room for slots 0 to ``capacity``."""
        if capacity > len(self._codes):
            self._grow(capacity)


def _isin(column: npt.NDArray[Any], values: list[Any]) -> Mask:
    if len(values) == 1:
        return np.asarray(column == values[0])
    return np.isin(column, values) if values else np.zeros(len(column), np.bool_)
