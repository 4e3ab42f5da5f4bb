"""Send the batches of one stage: several at once where that gains, never more than are under way and one more.

Laws
----
1. The caller's thread makes the batches, one when there is room for it, while others are being sent: temporary tables are that
   thread's own. What it makes them of may be read further ahead on other threads (``records``: one page); memory holds that too.
2. The first failure stops the sending: those under way are waited for, what came of each is journalled, and the failure is raised.
3. An interrupt does the same. When this returns or raises, nothing is under way.
"""

from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass

from vector_pipeline.targets.base import WriteReceipt


@dataclass(frozen=True, slots=True)
class Batch:
    """One write: how many records, and what sends it (journalled)."""

    records: int
    send: Callable[[], WriteReceipt]


Done = Callable[[Batch, WriteReceipt], None]
Made = Generator[Batch, None, None]
"""Batches of a stage, as they are made. What they are made of may hold files: whoever begins closes it."""


def send_all(batches: Made, *, parallel: int, done: Done) -> None:
    """Send every batch, at most ``parallel`` at once; ``done`` is called in this thread for each that landed.

    ``batches`` is closed in the end, however that came.
    """
    under_way: dict[Future[WriteReceipt], Batch] = {}
    with closing(batches), ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="write") as pool:
        try:
            for batch in batches:
                while len(under_way) >= parallel:
                    _settle(under_way, done)
                under_way[pool.submit(batch.send)] = batch
            while under_way:
                _settle(under_way, done)
        except BaseException:
            # Law 2 and 3: one that failed has said so already; of the others, what landed is counted.
            pool.shutdown(wait=True, cancel_futures=True)
            for future, batch in under_way.items():
                if not future.cancelled() and future.exception() is None:
                    done(batch, future.result())
            raise


def _settle(under_way: dict[Future[WriteReceipt], Batch], done: Done) -> None:
    """Wait for at least one write; raises what a failed one raised, after those that landed with it were counted."""
    finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
    failed = None
    for future in finished:
        batch = under_way.pop(future)
        error = future.exception()
        if error is None:
            done(batch, future.result())
        elif failed is None:
            failed = error
    if failed is not None:
        raise failed
