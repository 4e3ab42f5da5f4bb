"""The plan of what an environment names, and making it.

Laws
----
1. Planning writes nothing; it needs no seal. What is made is made in the plan's order, each thing told when it stands.
2. Making is writing: it goes through the same door as a push. What is sealed, or another's, is refused before anything is made,
   also where the registry itself is still to be made. It is to be made where that was seen, not where nobody is let in to look.
3. The registry comes before lake and targets: it says whose they are. A broken seal is in it as soon as there is one.
4. What is in the way stops everything; what is not known here stops nothing.
"""

from collections.abc import Callable, Iterator

from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.lake.marking import Mark, mark_at
from vector_pipeline.parts import Parts
from vector_pipeline.provision.buckets import Buckets
from vector_pipeline.provision.databases import Databases, Entry
from vector_pipeline.provision.places import Places
from vector_pipeline.provision.things import Action, ProvisionPlan, Thing
from vector_pipeline.release.belonging import is_foreign, require_served, seal_fault
from vector_pipeline.release.registry.belonging import Belonging
from vector_pipeline.release.seals import broken_now

_SHUT = (
    "its user is not let in: whether it is there, and whose, cannot be told",
    "See the role's line; then run it again",
)


class Provisioning(Parts):
    """A configuration in one environment, to be made."""

    def provision_plan(self) -> ProvisionPlan:
        """Law 1. Errors of a service that does not answer, or lets nobody in, come out as they are."""
        return ProvisionPlan(self.environment, tuple(self._things()))

    def provision(self, plan: ProvisionPlan, told: Callable[[Thing], None] | None = None) -> int:
        """Make what is pending, and say how many things that were. ``RefusedError`` where something is in the way (law 4)."""
        if plan.blocked:
            first = plan.blocked[0]
            raise RefusedError(
                f"{len(plan.blocked)} in the way, nothing was made: {first.kind} {first.name}: {first.note}",
                fix=first.fix,
            )
        self._require_admission()
        for thing in plan.pending:
            assert thing.make is not None
            thing.make()
            if told is not None:
                told(thing)
        return len(plan.pending)

    def _things(self) -> Iterator[Thing]:
        databases, buckets = Databases(self.settings), Buckets(self.settings)
        yield from databases.things()
        yield from buckets.things()
        registry = databases.entry("registry")
        yield self._registry_thing(registry)
        yield self._lake_thing(databases.entry("lake"), registry, buckets)
        yield from Places(self).things()

    def _require_admission(self) -> None:
        """Law 2."""
        if Databases(self.settings).entry("registry") is not Entry.MISSING:
            self.require_writable()
            return
        claim, nobody = self._admission.claim(), Belonging(str(self.settings.registry))
        require_served(claim, nobody)
        fault = seal_fault(claim, nobody)
        if fault is not None and broken_now() is None:
            raise fault

    def _registry_thing(self, entry: Entry) -> Thing:
        def make() -> None:
            self.registry()

        name, facts = str(self.settings.registry), (("environment", self.environment),)
        if entry is Entry.MISSING:
            return Thing("registry", name, Action.CREATE, facts, make=make)
        if entry is Entry.SHUT:
            return Thing("registry", name, Action.DIFFERS, facts, *_SHUT)
        try:
            self.is_sealed()
            self.registry(read_only=True)
        except NotFoundError:
            return Thing("registry", name, Action.CREATE, facts, make=make)
        except RefusedError as error:
            return Thing("registry", name, Action.DIFFERS, facts, error.what, error.fix or "")
        return Thing("registry", name, Action.EXISTS, facts)

    def _lake_thing(self, entry: Entry, registry: Entry, buckets: Buckets) -> Thing:
        def make() -> None:
            self.lake()

        name, facts = str(self.settings.lake.catalog), (("data", self.settings.lake.data),)
        if entry is Entry.SHUT:
            return Thing("lake", name, Action.DIFFERS, facts, *_SHUT)
        found = self._lake_now() if entry is Entry.OPEN and not buckets.missing else None
        mark = None if buckets.missing else mark_at(self.settings.lake, self.base)
        known = self._registry_id() if registry is Entry.OPEN else ""
        if found is not None and is_foreign(found.owner, known):
            fix = f"Give {self.environment} a lake of its own, or the registry that goes with this one"
            return Thing("lake", name, Action.DIFFERS, facts, f"it belongs to another registry, {found.owner}", fix)
        if mark is not None and (is_foreign(mark.owner, known) or found is None or found.catalog != mark.catalog):
            whose = f"registry, {mark.owner}" if is_foreign(mark.owner, known) else "catalog of this registry"
            fix = f"Give {self.environment} `lake: data:` of its own"
            return Thing("lake", name, Action.DIFFERS, facts, f"its data belong to another {whose}", fix)
        return Thing("lake", name, Action.CREATE if found is None else Action.EXISTS, facts, make=make)

    def _lake_now(self) -> Mark | None:
        """Whose the lake says that it is; None where there is none."""
        try:
            lake = self.lake(read_only=True)
        except NotFoundError:
            return None
        return Mark(lake.owner(), lake.identity())

    def _registry_id(self) -> str:
        try:
            return self.registry(read_only=True).id
        except NotFoundError:
            return ""
