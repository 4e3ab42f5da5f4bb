"""Environments of a project beside each other: whose their stores are, what is sealed, and who may write.

Laws
----
1. Looking at another environment opens it read-only, and what is wrong there is told of it alone.
2. A seal is changed by whoever has it, or by a person who breaks it for that.
3. A registry stands for one that was lost only where the lake says that it was this environment's, with the seal that it had, for a
   reason that is kept. One that answers is not lost.
"""

import os
from dataclasses import replace

from vector_pipeline.errors import InputError, NotFoundError, RefusedError, VectorPipelineError
from vector_pipeline.parts import Parts
from vector_pipeline.release.admitting import account
from vector_pipeline.release.promote import PRODUCTION
from vector_pipeline.release.registry.belonging import Belonging, BrokenSeal
from vector_pipeline.release.seals import digest_of, fits
from vector_pipeline.report.tiers import Tier


class Sealing(Parts):
    """Whose an environment is."""

    def tiers(self) -> list[Tier]:
        """Every environment of the configuration (law 1)."""
        return [self._tier(name) for name in self.config.environments]

    def _tier(self, name: str) -> Tier:
        settings = self.config.environments[name]
        targets = tuple(f"{one} ({target.kind})" for one, target in settings.targets.items())
        variable = settings.sealed.names()[0] if settings.sealed is not None else None
        state = "no" if variable is None else "at first write" if os.environ.get(variable) else "closed"
        tier = Tier(
            name, name == self.environment, state, settings.sample, settings.reuse, "", str(settings.registry), (), targets, ()
        )  # fmt: skip
        try:
            with Parts(self.config, self.base, name) as there:
                registry = there.registry(read_only=True)
                found = registry.belonging()
                serves = [(one, registry.alias(one, name, PRODUCTION)) for one in self.config.datasets]
        except NotFoundError:
            return tier
        except VectorPipelineError as error:
            return replace(tier, fault=error.what)
        return replace(
            tier, sealed=_seal_state(found, name, variable), registry=found.id,
            shares_with=tuple(one.name for one in found.environments if one.name != name),
            serves=tuple((one, alias.deployment.version) for one, alias in serves if alias is not None),
        )  # fmt: skip

    def broken_seals(self) -> list[BrokenSeal]:
        """Seals of this environment that were broken, oldest first; none where there is no registry."""
        try:
            return self.registry(read_only=True).broken_seals(self.environment)
        except NotFoundError:
            return []

    def seal(self) -> bool:
        """Seal this environment with what the configuration names; whether it was not, or with another one (law 2)."""
        claim = self._admission.claim()
        if claim.variable is None:
            raise InputError(
                f"environment {self.environment} names no seal",
                fix=f"Write `sealed: ${{env:VECTOR_PIPELINE_SEAL}}` below environments: {self.environment}:",
            )
        if claim.secret is None:
            raise InputError(
                f"{claim.variable} is not set: it holds the secret to seal with", fix=f"export {claim.variable}=…"
            )
        before = self._admission.peek(self._registry_url()).named(self.environment)
        registry = self.registry()
        if before is None or before.seal is None:
            return True  # What is opened for writing with its secret is sealed by that.
        if fits(claim.secret, before.seal):
            return False
        registry.reseal(self.environment, digest_of(claim.secret), by=account())
        return True

    def unseal(self) -> bool:
        """Take the seal off; whether there was one (law 2)."""
        before = self._admission.peek(self._registry_url()).named(self.environment)
        if before is None or before.seal is None:
            return False
        self.registry().reseal(self.environment, None, by=account())
        return True

    def share(self, other: str, *, on: bool = True) -> None:
        """Let an environment write beside this one, which is sealed or to be; or not any more (law 2).

        ``RefusedError`` where this one is neither: it may be let in itself, and that is another's seal.
        """
        if other == self.environment:
            raise InputError(f"{other} is this environment itself", fix="Name the other one")
        found = self._admission.peek(self._registry_url())
        known, owner = found.named(self.environment), next((one for one in found.environments if one.seal), None)
        if self._admission.claim().variable is None and (known is None or known.seal is None):
            raise RefusedError(
                f"{self.environment} is not sealed: who writes beside an environment that is, that one's deployment says",
                fix=f"VECTOR_PIPELINE_ENV={owner.name if owner is not None else '…'} vector-pipeline seal --share {other}",
            )
        with self._admission.letting_in(other):
            self.registry().let_in(other, by=account() if on else None)

    def stand_for(self, lost: str, *, reason: str) -> None:
        """Take the place of a registry that was lost: what carries its id is this one's (law 3)."""
        said = " ".join(reason.split())
        if not said:
            raise InputError("standing for a registry wants a reason", fix='Say it: --reason "why"')
        registry = self.registry()
        for name in self.config.environments:
            if name != self.environment and self._answers(name) == lost:
                raise RefusedError(
                    f"{lost} is the registry of environment {name}, and not lost: nothing stands for it",
                    fix=f"Give {self.environment} a lake, a registry and targets of its own",
                )
        try:
            self._admission.require_lost(lost, self.lake(read_only=True))
        except NotFoundError:
            raise RefusedError(
                f"{self.environment} has no lake that says whose it is: nothing shows that {lost} was its registry",
                fix="Restore its lake first",
            ) from None
        registry.stand_for(lost)
        registry.record_broken_seal(self.environment, f"stand-for {lost}", by=account(), reason=said)

    def _answers(self, environment: str) -> str:
        """The id of another environment's registry; empty where it does not answer from here."""
        try:
            with Parts(self.config, self.base, environment) as there:
                return there.registry(read_only=True).id
        except VectorPipelineError:
            return ""


def _seal_state(found: Belonging, name: str, variable: str | None) -> str:
    known = found.named(name)
    secret = os.environ.get(variable) if variable is not None else None
    if known is None or known.seal is None:
        return "no" if variable is None else "at first write" if secret else "closed"
    return "open" if secret and fits(secret, known.seal) else "closed"
