"""What does not answer is asked again: so often, at random intervals, and while somebody waits."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, stop_after_attempt, stop_before_delay, wait_random_exponential

from vector_pipeline.errors import UnavailableError
from vector_pipeline.serving.calls import Call

T = TypeVar("T")
_WAIT_S = (0.05, 1.0)
"""Before a part is asked again: at first, at most; at random below that."""


def retried(work: Callable[[], T], call: Call, retries: int) -> T:
    """Result of ``work``, which is repeated ``retries`` times at most where a part does not answer, within the call's time."""
    try:
        return work()
    except UnavailableError:
        left, pause = call.left_s, random.uniform(0, _WAIT_S[0])
        if not retries or call.abandoned or left <= pause:
            raise
    time.sleep(pause)

    def again(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome is not None else None
        return isinstance(error, UnavailableError) and not call.abandoned

    stop = stop_after_attempt(retries)
    retrying = Retrying(
        retry=again,
        wait=wait_random_exponential(multiplier=2 * _WAIT_S[0], max=_WAIT_S[1]),
        stop=stop if call.until is None else stop | stop_before_delay(max(left - pause, 0.001)),
        reraise=True,
    )
    return retrying(work)
