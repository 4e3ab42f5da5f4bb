"""Hold a lease while a block runs: kept alive in the background, taken over at once from a holder that is dead.

Laws
----
1. At most one living process holds a resource. A holder that was killed on this machine is replaced at once; one on another
   machine when its lease has run out.
2. A lease is renewed on a thread of its own, so that a long batch cannot lose it. Whoever lost it all the same (a process that was
   suspended) is told at the next ``check``, before it writes: a lease that was not renewed for most of its time is renewed there.
3. The fence grows with every acquisition and travels with every write to a target.
4. A resource may be held whole or in parts. Whoever wants the whole announces it first, then waits for those who hold parts;
   whoever wants parts takes them first, then gives all of them back while somebody holds or awaits the whole. So one of both always
   sees the other, and none holds what the other waits for.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

from vector_pipeline.errors import ConflictError, VectorPipelineError
from vector_pipeline.processes import is_gone, machine
from vector_pipeline.release.registry import Lease, Registry

LEASE_SECONDS = 60.0
"""A dead writer's lease on another machine frees itself after this long."""
_POLL_S = 0.2


class Held:
    """A lease in force."""

    def __init__(self, registry: Registry, lease: Lease, ttl_s: float) -> None:
        self._registry, self._lease, self._ttl = registry, lease, ttl_s
        self._renewed = _clocks()
        self._one = threading.Lock()
        self._lost: VectorPipelineError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease {lease.resource}", daemon=True)
        self._thread.start()

    @property
    def fence(self) -> int:
        return self._lease.fence

    def check(self) -> None:
        """``ConflictError`` when the lease was lost: stop writing at once. ``UnavailableError`` where nobody can tell."""
        if self._lost is None and self._asleep() > self._ttl * 3 / 4:
            # The thread woke up when this one did, and may not have had its turn.
            self._renew()
        if self._lost is not None:
            raise ConflictError(self._lost.what, fix=self._lost.fix)

    def release(self) -> None:
        """Give the lease back; one that was lost meanwhile is left to whoever has it."""
        self._stop.set()
        self._thread.join()
        self._registry.release_lease(self._lease)

    def _keep(self) -> None:
        while self._lost is None and not self._stop.wait(self._ttl / 4):
            try:
                self._renew()
            except VectorPipelineError:
                # The registry does not answer now; the lease lasts a while yet, and the next round asks again.
                continue

    def _renew(self) -> None:
        with self._one:
            before = _clocks()
            try:
                self._lease = self._registry.renew_lease(self._lease, self._ttl)
            except ConflictError as error:
                self._lost = error
            else:
                self._renewed = before

    def _asleep(self) -> float:
        """Seconds since the lease was renewed, by the clock that says more."""
        return max(now - then for now, then in zip(_clocks(), self._renewed, strict=True))


def _clocks() -> tuple[float, float]:
    """The one stands still while the machine sleeps, the other may be set back."""
    return time.monotonic(), time.time()


@contextmanager
def hold(
    registry: Registry,
    resource: str,
    *,
    wait_s: float = 0.0,
    ttl_s: float | None = None,
    on_wait: Callable[[ConflictError], None] | None = None,
) -> Iterator[Held]:
    """Hold ``resource`` for a block. Waits for a living holder up to ``wait_s``, then ``ConflictError`` names it.

    ``ttl_s``: default ``LEASE_SECONDS``.
    """
    lasts = LEASE_SECONDS if ttl_s is None else ttl_s
    held = Held(registry, _acquire(registry, resource, wait_s, lasts, on_wait), lasts)
    try:
        yield held
    finally:
        held.release()


@contextmanager
def hold_whole(
    registry: Registry, resource: str, *, wait_s: float = 0.0, on_wait: Callable[[ConflictError], None] | None = None
) -> Iterator[Held]:
    """Hold a resource that others may hold parts of (law 4)."""
    deadline = time.monotonic() + wait_s
    with hold(registry, resource, wait_s=wait_s, on_wait=on_wait) as held:
        while (others := _alive(registry, registry.leases_below(resource))) is not None:
            _wait(others, deadline, on_wait)
        yield held


@contextmanager
def hold_parts(
    registry: Registry,
    resource: str,
    parts: Iterable[object],
    *,
    wait_s: float = 0.0,
    on_wait: Callable[[ConflictError], None] | None = None,
) -> Iterator[list[Held]]:
    """Hold some parts of a resource, all or none of them (law 4)."""
    # In one order, so that two who want the same ones never wait for each other.
    names = sorted(f"{resource}/{part}" for part in parts)
    deadline = time.monotonic() + wait_s
    while True:
        with ExitStack() as stack:
            left = max(0.0, deadline - time.monotonic())
            held = [stack.enter_context(hold(registry, name, wait_s=left, on_wait=on_wait)) for name in names]
            whole = registry.lease(resource)
            other = None if whole is None else _alive(registry, [whole])
            if other is None:
                yield held
                return
        _wait(other, deadline, on_wait)


def writers(registry: Registry, resource: str) -> list[ConflictError]:
    """Who holds a resource or parts of it now, as what stands in the way of others: not this thread, and nobody who is dead."""
    whole = registry.lease(resource)
    held = [*([whole] if whole is not None else []), *registry.leases_below(resource)]
    found = (_alive(registry, [one]) for one in held)
    return [error for error in found if error is not None]


def living(registry: Registry, resource: str) -> list[Lease]:
    """Leases on parts of a resource, without those of holders that are known to be dead."""
    return [one for one in registry.leases_below(resource) if _dead_holder(registry, one.resource) is None]


def _alive(registry: Registry, leases: Iterable[Lease]) -> ConflictError | None:
    """What stands in the way of those who want what these leases are on; None where all holders are this thread's or dead."""
    for one in leases:
        if one.holder != holder_name() and _dead_holder(registry, one.resource) is None:
            until = one.expires_at.isoformat(timespec="seconds")
            return ConflictError(
                f"{one.resource} is being written by {one.holder}, until {until}", fix="wait, then repeat"
            )
    return None


def _wait(error: ConflictError, deadline: float, on_wait: Callable[[ConflictError], None] | None) -> None:
    if time.monotonic() >= deadline:
        raise error
    if on_wait is not None:
        on_wait(error)
    time.sleep(_POLL_S)


def _acquire(
    registry: Registry, resource: str, wait_s: float, ttl_s: float, on_wait: Callable[[ConflictError], None] | None
) -> Lease:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return registry.acquire_lease(resource, holder_name(), ttl_s)
        except ConflictError as error:
            dead = _dead_holder(registry, resource)
            if dead is not None:
                return registry.acquire_lease(resource, holder_name(), ttl_s, instead_of=dead)
            _wait(error, deadline, on_wait)


def holder_name() -> str:
    """Who holds: machine, process and thread."""
    return f"{machine()}/{os.getpid()}/{threading.get_ident()}"


def _dead_holder(registry: Registry, resource: str) -> str | None:
    """The holder's name if it was a process of this machine that is gone."""
    lease = registry.lease(resource)
    if lease is None:
        return None
    where, _, rest = lease.holder.partition("/")
    return lease.holder if where == machine() and is_gone(rest.partition("/")[0]) else None
