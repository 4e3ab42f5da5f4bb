"""Closing an index: what has begun ends or is told so, within bounds; afterwards nothing is asked, and nothing opens again."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.serving.test_limits import Flaky
from tests.support.waiting import eventually
from vector_pipeline import open_async_index
from vector_pipeline.errors import UnavailableError
from vector_pipeline.project import Project
from vector_pipeline.serving import Index, open_index, reader
from vector_pipeline.serving.answers import Answer


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[Flaky]:
    monkeypatch.setattr(reader, "CLOSE_S", 0.3)
    made = Flaky(monkeypatch)
    made.held = threading.Event()
    yield made
    made.held.set()


def asked(flaky: Flaky, index: Index, many: int, threads: ThreadPoolExecutor) -> list[Future[Answer]]:
    """So many queries, of which one at least is asked of the target."""
    found = [threads.submit(index.search, "about page 1") for _ in range(many)]
    eventually(lambda: flaky.asked > 0 or any(one.done() for one in found))
    assert not any(one.done() for one in found)
    return found


@pytest.mark.parametrize("timeout_s", [30.0, None])
def test_who_waits_is_told_that_it_is_closed(released: Project, flaky: Flaky, timeout_s: float | None) -> None:
    index = open_index("handbook", project=released.base, timeout_s=timeout_s)
    with ThreadPoolExecutor(100) as threads:
        # More than there are threads: some have not begun.
        found = asked(flaky, index, 100 if timeout_s else 1, threads)
        index.close()
        if timeout_s is None:  # On its caller's own thread nobody else can end it.
            flaky.held.set()  # type: ignore[union-attr]
        errors = [one.exception(30) for one in found]
    assert {(type(one), getattr(one, "code", "")) for one in errors} == {(UnavailableError, "closed")}
    # What went on does not open again what was closed.
    flaky.held.set()  # type: ignore[union-attr]
    eventually(lambda: not any(one.name.startswith("vector-pipeline-reader") for one in threading.enumerate()))
    assert (index._parts._registries, index._parts._targets) == ({}, {})


def test_what_ends_in_time_is_answered(released: Project, flaky: Flaky, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "CLOSE_S", 30.0)
    index = open_index("handbook", project=released.base)
    with ThreadPoolExecutor(4) as threads:
        (found,) = asked(flaky, index, 1, threads)
        closing = threads.submit(index.close)
        eventually(lambda: index._closed)
        flaky.held.set()  # type: ignore[union-attr]
        assert found.result(30).arm == "production"
        closing.result(30)


def test_in_a_loop_nobody_is_cancelled(released: Project, flaky: Flaky) -> None:
    async def work() -> None:
        index = await open_async_index("handbook", project=released.base)
        asking = [asyncio.create_task(index.search("about page 1")) for _ in range(80)]
        while not flaky.asked:
            await asyncio.sleep(0.001)
        await index.close()
        ended = await asyncio.gather(*asking, return_exceptions=True)
        assert {getattr(one, "code", one) for one in ended} == {"closed"}
        with pytest.raises(UnavailableError, match="the index is closed"):
            await index.search("about page 1")

    asyncio.run(asyncio.wait_for(work(), 60))


CALLS: dict[str, Callable[[Index], Any]] = {
    "query": lambda index: index.query("about page 1"),
    "search": lambda index: index.search("about page 1"),
    "begin": lambda index: index.begin(["about page 1"]),
    "health": lambda index: index.health(),
    "version": lambda index: index.version,
    "refresh": lambda index: index.refresh(),
    "reach": lambda index: index.reach(),
    "listen": lambda index: index.listen(),
}


@pytest.mark.parametrize("timeout_s", [30.0, None])
def test_every_call_afterwards_says_so_and_opens_nothing(released: Project, timeout_s: float | None) -> None:
    index = open_index("handbook", project=released.base, timeout_s=timeout_s)
    index.query("about page 1")
    index.close()
    index.close()
    for name, call in CALLS.items():
        with pytest.raises(UnavailableError, match="the index is closed") as raised:
            call(index)
        assert raised.value.code == "closed", name
    assert (index._parts._registries, index._parts._targets) == ({}, {})
    assert index.metrics().arms["production"].count == 1
