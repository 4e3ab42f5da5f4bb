"""A dataset that cannot be loaded, in the asset graph: one asset that says why, and whose it is.

Laws
----
1. What cannot be loaded is seen: in the graph, in the log of the code location, and by those who are told of failures.
2. Materialising it looks again: it fails with what is wrong now, or says that the code location is to be reloaded.
"""

import logging
import re
from pathlib import Path

import dagster as dg

from vector_pipeline.config import BrokenDataset, load_config
from vector_pipeline.errors import ConfigError
from vector_pipeline.hashing import content_hash

_LOG = logging.getLogger(__name__)
NOT_LOADED = "not_loaded"
"""Last part of the asset's key."""
KIND = "error"
"""Shown on the asset."""
_HASH_CHARS = 8


def part_of_key(name: str) -> str:
    """A dataset's name as part of a key and as a group: a name may be what is wrong with it. Different ones stay different, as one
    key that stands twice would take the whole code location down.
    """
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return name if plain == name != "" else f"{plain}_{content_hash(name)[:_HASH_CHARS]}"


def not_loaded(broken: BrokenDataset, config_path: Path) -> dg.Definitions:
    """The definitions that stand for a dataset which cannot be loaded."""
    _LOG.warning("dataset %s is not loaded: %s", broken.name, broken.reason)
    key = part_of_key(broken.name)
    whose = f" It belongs to {', '.join(broken.owners)}." if broken.owners else ""

    @dg.asset(
        key=[key, NOT_LOADED],
        group_name=key,
        owners=list(broken.owners),
        kinds={KIND},
        metadata={"reason": broken.reason, "file": str(broken.file)},
        description=f"This dataset is not loaded: {broken.reason}\n\nEvery other dataset works.{whose} Mend it, check it with "
        "`vector-pipeline check`, and reload the code location. To materialise this asset looks again.",
    )
    def body() -> dg.MaterializeResult:  # type: ignore[type-arg]
        reason = _now(broken, config_path)
        if reason is not None:
            raise dg.Failure(f"dataset {broken.name} is not loaded: {reason}", allow_retries=False)
        return dg.MaterializeResult(metadata={"next": "Mended: reload the code location"})

    return dg.Definitions(assets=[body], executor=dg.in_process_executor)


def _now(broken: BrokenDataset, config_path: Path) -> str | None:
    try:
        held = load_config(config_path)
    except ConfigError as error:
        return str(error)
    if broken.name in held.datasets:
        return None
    return held.broken[broken.name].reason if broken.name in held.broken else None
