"""Seals: what is kept of one, whether a secret is the one, and the one verb that a person lets through without.

Laws
----
1. Only a salted, slow digest of the secret is ever stored: nobody reads a seal out of the registry, nor guesses it quickly.
2. A seal is broken for the time of one ``breaking`` block of this process, by somebody, for a reason: never by configuration.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

from vector_pipeline.errors import InputError

_COST = 2**14
"""Of scrypt: 16 MB and some 50 ms for each guess."""


@dataclass(frozen=True, slots=True, eq=False)
class Break:
    """One verb that is let through."""

    verb: str
    by: str
    reason: str


_LOCK = Lock()
_NOW: list[Break] = []


def digest_of(secret: str) -> str:
    """What is stored of a seal: its salt and digest, 97 characters."""
    salt = secrets.token_hex(16)
    return f"{salt}:{_hashed(secret, salt)}"


def fits(secret: str, digest: str) -> bool:
    """Whether a secret is the one that a digest was made of."""
    salt, _, kept = digest.partition(":")
    return hmac.compare_digest(_hashed(secret, salt), kept)


@lru_cache(maxsize=16)
def _hashed(secret: str, salt: str) -> str:
    return hashlib.scrypt(secret.encode(), salt=salt.encode(), n=_COST, r=8, p=1, dklen=32).hex()


@contextmanager
def breaking(verb: str, by: str, reason: str) -> Iterator[Break]:
    """Law 2. The whole process, not the thread: a run does its work in threads of its own. ``InputError`` without a reason."""
    if not reason.strip():
        raise InputError("breaking a seal wants a reason", fix='Say it: --break-seal "why"')
    one = Break(verb, by, " ".join(reason.split()))
    with _LOCK:
        _NOW.append(one)
    try:
        yield one
    finally:
        with _LOCK:
            _NOW.remove(one)


def broken_now() -> Break | None:
    """The break that is in force in this process."""
    with _LOCK:
        return _NOW[-1] if _NOW else None
