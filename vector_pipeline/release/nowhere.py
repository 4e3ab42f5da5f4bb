"""Errors of an alias that points at nothing, or has nowhere to go back to: each names the verb that comes next."""

from collections.abc import Sequence

from vector_pipeline.errors import NotFoundError
from vector_pipeline.release.registry import Alias, AliasMove


def nothing_in(dataset: str, name: str, staging: Alias | None) -> NotFoundError:
    """The alias ``name`` points at nothing. Where nothing is staged either, a push comes first."""
    verb = "push" if staging is None else "promote"
    return NotFoundError(f"nothing of {dataset} is in {name} yet", fix=f"vector-pipeline {verb} {dataset}")


def nothing_below(dataset: str, now: int, moves: Sequence[AliasMove]) -> NotFoundError:
    """No version to go back to by itself. Names the last that was left by a rollback, which a person may choose.

    ``moves``: of production, newest first. ``now``: the version that it serves.
    """
    left = [one for move in moves for one in (move.from_version, move.to_version) if one not in (None, now)]
    fix = (
        f"v{left[0]} was rolled back from; to serve it again all the same: vector-pipeline rollback {dataset} --to {left[0]}"
        if left
        else f"v{now} is all that was ever served. Correct the source, and release it: vector-pipeline build {dataset}"
    )
    return NotFoundError(f"no earlier version of {dataset} was in production here", fix=fix)
