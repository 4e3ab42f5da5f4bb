"""What the registry says of an alias: the version that it names, the one that some readers are routed to, and the one before.

Laws
----
1. Alias and version belong together: the version's row is read once for each generation of the alias.
2. Whoever asks for a target follows it whatever its alias is called: swapping the places in the configuration moves nobody.
3. A route counts where the alias is production, and only through a deployment that was judged when the route was begun: the one in
   the target that this reader reads. Where none was judged there, nobody is routed.
4. The version before is where a rollback would go, if it is whole, and elsewhere than what the alias names: what does not answer at
   one place does not answer there for another version either. Its space must be one of the configuration's still.
5. Whether both are whole and kept is asked whenever the alias is: what was retired or has expired is about to be deleted, and
   what is written again is whole again afterwards.
"""

import time
from dataclasses import dataclass, replace

from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.parts import Parts
from vector_pipeline.release.mirrors import at, goes_back_apart, standing, version_to_return, whole_on
from vector_pipeline.release.nowhere import nothing_in
from vector_pipeline.release.promote import PRODUCTION, STAGING, rollback_target
from vector_pipeline.release.registry import Alias, Deployment, DeploymentStatus, Registry, Route, Version
from vector_pipeline.release.registry import plain_name as plain
from vector_pipeline.serving.answers import PREVIOUS_ARM, ROUTE_ARM


@dataclass(frozen=True, slots=True)
class Served:
    """A version where readers search it."""

    arm: str
    deployment: Deployment
    version: Version

    @property
    def place(self) -> tuple[str, str]:
        """Target and namespace: what answers, or does not."""
        return self.deployment.target, self.deployment.namespace


@dataclass(frozen=True, slots=True)
class Live:
    """What the registry said when it was asked (monotonic seconds)."""

    alias: Alias
    served: Served
    asked: float
    route: Route | None = None
    routed: Served | None = None
    """None with a route: it cannot be followed here."""
    previous: Served | None = None
    judged: Served | None = None
    """What ``routed`` is, whether it may be used now or not."""
    before: Served | None = None
    """What ``previous`` is, whether it may be used now or not."""

    @property
    def version(self) -> Version:
        return self.served.version


@dataclass(frozen=True, slots=True)
class Followed:
    """What a reader follows: one alias of a dataset, or the one of that rank at a target."""

    parts: Parts
    dataset: str
    name: str
    target: str | None = None
    route: bool = False
    previous: bool = False
    """Whether the reader takes the version before where the present one does not answer."""

    def ask(self, known: Live | None) -> Live:
        """Ask the registry now. ``NotFoundError`` when nothing was promoted, or not there."""
        asked = time.monotonic()
        registry = self.parts.registry(read_only=True)
        registry.require_present()
        alias = self._alias(registry)
        if known is None or _identity(known.alias) != _identity(alias):
            version = registry.version(self.dataset, alias.deployment.version)
            known = Live(alias, Served(self.name, alias.deployment, version), asked)
        before = known.before
        if before is None and self.previous:  # It may be whole by now.
            before = self._before(registry, alias)
        route = registry.route(self.dataset, self.parts.environment) if self._routes(alias) else None
        judged = known.judged
        if route is None or known.route is None or known.route.id != route.id:
            judged = self._judged(registry, alias, route) if route is not None else None
        known = replace(
            known, previous=self._kept(registry, before), before=before,
            route=route, routed=self._kept(registry, judged), judged=judged,
        )  # fmt: skip
        return replace(known, asked=asked)

    def _routes(self, alias: Alias) -> bool:
        return self.route and plain(alias.name) == PRODUCTION

    def _judged(self, registry: Registry, alias: Alias, route: Route) -> Served | None:
        """Law 3."""
        if route.version == alias.deployment.version:
            return None
        judged = [registry.deployment(identifier) for identifier in route.deployments]
        here = next((one for one in judged if one.target == alias.deployment.target), None)
        if here is None:
            return None
        return Served(ROUTE_ARM, here, registry.version(self.dataset, route.version))

    def _kept(self, registry: Registry, served: Served | None) -> Served | None:
        """Law 5."""
        if served is None:
            return None
        now = registry.deployment(served.deployment.id)
        version = registry.version(self.dataset, now.version)
        gone = now.status != DeploymentStatus.PUSHED or version.expired_at is not None
        return None if gone else replace(served, deployment=now, version=version)

    def _before(self, registry: Registry, alias: Alias) -> Served | None:
        """Law 4."""
        dataset, environment, target = self.dataset, self.parts.environment, alias.deployment.target
        if plain(alias.name) != PRODUCTION:
            return None
        try:
            if alias.name != PRODUCTION or goes_back_apart(registry, dataset, environment):
                number = version_to_return(registry, dataset, environment, None)[1]
                found = next(iter(whole_on(registry, dataset, environment, target, number)), None)
            else:
                found = rollback_target(registry, dataset, environment, None)[1]
        except (NotFoundError, RefusedError):
            return None
        if found is None or found.status != DeploymentStatus.PUSHED:
            return None
        before = Served(PREVIOUS_ARM, found, registry.version(dataset, found.version))
        known = (
            before.version.space in self.parts.dataset(dataset).spaces and found.target in self.parts.settings.targets
        )
        elsewhere = before.place != (target, alias.deployment.namespace)
        return before if known and elsewhere else None

    def _alias(self, registry: Registry) -> Alias:
        """Law 2: whatever a place's alias is called, its deployment says which target it is."""
        environment = self.parts.environment
        verb = "promote" if self.name == PRODUCTION else "push"
        if self.target is None:
            found = registry.alias(self.dataset, environment, self.name)
            if found is None:
                raise nothing_in(self.dataset, self.name, registry.alias(self.dataset, environment, STAGING))
            return found
        found = at(standing(registry, self.dataset, environment, self.name), self.target)
        if found is not None:
            return found
        out = [one for one in registry.withdrawals(self.dataset, environment) if one.target == self.target]
        if out:
            raise NotFoundError(
                f"{self.target} is out of service for {self.dataset} since {out[0].at:%Y-%m-%d %H:%M} UTC ({out[0].reason})",
                fix="Read another target, or leave it to the alias: open_index without target",
            )
        raise NotFoundError(
            f"nothing of {self.dataset} is in {self.name} on {self.target}",
            fix=f"vector-pipeline {verb} {self.dataset}",
        )


def _identity(alias: Alias) -> tuple[str, int, int]:
    return alias.name, alias.generation, alias.deployment.id
