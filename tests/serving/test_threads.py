"""Threads of a reader: what nobody waits for any more takes nobody's turn, and keeps no process from ending."""

import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import eventually
from vector_pipeline.errors import UnavailableError
from vector_pipeline.project import Project
from vector_pipeline.serving.threads import LEFT, Threads


@pytest.fixture
def let() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


@pytest.fixture
def threads() -> Iterator[Threads]:
    made = Threads(2, "tried")
    yield made
    made.close(0)


def hung(threads: Threads, let: threading.Event) -> Future[bool]:
    began = threading.Event()

    def hangs() -> bool:
        began.set()
        return let.wait(60)

    future = threads.submit(hangs)
    assert began.wait(60)
    return future


def test_what_was_left_takes_nobodys_turn(threads: Threads, let: threading.Event) -> None:
    first, second = hung(threads, let), hung(threads, let)
    waits = threads.submit(lambda: "answered")
    assert not waits.done()
    assert threads.leave(first)
    assert waits.result(60) == "answered"
    assert threads.submit(lambda: "again").result(60) == "again"
    let.set()
    assert second.result(60)


def test_too_much_that_was_left_is_told_at_once(threads: Threads, let: threading.Event) -> None:
    for _ in range(2 * LEFT - 1):
        threads.leave(hung(threads, let))
    last, beside = hung(threads, let), hung(threads, let)
    waits = threads.submit(lambda: "never")
    threads.leave(last)
    for refused in (lambda: waits.result(60), lambda: threads.submit(lambda: "never")):
        with pytest.raises(UnavailableError, match="no thread is free: 4 calls"):
            refused()
    let.set()  # They end after all.
    assert beside.result(60)
    eventually(lambda: not threads._running)
    assert threads.submit(lambda: "well").result(60) == "well"


def test_what_is_left_before_it_begins_is_forgotten(threads: Threads, let: threading.Event) -> None:
    class Text:
        pass

    hung(threads, let), hung(threads, let)
    text = Text()
    kept = weakref.ref(text)
    waits = threads.submit(lambda text=text: text)  # type: ignore[misc]
    assert not threads.leave(waits)
    cancelled = threads.submit(lambda: None)
    cancelled.cancel()  # As asyncio does.
    assert not threads._queue
    del text, waits
    gc.collect()
    assert kept() is None


def test_errors_contexts_and_turns(threads: Threads) -> None:
    said: ContextVar[int] = ContextVar("said", default=0)
    found: list[Future[Any]] = []
    for number in range(100):
        said.set(number)
        found.append(threads.submit(lambda: said.get()))
    assert [one.result(60) for one in found] == list(range(100))
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result(60)
    assert sum(one.name == "vector-pipeline-tried" for one in threading.enumerate()) <= 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(threads: Threads, let: threading.Event) -> None:
    hung(threads, let), hung(threads, let)
    threads.submit(lambda: None)
    child = os.fork()
    if not child:
        try:
            os._exit(threads.submit(lambda: 7).result(30))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


ENDS = """
import sys, threading
from vector_pipeline.errors import UnavailableError
from vector_pipeline.serving import open_index, reader
from vector_pipeline.targets.duckdb.target import DuckDBTarget
reader.CLOSE_S = 0.1
index = open_index("handbook", project=sys.argv[1], timeout_s=30, retries=0)
index.search("about page 1")
DuckDBTarget.query = lambda *_, **__: threading.Event().wait(3_600)
index._timeout = 0.5
try:
    index.search("about page 1")
except UnavailableError as error:
    print(error.code, flush=True)
if sys.argv[2] == "close":
    index.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["close", "leave"])
def test_a_process_ends_where_a_target_hangs(released: Project, how: str) -> None:
    path = Path(released.base)
    released.close()
    done = subprocess.run(
        [sys.executable, "-c", ENDS, str(path), how], capture_output=True, text=True, timeout=240, check=False
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["timeout"], "")
