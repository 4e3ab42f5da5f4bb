"""Whether an environment may write where it points. Rules alone: nothing here reads or writes.

Laws
----
1. A registry is written to by the environments that it knows, and by new ones while none of it is sealed. What is sealed shares
   with nobody but those that were let in.
2. A sealed environment is written to by whoever has its seal; a person may break it for one verb. A configuration that says
   nothing of a seal opens none.
3. What carries the id of another registry is not written to, by nobody and for no reason: no seal opens it.
4. Every refusal says whose it is.
"""

from dataclasses import dataclass
from datetime import datetime

from vector_pipeline.errors import RefusedError
from vector_pipeline.release.registry.belonging import Belonging, Served
from vector_pipeline.release.seals import fits

FOREIGN, SEALED = "foreign", "sealed"
"""Codes of refusals: it is somebody else's; it is ours, and sealed."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who wants to write."""

    environment: str
    variable: str | None = None
    """The variable that holds the seal; None: the configuration names none."""
    secret: str | None = None
    """What the variable holds; None: it is not set, or empty."""
    lets_in: str | None = None
    """An environment that is let in by this very write."""


def require_served(claim: Claim, found: Belonging) -> None:
    """Law 1, or ``RefusedError``."""
    sealed = [one for one in found.environments if one.seal is not None and one.name != claim.environment]
    known = found.named(claim.environment)
    if sealed and (known is None or known.sharing is None) and not (known is not None and known.seal is not None):
        raise _of_others(claim, found, sealed[0])
    if claim.variable is None or (known is not None and known.seal is not None):
        return
    let = (claim.environment, claim.lets_in)
    others = [one for one in found.environments if one.name not in let and one.sharing is None and one.seal is None]
    if others:
        raise RefusedError(
            f"{claim.environment} would be sealed, and its registry {_called(found)} is also environment {others[0].name}'s",
            fix=f"Give {claim.environment} a registry of its own, or let the other in: "
            f"vector-pipeline seal --share {others[0].name}",
            kind=FOREIGN,
        )  # fmt: skip


def _of_others(claim: Claim, found: Belonging, owner: Served) -> RefusedError:
    whose = f"environment {owner.name}, which is sealed{_since(owner.sealed_at, owner.sealed_by)}"
    return RefusedError(
        f"the registry {_called(found)} belongs to {whose}: {claim.environment} does not write there",
        fix=f"Give {claim.environment} a registry of its own; or, with the seal of {owner.name}: "
        f"vector-pipeline seal --share {claim.environment}",
        kind=FOREIGN,
    )  # fmt: skip


def seal_fault(claim: Claim, found: Belonging) -> RefusedError | None:
    """Law 2: why the seal is not open; None where it is, or there is none."""
    known = found.named(claim.environment)
    sealed = known is not None and known.seal is not None
    if not sealed and claim.variable is None:
        return None
    whose = f"environment {claim.environment} is sealed{_since(known.sealed_at, known.sealed_by) if known is not None else ''}"
    way = 'or break it for one command, for good in the history: --break-seal "why"'
    if claim.variable is None:
        return RefusedError(
            f"{whose}, and this configuration says nothing of a seal: it may not be the one of {claim.environment}",
            fix=f"Let its deployment do it, {way}", kind=SEALED,
        )  # fmt: skip
    if claim.secret is None:
        return RefusedError(
            f"{whose}, and {claim.variable} is not set here: only its deployment writes to it",
            fix=f"Let the deployment do it, {way}", kind=SEALED,
        )  # fmt: skip
    if known is not None and known.seal is not None and not fits(claim.secret, known.seal):
        return RefusedError(
            f"{whose}, and not with what {claim.variable} holds here: it may be the seal of another environment",
            fix=f"Set the seal of {claim.environment}, {way}", kind=SEALED,
        )  # fmt: skip
    return None


def owner_mark(registry: str, environment: str) -> str:
    """What a store carries of whose it is: the registry's id, and for people the environment that made it."""
    return f"{registry}/{environment}"


def is_foreign(owner: str, registry: str) -> bool:
    """Whether a store is another registry's. One that carries nothing is nobody's yet."""
    return bool(owner) and owner.partition("/")[0] != registry


def foreign(what: str, owner: str, registry: str, fix: str) -> RefusedError:
    """Law 3. ``what``: the store, with its address."""
    name, _, environment = owner.partition("/")
    made = f" (environment {environment} there)" if environment else ""
    return RefusedError(
        f"{what} belongs to another registry, {name}{made}; this one is {registry}", fix=fix, kind=FOREIGN
    )


def _called(found: Belonging) -> str:
    return f"{found.where} ({found.id})" if found.id else found.where


def _since(at: datetime | None, by: str | None) -> str:
    return f" since {at:%Y-%m-%d %H:%M} UTC by {by}" if at is not None else ""
