"""That the sides of a work did the same work, at every size: one that silently did less would look fast, or slow."""

from collections.abc import Mapping
from typing import Any

from benchmarks.measuring import FailedError, Pair


def agreed(pair: Pair, *keys: str) -> Pair:
    """The pair, if every run of both sides counted the same. Raises ``FailedError``."""
    found = {
        (samples.name, tuple(run.counted.get(key) for key in keys))
        for samples in (pair.ours, pair.theirs)
        for run in samples.runs
    }
    if len({counts for _, counts in found}) != 1:
        told = "; ".join(f"{name}: {counts}" for name, counts in sorted(found, key=str))
        raise FailedError(f"{', '.join(keys)}: the sides differ: {told}")
    return pair


def expect(name: str, counted: Mapping[str, Any], **expected: int) -> None:
    """A run must have counted just these, among what it counted. Raises ``FailedError``."""
    found = {key: counted.get(key) for key in expected}
    if found != expected:
        raise FailedError(f"{name}: counted {found} and not {expected}")
