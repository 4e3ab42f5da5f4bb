"""Hold a lease while a block runs: kept alive in the background, taken over at once from a holder that is dead.

Laws
----
1. At most one living process holds a resource. A holder that was killed on this machine is replaced at once; one on another
   machine when its lease has run out.
2. A lease is renewed on a thread of its own, so that a long batch cannot lose it. Whoever lost it all the same (a process that was
   suspended) is told at the next ``check``, before it writes.
3. The fence grows with every acquisition and travels with every write to a target.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vector_pipeline.errors import ConflictError, VectorPipelineError
from vector_pipeline.release.registry import Lease, Registry

LEASE_SECONDS = 60.0
"""A dead writer's lease on another machine frees itself after this long."""
_POLL_S = 0.2


class Held:
    """A lease in force."""

    def __init__(self, registry: Registry, lease: Lease, ttl_s: float) -> None:
        self._registry, self._lease, self._ttl = registry, lease, ttl_s
        self._lost: VectorPipelineError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease {lease.resource}", daemon=True)
        self._thread.start()

    @property
    def fence(self) -> int:
        return self._lease.fence

    def check(self) -> None:
        """``ConflictError`` when the lease was lost: stop writing at once."""
        if self._lost is not None:
            raise ConflictError(self._lost.what, fix=self._lost.fix)

    def release(self) -> None:
        """Give the lease back; one that was lost meanwhile is left to whoever has it."""
        self._stop.set()
        self._thread.join()
        self._registry.release_lease(self._lease)

    def _renew(self) -> None:
        while not self._stop.wait(self._ttl / 4):
            try:
                self._lease = self._registry.renew_lease(self._lease, self._ttl)
            except ConflictError as error:
                self._lost = error
                return
            except VectorPipelineError:
                # The registry does not answer now; the lease lasts a while yet, and the next round asks again.
                continue


@contextmanager
def hold(
    registry: Registry,
    resource: str,
    *,
    wait_s: float = 0.0,
    ttl_s: float = LEASE_SECONDS,
    on_wait: Callable[[ConflictError], None] | None = None,
) -> Iterator[Held]:
    """Hold ``resource`` for a block. Waits for a living holder up to ``wait_s``, then ``ConflictError`` names it."""
    held = Held(registry, _acquire(registry, resource, wait_s, ttl_s, on_wait), ttl_s)
    try:
        yield held
    finally:
        held.release()


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
            if time.monotonic() >= deadline:
                raise
            if on_wait is not None:
                on_wait(error)
        time.sleep(_POLL_S)


def holder_name() -> str:
    """Who holds: machine, process and thread. The machine is its name and its PID namespace: two containers of one name differ."""
    return f"{_machine()}/{os.getpid()}/{threading.get_ident()}"


def _machine() -> str:
    namespace = Path("/proc/self/ns/pid")
    number = str(namespace.readlink()).strip("pid:[]") if namespace.exists() else "0"
    return f"{socket.gethostname()}:{number}"


def _dead_holder(registry: Registry, resource: str) -> str | None:
    """The holder's name if it was a process of this machine that is gone."""
    lease = registry.lease(resource)
    if lease is None:
        return None
    machine, _, rest = lease.holder.partition("/")
    pid = rest.partition("/")[0]
    if machine != _machine() or not pid.isdigit() or int(pid) == os.getpid():
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return lease.holder
    except PermissionError:
        return None
    return None
