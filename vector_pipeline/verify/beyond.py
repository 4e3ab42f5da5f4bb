"""Whether what production says of itself is what a person let past, or clearly worse than that.

Laws
----
1. A person let past what was measured. A gate that had measured nothing was let past saying nothing: no failure of it is known.
2. Of records: each kind of fault is counted in full, so more than twice as many are other ones; and less than half as many right
   records are another index.
3. Of canaries: readers are worse off when less than half as many pass, or another critical one fails.
4. What cannot be compared is clearly worse.
"""

from collections.abc import Mapping
from typing import Any

from vector_pipeline.verify.canaries.gate import NAME as CANARIES
from vector_pipeline.verify.coverage import FAULTS
from vector_pipeline.verify.coverage import NAME as COVERAGE
from vector_pipeline.verify.outcome import CheckResult, Status


def beyond(then: CheckResult, now: CheckResult) -> bool:
    """Whether ``now``, which blocks, is clearly worse than ``then``, which a person let past."""
    if now.status is Status.UNKNOWN:
        return then.status is not Status.UNKNOWN
    if then.status is not Status.FAILED or now.name not in _WORSE:
        return True
    try:
        return _WORSE[now.name](then.detail, now.detail)
    except (KeyError, TypeError):
        return True  # Law 4.


def _records(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    right = [one["desired"] - one["missing"] for one in (then, now)]
    return right[1] * 2 < right[0] or any(now[fault] > 2 * then[fault] for fault in FAULTS)


def _canaries(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return bool(now["passed"] * 2 < then["passed"] or now["critical_failing"] > then["critical_failing"])


_WORSE = {COVERAGE: _records, CANARIES: _canaries}
