"""Group commit: each caller gets its own result, several share a transaction, one's error is nobody else's."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from vector_pipeline.errors import ConflictError, UnknownOutcomeError
from vector_pipeline.release.registry import GroupCommit


class Log:
    """Commits what it is given, once the gate is open; what is negative conflicts."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.gate = threading.Event()
        self.begun = threading.Event()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.begun.set()
        assert self.gate.wait(30)
        if any(item < 0 for item in items):
            raise ConflictError(f"{min(items)} conflicts")
        self.groups.append(list(items))
        return [item * 10 for item in items]


def run(log: Log, items: Sequence[int]) -> list[object]:
    """Every item from a thread of its own: the first is being committed while the others wait."""
    group: GroupCommit[int, int] = GroupCommit(log)
    with ThreadPoolExecutor(len(items)) as pool:
        first = pool.submit(group, items[0])
        assert log.begun.wait(30)
        rest = [pool.submit(group, item) for item in items[1:]]
        while len(group._waiting) < len(rest):
            pass
        log.gate.set()
        return [one.exception() or one.result() for one in (first, *rest)]


def test_those_who_wait_share_a_transaction() -> None:
    log = Log()
    assert run(log, range(8)) == [item * 10 for item in range(8)]
    assert log.groups[0] == [0]
    assert len(log.groups) == 2
    assert sorted(log.groups[1]) == list(range(1, 8))


def test_an_error_is_heard_by_its_own_caller_only() -> None:
    log = Log()
    found = run(log, [1, 2, -3, 4])
    assert (found[0], found[1], found[3]) == (10, 20, 40)
    assert isinstance(found[2], ConflictError)
    assert sorted(item for group in log.groups for item in group) == [1, 2, 4]


def test_what_may_have_been_committed_is_not_committed_again() -> None:
    calls: list[list[int]] = []

    def lost(items: Sequence[int]) -> list[int]:
        calls.append(list(items))
        raise UnknownOutcomeError("the connection broke during a commit")

    group: GroupCommit[int, int] = GroupCommit(lost)
    for item in (1, 2):
        with pytest.raises(UnknownOutcomeError):
            group(item)
    assert calls == [[1], [2]]


def test_alone_it_is_a_call() -> None:
    log = Log()
    log.gate.set()
    group: GroupCommit[int, int] = GroupCommit(log)
    assert [group(item) for item in (3, 1, 2)] == [30, 10, 20]
    assert log.groups == [[3], [1], [2]]
