"""What the other processes of a concurrency test run: importable, so that they can be spawned."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

from tests.registry.conftest import new_version
from vector_pipeline.errors import ConflictError, RefusedError
from vector_pipeline.release.registry import Registry

THREADS = 4
Work = Callable[[Registry, int], Any]


def open_and_record(registry: Registry, worker: int) -> list[tuple[int, bool]]:
    """Records six versions: two that every worker records, and four of its own."""
    made = []
    for step in range(6):
        digest = f"same-{step}" if step % 3 == 0 else f"{worker}-{step}"
        version, is_new = registry.record_version(new_version(digest))
        made.append((version.number, is_new))
    return made


def move_many(registry: Registry, worker: int) -> tuple[int, int]:
    """Moves the alias between two deployments, each time from where it was seen; counts wins and losses."""
    goals = [one.id for one in registry.deployments("handbook")]
    won = lost = 0
    for _ in range(8):
        seen = registry.alias("handbook", "dev", "production")
        expected = seen.deployment.id if seen else None
        to = goals[0] if expected != goals[0] else goals[1]
        try:
            registry.move_alias("handbook", "dev", "production", to=to, expected=expected, by=str(worker), reason="")
            won += 1
        except ConflictError:
            lost += 1
    return won, lost


def fences(registry: Registry, worker: int) -> list[int]:
    """Acquires and releases one lease, again and again: the fences that it got."""
    got: list[int] = []
    while len(got) < 5:
        try:
            lease = registry.acquire_lease("local/main", f"worker-{worker}", 60)
        except ConflictError:
            continue
        got.append(lease.fence)
        registry.release_lease(lease)
    return got


def retire_and_move(registry: Registry, worker: int) -> None:
    """Every second worker retires deployments, the others move two aliases to all but the last four of them."""
    ids = [one.id for one in registry.deployments("handbook")]
    name = ("production", "staging")[worker // 2 % 2]
    goals = ids if worker % 2 else ids[:-4]
    for identifier in goals if worker % 4 < 2 else goals[::-1]:
        seen = registry.alias("handbook", "dev", name)
        expected = seen.deployment.id if seen else None
        try:
            if worker % 2:
                registry.retire_deployments([identifier], grace_s=3600)
            else:
                registry.move_alias("handbook", "dev", name, to=identifier, expected=expected, by="", reason="")
        except (ConflictError, RefusedError):
            continue


def _run(url: str, barrier: Barrier, work: Work, process: int, results: Any) -> None:
    barrier.wait()
    with Registry.open(url) as registry, ThreadPoolExecutor(THREADS) as pool:
        workers = range(process * THREADS, (process + 1) * THREADS)
        results.put(list(pool.map(lambda worker: work(registry, worker), workers)))


def together(url: str, work: Work, processes: int = 4) -> list[Any]:
    """Results of ``work`` in several processes of four threads, which all open the registry at the same moment."""
    context = get_context("spawn")
    barrier, results = context.Barrier(processes), context.Queue()
    children = [context.Process(target=_run, args=(url, barrier, work, number, results)) for number in range(processes)]
    for child in children:
        child.start()
    found = [result for _ in children for result in results.get(timeout=120)]
    for child in children:
        child.join(timeout=60)
        assert child.exitcode == 0
    return found
