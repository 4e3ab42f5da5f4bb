"""The reader in an event loop: it blocks nobody, and whoever stops waiting leaves nothing behind."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from tests.serving.test_limits import Flaky
from vector_pipeline import open_async_index
from vector_pipeline.errors import NotFoundError, UnavailableError
from vector_pipeline.project import Project
from vector_pipeline.serving import AsyncIndex

T = TypeVar("T")


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Flaky:
    return Flaky(monkeypatch)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 60))


def test_it_answers_as_the_other_one_does(released: Project) -> None:
    async def work() -> None:
        async with await open_async_index("handbook", project=released.base) as index:
            one = await index.search("about page 1", top_k=1)
            assert (one.hits[0].document, one.version, one.arm) == ("page1.md", 1, "production")
            several = await index.query(["about page 1", "about page 2"], top_k=1)
            assert [hits[0].document for hits in several] == ["page1.md", "page2.md"]
            many = await asyncio.gather(*(index.query(f"about page {n % 4}", top_k=1) for n in range(40)))
            assert [hits[0].document for hits in many] == [f"page{n % 4}.md" for n in range(40)]
            assert (await index.health()).ok
            assert index.metrics().arms["production"].count == 42

    run(work())


def test_the_loop_goes_on_while_a_target_does_not(released: Project, flaky: Flaky) -> None:
    async def work() -> None:
        index = await open_async_index("handbook", project=released.base)
        flaky.held = threading.Event()
        asking = asyncio.create_task(index.query("about page 1"))
        while not flaky.asked:
            await asyncio.sleep(0.001)
        beats = 0
        for _ in range(10):
            await asyncio.sleep(0)
            beats += 1
        assert (beats, asking.done()) == (10, False)
        flaky.held.set()
        assert await asking
        await index.close()

    run(work())


def test_what_is_cancelled_ends_and_harms_nobody(released: Project, flaky: Flaky) -> None:
    async def work() -> AsyncIndex:
        async with await open_async_index("handbook", project=released.base) as index:
            flaky.held = threading.Event()
            asking = [asyncio.create_task(index.query("about page 1")) for _ in range(100)]
            while not flaky.asked:
                await asyncio.sleep(0.001)
            for task in asking:
                task.cancel()
            ended = await asyncio.gather(*asking, return_exceptions=True)
            assert {type(one) for one in ended} == {asyncio.CancelledError}
            flaky.held.set()
            assert (await index.search("about page 1")).arm == "production"
            assert (await index.health()).breaker == "closed"
        return index

    index = run(work())
    # Only what had begun was asked of the target: the rest gave its turn back.
    assert flaky.asked <= 64 + 1
    assert index.metrics().arms["production"].errors == 0


def test_time_limits_hold_in_a_loop_too(released: Project, flaky: Flaky) -> None:
    async def work() -> None:
        async with await open_async_index("handbook", project=released.base, timeout_s=0.1) as index:
            flaky.held = threading.Event()
            with pytest.raises(UnavailableError, match=r"within 0.1 s"):
                await index.query("about page 1")
            flaky.held.set()
            assert index.metrics().arms["production"].errors == 1

    run(work())


def test_errors_of_opening_are_the_same(released: Project) -> None:
    with pytest.raises(NotFoundError):
        run(open_async_index("nobook", project=released.base))
