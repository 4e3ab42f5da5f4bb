"""Group commit: what several threads want written becomes one transaction.

Laws
----
1. A call returns when its own item is committed, or raises what became of it. Nothing is reordered within a thread.
2. Whoever comes first commits for all that wait; those who come meanwhile are the next group. Alone, a caller waits for nobody.
3. An error of the transaction's own (a conflict, a refusal) is found out item by item, so that each caller hears of its own only.
   One that may have committed all the same is everybody's: nothing of that group is written again.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from vector_pipeline.errors import UnknownOutcomeError, VectorPipelineError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True, eq=False)
class _Waiting(Generic[T, R]):
    item: T
    done: bool = False
    result: R | None = None
    error: BaseException | None = None


class GroupCommit(Generic[T, R]):
    """``commit`` writes a list of items in one transaction and returns a result for each."""

    def __init__(self, commit: Callable[[Sequence[T]], Sequence[R]]) -> None:
        self._commit = commit
        self._waiting: list[_Waiting[T, R]] = []
        self._guard = threading.Lock()
        self._turn = threading.Lock()

    def __call__(self, item: T) -> R:
        mine: _Waiting[T, R] = _Waiting(item)
        with self._guard:
            self._waiting.append(mine)
        with self._turn:
            if not mine.done:
                with self._guard:
                    group, self._waiting = self._waiting, []
                self._settle(group)
        if mine.error is not None:
            raise mine.error
        return mine.result  # type: ignore[return-value]

    def _settle(self, group: list[_Waiting[T, R]]) -> None:
        try:
            results = self._commit([one.item for one in group])
        except UnknownOutcomeError as error:
            _failed(group, error)
        except VectorPipelineError as error:
            if len(group) == 1:
                _failed(group, error)
            else:
                for one in group:
                    self._settle([one])
        except BaseException as error:
            _failed(group, error)
            raise
        else:
            for one, result in zip(group, results, strict=True):
                one.result, one.done = result, True


def _failed(group: Sequence[_Waiting[T, R]], error: BaseException) -> None:
    for one in group:
        one.error, one.done = error, True
