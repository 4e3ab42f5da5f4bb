"""What Dagster shows of a space's branch, kept true: its history goes with what it tells of.

Laws
----
1. A branch is named by the space, and holds the space of one fingerprint: what was materialised of another one, or of one that was
   retired, is forgotten, its checks too. Assets as a whole: no event storage forgets single partitions (Dagster 1.13).
2. What a run of before fingerprints were told has materialised is left as it is.
"""

from typing import Any

import dagster as dg

from vector_pipeline.assets.names import CHUNKS, EMBEDDINGS, SNAPSHOT, STAGING_INDEX, space_key
from vector_pipeline.project import Project
from vector_pipeline.release.holding import hold

FINGERPRINT = "fingerprint"
"""Metadata key of the space that was materialised."""
_WAIT_S = 60.0


def shown_of(instance: dg.DagsterInstance, dataset: str, space: str) -> str | None:
    """Fingerprint of what was materialised last of a branch's vectors, else of its chunks; None for nothing that tells one."""
    for name in (EMBEDDINGS, CHUNKS):
        entry = instance.get_latest_materialization_event(space_key(dataset, space, name))
        made = entry.asset_materialization if entry is not None else None
        told = made.metadata.get(FINGERPRINT) if made is not None else None
        if told is not None:
            return str(told.value)
    return None


def forget_other(instance: dg.DagsterInstance, core: Project, dataset: str, space: str) -> bool:
    """Law 1 before a run materialises a space: forget its branch where it tells of one that had the name before."""

    def other() -> bool:
        shown = shown_of(instance, dataset, space)
        # Of a space that nobody began the model is not asked for: it may be elsewhere.
        return shown is not None and shown != core.space(dataset, space).fingerprint

    if not other():
        return False
    # Of several runs that begin at once, the first forgets, and nothing that it makes is forgotten by the others.
    with hold(core.registry(), f"shown/{dataset}/{space}", wait_s=_WAIT_S):
        if other():
            _forget(instance, dataset, space)
    return True


def forget_retired(instance: dg.DagsterInstance, dataset: str, done: dict[str, Any]) -> bool:
    """Law 1 after a retirement. ``done``: what it returned; a dry run forgets nothing."""
    if done["dry_run"] or shown_of(instance, dataset, done["space"]) != done[FINGERPRINT]:
        return False
    _forget(instance, dataset, done["space"])
    return True


def _forget(instance: dg.DagsterInstance, dataset: str, space: str) -> None:
    instance.wipe_assets([space_key(dataset, space, name) for name in (CHUNKS, EMBEDDINGS, SNAPSHOT, STAGING_INDEX)])
