"""Retire a space: its versions expire, its namespaces are dropped, then its tables in the lake.

Laws
----
1. Only what nothing needs (``needing``). That is asked twice: before anything is done, and by the transaction that expires the
   versions, after which nothing can need them again.
2. Namespaces go first, tables of the lake last: killed anywhere and run again, it ends as if it had not been killed. What is found
   the second time is what the registry, the targets and the lake still hold of the space; nothing else is written down.
3. One writer: the leases of the space's tables and namespaces are held to the end, or nothing is done.
4. Namespaces are dropped by ``drop_line``, in every environment that shares the registry. What is in a target that no configuration
   leads to is left, and said.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from vector_pipeline.errors import ConflictError
from vector_pipeline.lake.dropping import drop_tables, hand_over
from vector_pipeline.release.dropping import drop_line
from vector_pipeline.release.holding import Held, hold, hold_whole
from vector_pipeline.release.journalling import abandon_open
from vector_pipeline.release.needing import being_written, holds
from vector_pipeline.release.remembering import forget
from vector_pipeline.release.retirement import Retirement, Setting, look_at_space, require_unneeded
from vector_pipeline.release.spaces import Line, lines_of_space, own_tables


def retire_space(setting: Setting) -> Retirement:
    """Do it. The caller holds the lease of the dataset's documents, and has read ``setting.spaces`` under it.

    Raises: as ``plan_retirement``: nothing was done then. What a target raises that fails in the middle: run it again.
    """
    registry, space = setting.registry, setting.space
    lines = lines_of_space(registry, space)
    goes, _ = own_tables(setting.lake, space, setting.spaces)
    require_unneeded(space, holds(registry, space, lines, grace_s=setting.grace_s, tables=goes))
    with ExitStack() as stack:
        leases = _Leases(setting, stack)
        for table in goes:
            leases.hold(f"lake/{space.dataset}/{table}", whole=True)
        for line in lines:
            leases.hold(f"{line.target}/{line.namespace}")
        told = look_at_space(setting, lines, dry_run=False)
        registry.retire_space(space.dataset, space.name, space.fingerprint, grace_s=setting.grace_s)
        leases.step("expired")
        # A push that began between the look and now is in the registry; none can begin any more.
        lines = lines_of_space(registry, space)
        for line in lines:
            _drop(setting, line, lines, leases.hold(f"{line.target}/{line.namespace}"))
            leases.step(f"{line.environment}: {line.target}/{line.namespace}")
        drop_tables(setting.lake, space.dataset, goes, f"retire space {space.label} of {space.dataset}")
        leases.step("dropped")
        hand_over(setting.lake, space.dataset, goes)
        leases.step("handed over")
    return told


@dataclass(slots=True)
class _Leases:
    """Held to the end, each once."""

    setting: Setting
    stack: ExitStack
    held: dict[str, Held] = field(default_factory=dict)

    def hold(self, resource: str, *, whole: bool = False) -> Held:
        if resource not in self.held:
            registry = self.setting.registry
            way = hold_whole(registry, resource) if whole else hold(registry, resource)
            try:
                self.held[resource] = self.stack.enter_context(way)
            except ConflictError as error:
                require_unneeded(self.setting.space, [being_written(error)])
        return self.held[resource]

    def step(self, name: str) -> None:
        """``ConflictError`` when a lease was lost meanwhile."""
        self.setting.on_step(name)
        for held in self.held.values():
            held.check()


def _drop(setting: Setting, line: Line, lines: Sequence[Line], held: Held) -> None:
    """Law 4. What is gone already costs a look."""
    registry, place = setting.registry, (line.environment, line.target, line.namespace)
    target = setting.reach(line.environment, line.target)
    if isinstance(target, str):
        registry.retire_deployments([one.id for one in line.deployments], grace_s=setting.grace_s)
        registry.forget_namespace(*place)
        return
    abandon_open(registry, *place)
    # Where environments share a namespace, it is everybody's: nobody needs any of it.
    shared = [other for other in lines if (other.target, other.namespace) == (line.target, line.namespace)]
    drop_line(
        registry, target, line.namespace, [one.id for other in shared for one in other.deployments], held=held,
        grace_s=setting.grace_s, run_id=setting.run_id, by=setting.by,
    )  # fmt: skip
    forget(setting.lake, target, line.namespace)
