"""What the gate ``embedding shift`` has found so far: faults in words with documents to look at, numbers and charts."""

from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from vector_pipeline.verify.intervals import wilson
from vector_pipeline.verify.outcome import EXAMPLES
from vector_pipeline.verify.sampling import VectorSample
from vector_pipeline.verify.shift.form import Odd, Rows
from vector_pipeline.verify.shift.mixed import LEAST

TESTS = 12
"""Tests of the gate: ``alpha`` is divided by it."""
TOLERATED = 0.1
"""Share of odd vectors in a group that is."""


@dataclass
class Found:
    """What a verdict is made of."""

    alpha: float
    faults: list[str] = field(default_factory=list)
    examples: list[dict[str, Any]] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)
    charts: list[dict[str, Any]] = field(default_factory=list)
    cleared: bool = False
    """Whether what was added was accused, and the model makes it again."""

    def odd(self, odd: Odd, group: VectorSample, name: str) -> None:
        """Judge a share of odd vectors, of the group or of one of its shards."""
        self.detail[f"odd_{odd.key}"] = float(odd.rows.mean()) if len(group) else 0.0
        if len(group) < LEAST or not odd.rows.any():
            return
        z = NormalDist().inv_cdf(1 - self.alpha / TESTS)
        shards = [int(shard) for shard in np.unique(group.shards) if _mostly(odd.rows[group.shards == shard], z)]
        if wilson(int(odd.rows.sum()), len(group), z).low <= TOLERATED and not shards:
            return
        documents = list(dict.fromkeys(np.array(group.document_ids)[odd.rows].tolist()))
        # Shards are named where they explain it: nearly all of it is in them, and they are not all.
        within = float(np.isin(group.shards[odd.rows], shards).mean())
        where = f" in shards {listed(shards)}" if within > 0.9 and len(shards) < len(np.unique(group.shards)) else ""
        self.faults.append(
            f"{odd.says}: {int(odd.rows.sum()):,} of {len(group):,} {name} contents{where}, such as of {documents[0]}"
        )
        self.examples += [{"fault": odd.key, "document_id": document} for document in documents[:EXAMPLES]]

    def all_of(self, key: str, says: str, group: VectorSample, name: str) -> None:
        """A fault of a group as a whole."""
        documents = list(dict.fromkeys(group.document_ids))[:EXAMPLES]
        self.faults.append(f"{says}: {len(group):,} {name} contents, such as of {documents[0]}")
        self.examples += [{"fault": key, "document_id": document} for document in documents]


def _mostly(rows: Rows, z: float) -> bool:
    """Surely more than half."""
    return len(rows) >= LEAST and wilson(int(rows.sum()), len(rows), z).low > 0.5


def listed(shards: list[int]) -> str:
    """Shards for people."""
    return ", ".join(map(str, shards[:8])) + (f" and {len(shards) - 8} more" if len(shards) > 8 else "")
