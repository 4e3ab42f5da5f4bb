"""The door that everything opened for writing goes through: registry, lake and targets of an environment.

Laws
----
1. It is asked each time that something is opened for writing, and answers from memory while seal and registry are what they were.
2. It looks before anything is made, brought up to date or written. What it refuses has changed nothing.
3. A broken seal is in the registry before the first write that it let through.
"""

import getpass
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from vector_pipeline.config import EnvironmentConfig
from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.marking import MARK, Mark, make_mark, read_mark, require_not_nested
from vector_pipeline.release.belonging import (
    FOREIGN,
    SEALED,
    Claim,
    foreign,
    is_foreign,
    owner_mark,
    require_served,
    seal_fault,
)
from vector_pipeline.release.registry.belonging import Belonging, look
from vector_pipeline.release.registry.engine import Database
from vector_pipeline.release.seals import Break, broken_now, digest_of, fits

if TYPE_CHECKING:
    from vector_pipeline.lake.connection import Lake
    from vector_pipeline.release.registry import Registry


class Admission:
    """Whether one environment, as it is configured here, may write. Thread-safe."""

    def __init__(self, environment: str, settings: EnvironmentConfig) -> None:
        self._environment, self._settings = environment, settings
        self._lock = threading.RLock()
        self._passed: tuple[str | None, Break | None] | None = None
        self._entered: tuple[str | None, Break | None] | None = None
        self._lets_in: str | None = None

    def forget(self) -> None:
        """What was found is looked at anew: the registry was closed."""
        with self._lock:
            self._passed = self._entered = None

    def claim(self) -> Claim:
        """Who wants to write, as of now."""
        variable = self._settings.sealed.names()[0] if self._settings.sealed is not None else None
        secret = (os.environ.get(variable) or None) if variable else None
        return Claim(self._environment, variable, secret, self._lets_in)

    def require(self, url: str) -> None:
        """Laws 1 and 2 of the registry at ``url``: ``RefusedError`` where this environment may not write there."""
        with self._lock:
            claim, broken = self.claim(), broken_now()
            if self._passed is not None and self._passed == (claim.secret, broken):
                return
            self._admit(claim, broken, self.peek(url))
            self._passed = claim.secret, broken

    def peek(self, url: str) -> Belonging:
        """Whose the registry at ``url`` is, whatever release wrote it: nothing is made or changed."""
        database = Database(url)
        try:
            return look(database)
        finally:
            database.close()

    @contextmanager
    def letting_in(self, other: str) -> Iterator[None]:
        """Within the block it is no fault that ``other`` is served beside a seal: it is about to be said."""
        with self._lock:
            self.forget()
            self._lets_in = other
        try:
            yield
        finally:
            with self._lock:
                self._lets_in = None

    def _admit(self, claim: Claim, broken: Break | None, found: Belonging) -> bool:
        """Whether a seal had to be broken."""
        require_served(claim, found)
        fault = seal_fault(claim, found)
        if fault is not None and broken is None:
            raise fault
        return fault is not None

    def enter(self, registry: "Registry") -> None:
        """After ``require``, with the registry open: it remembers this environment, its seal, and that one was broken (law 3)."""
        with self._lock:
            if self._entered is not None and self._entered == self._passed:
                return
            claim, broken = self.claim(), broken_now()
            found = registry.belonging()
            breaks = self._admit(claim, broken, found)
            known = found.named(claim.environment)
            new_seal = (
                claim.secret
                if claim.secret is not None and (known is None or known.seal is None) and not breaks
                else None
            )
            if known is None or new_seal is not None or known.sample != self._settings.sample:
                registry.join(
                    claim.environment, by=account(), sample=self._settings.sample,
                    digest=digest_of(new_seal) if new_seal is not None else None, demand=partial(require_served, claim),
                )  # fmt: skip
            if breaks and broken is not None:
                registry.record_broken_seal(claim.environment, broken.verb, by=broken.by, reason=broken.reason)
            self._entered = self._passed

    def require_lake(self, lake: "Lake", registry: "Registry", *, deleting: bool = False) -> None:
        """Catalog and data of the lake are this registry's, or nobody's yet, and then they are from now on. ``RefusedError`` says
        whose else they are. ``deleting``: files are about to be deleted, and no other lake may lie within.
        """
        own = f"Give {self._environment} a lake of its own (`lake:`), or the registry that goes with this one"
        owner = lake.owner()
        if is_foreign(owner, registry.id):
            raise foreign(f"the {lake.where}", owner, registry.id, own)
        mark = read_mark(lake)
        if mark is not None:
            self._require_registry(lake, registry, mark)
        if not owner or not lake.identity():
            lake.take(owner_mark(registry.id, self._environment))
        if mark is None:
            mark = make_mark(lake, Mark(owner_mark(registry.id, self._environment), lake.identity()))
            self._require_registry(lake, registry, mark)
        if mark.catalog != lake.identity():
            raise RefusedError(
                f"the data {lake.data} belong to another catalog of this registry, made by {mark.owner.partition('/')[2]}: "
                "collecting in one would delete files of the other",
                fix=f"Give {self._environment} `lake: data:` of its own; if that catalog is lost, so are these files: "
                f"delete them with {lake.data}{MARK}",
                kind=FOREIGN,
            )
        lake.keep_seals({one.name: one.seal for one in registry.belonging().environments if one.seal is not None})
        if deleting:
            require_not_nested(lake)

    def require_lost(self, lost: str, lake: "Lake") -> None:
        """A registry of the id ``lost`` was this environment's: its lake says so, and its seal is here. Else ``RefusedError``."""
        owner = lake.owner()
        if not owner or is_foreign(owner, lost):
            raise RefusedError(
                f"the {lake.where} does not belong to {lost}, but to {owner.partition('/')[0] or 'nobody'}: that registry was "
                f"not the one of {self._environment}",
                fix="Check VECTOR_PIPELINE_ENV, and that this environment's lake and targets are its own",
                kind=FOREIGN,
            )
        claim, seals = self.claim(), lake.seals()
        if seals and not any(claim.secret is not None and fits(claim.secret, one) for one in seals.values()):
            raise RefusedError(
                f"what belongs to {lost} is sealed (environment {', '.join(seals)}), and its seal is not here: nobody stands "
                "for it without",
                fix="Name the seal in `sealed:` and set it",
                kind=SEALED,
            )

    def _require_registry(self, lake: "Lake", registry: "Registry", mark: Mark) -> None:
        if is_foreign(mark.owner, registry.id):
            raise foreign(
                f"the data {lake.data}", mark.owner, registry.id,
                f"Give {self._environment} `lake: data:` of its own, or the registry that goes with this one",
            )  # fmt: skip


def account() -> str:
    """``user@host``, for the history."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = f"uid{os.getuid()}" if hasattr(os, "getuid") else "unknown"
    return f"{name}@{socket.gethostname()}"
