"""What the second of two versions differs in, for every side of the work ``diff``: of a thousand records eight were updated, one
was removed, one was added. Side by side they must count the same.

Every hundredth number, from ``OFFSET``, is touched, beyond the last record too: those are the added ones. Of ten that were there
``REMOVED`` (of a thousand) was removed and ``KEPT`` left as it is.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

STEP, OFFSET = 100, 2
REMOVED, KEPT = 2, 102
_THOUSAND = 1_000

Numbers = NDArray[np.int64]


def reach(count: int) -> int:
    """Numbers below it are there or were added."""
    return count + count // 10


def revised(count: int) -> tuple[Numbers, Numbers, Numbers]:
    """Numbers of records that were updated, removed and added, in a table of ``count``."""
    touched = np.arange(OFFSET, reach(count), STEP)
    there, rest = touched < count, touched % _THOUSAND
    return touched[there & (rest != REMOVED) & (rest != KEPT)], touched[there & (rest == REMOVED)], touched[~there]


def counted(added: Any, removed: Any, updated: Any) -> dict[str, int]:
    """What a side says that it found."""
    return {"added": int(added), "removed": int(removed), "updated": int(updated)}
