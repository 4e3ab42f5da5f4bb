"""How a line that does not exist yet is filled: by upserts, or by an import of files. Weighed, with figures. Reads only.

Laws
----
1. Only a namespace that does not exist can be imported into, and only where the target can. Anything else is upserted.
2. By itself (``auto``) the cheaper way is taken; a saving below ``WORTH`` is not worth a longer time. Without prices: the faster.
3. What an import is doing, or has left half done, in a namespace is nothing that a plan builds on: the namespace counts as absent.
   An import of the very content that is wanted is gone on with, unless upserts are asked for; any other is cancelled and what it
   left is dropped, by the push. One that failed is tried again only when that is asked for.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from vector_pipeline.config import Prices
from vector_pipeline.release.costs import Rates, cost_of, duration, said
from vector_pipeline.release.plan import Alternative, Cost, Load, Plan, Stage, StageKind
from vector_pipeline.release.planner import Look
from vector_pipeline.release.registry import Registry, Version
from vector_pipeline.targets.base import ImportState, ImportStatus, NamespaceSpec, Target

WORTH = 1.0
"""Law 2, in the currency of the prices."""
UNDER_WAY = frozenset({ImportStatus.PENDING, ImportStatus.RUNNING})
START, WATCH, CANCEL, DONE, DROP = (
    "import-start", "import-watch", "import-cancel", "import", "drop-namespace",
)  # fmt: skip
"""Steps in the journal."""
GOING_ON = (START, WATCH)
"""Of which the last one is an import that the service goes on with."""
_EVER = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A line as it was looked at, with the way that it is filled."""

    look: Look
    alternatives: tuple[Alternative, ...] = ()
    """Both ways, where there was something to choose."""
    notes: tuple[str, ...] = ()


def spec_of(version: Version, namespace: str) -> NamespaceSpec:
    """What a version's namespace is."""
    return NamespaceSpec(namespace, version.dimension, version.metric, version.fingerprint)


def content_of(digest: str, version: int, actions: str) -> str:
    """Name of what is imported: of the version's content, under this number, by these actions."""
    return hashlib.sha256(f"{digest} {version} {actions}".encode()).hexdigest()[:32]


def load_of(plan: Plan) -> Load:
    """How a plan fills its namespace: what has to be asked for to get it again."""
    return "import" if any(stage.kind is StageKind.IMPORT for stage in plan.stages) else "upsert"


def standing(
    registry: Registry, target: Target, environment: str, version: Version, namespace: str
) -> ImportState | None:
    """The import that makes a namespace count as absent (law 3); None: it is what the target says."""
    if not target.capabilities.imports:
        return None
    found = target.importer(spec_of(version, namespace), "").find()
    if found is None or found.status is ImportStatus.DONE:
        return None
    if found.status in UNDER_WAY or left_by_import(registry, environment, target.name, namespace):
        return found
    return None


def left_by_import(registry: Registry, environment: str, target: str, namespace: str) -> bool:
    """Whether the last that we did in a namespace was an import: what stands there is what it left."""
    for push in registry.unfinished_pushes(environment, target, namespace, _EVER):
        entries = registry.journal(push.id)
        if entries:
            return entries[-1].step in (START, WATCH, CANCEL, DONE)
    return False


def loaded(look: Look, version: Version, target: Target, rates: Rates, prices: Prices | None, load: Load) -> Loaded:
    """The line with its records' stage as it will be executed: ``upsert``, or ``import`` where that is possible and preferred."""
    if not target.capabilities.imports or look.state is not None or not _fills(look):
        return Loaded(look, notes=_impossible(look, target) if load == "import" else ())
    importer = target.importer(
        spec_of(version, look.namespace), content_of(version.digest, version.number, look.digest)
    )
    found, upsert, by_import = importer.find(), look.stages[0], importing(look.stages[0])
    costs = cost_of([by_import], rates, prices), cost_of([upsert], rates, prices)
    same = found is not None and found.uri == importer.uri
    notes: tuple[str, ...] = ()
    if found is not None and found.status in UNDER_WAY:
        goes_on = same and load != "upsert"
        notes = (_going_on(found) if goes_on else _cancelled(found, look.namespace),)
        chosen, why = (by_import, "it is under way") if goes_on else _chosen(costs, load, by_import, upsert)
    elif found is not None and same and found.status is ImportStatus.FAILED and load == "auto":
        notes = (f"an import of this content failed ({found.error or 'no reason given'}): its records are upserted",)
        chosen, why = upsert, "an import failed"
    else:
        chosen, why = _chosen(costs, load, by_import, upsert)
    ways = _ways(look, costs, chosen.kind is StageKind.IMPORT, why)
    return Loaded(replace(look, stages=(chosen,)), ways, notes)


def likely(upsert: Stage, target: Target, rates: Rates, prices: Prices | None, load: Load) -> Stage:
    """The stage that would fill a line of its own, before one is looked at."""
    if not target.capabilities.imports or load == "upsert" or not upsert.records:
        return upsert
    by_import = importing(upsert)
    return _chosen((cost_of([by_import], rates, prices), cost_of([upsert], rates, prices)), load, by_import, upsert)[0]


def importing(upsert: Stage) -> Stage:
    """The same records from files."""
    return Stage(StageKind.IMPORT, upsert.records, upsert.bytes, 1)


def preferred(by_import: Cost, by_upsert: Cost) -> bool:
    """Law 2: whether an import is."""
    faster = by_import.seconds < by_upsert.seconds
    if by_import.money is None or by_upsert.money is None:
        return faster
    saving = by_upsert.money - by_import.money
    return saving >= WORTH or (faster and saving > 0)


def figures(by_import: Cost, by_upsert: Cost) -> str:
    """``import: 12 min, 1.40 USD against upsert: 3.1 h, 9.80 USD``."""
    return f"import: {_figures(by_import)} against upsert: {_figures(by_upsert)}"


def _figures(cost: Cost) -> str:
    return duration(cost.seconds) + (f", {said(cost)}" if cost.money is not None else "")


def _fills(look: Look) -> bool:
    return len(look.stages) == 1 and look.stages[0].kind is StageKind.UPSERT and look.stages[0].records > 0


def _chosen(costs: tuple[Cost, Cost], load: Load, by_import: Stage, upsert: Stage) -> tuple[Stage, str]:
    if load != "auto":
        return (by_import if load == "import" else upsert), "asked for"
    return (by_import if preferred(*costs) else upsert), "preferred"


def _ways(look: Look, costs: tuple[Cost, Cost], imports: bool, why: str) -> tuple[Alternative, ...]:
    compared = figures(*costs)
    ways = (("import", costs[0], imports), ("upsert", costs[1], not imports))
    return tuple(
        Alternative(
            look.strategy, look.namespace, cost, f"chosen, {why}: {compared}" if taken else f"not chosen: {compared}", load=name,
        )
        for name, cost, taken in sorted(ways, key=lambda way: not way[2])
    )  # fmt: skip


def _impossible(look: Look, target: Target) -> tuple[str, ...]:
    if not target.capabilities.imports:
        return (f"target {target.name} imports no files: the records are upserted",)
    if not look.stages:
        return ()
    return (f"{look.namespace} exists: only a namespace that does not can be imported into; the records are upserted",)


def _going_on(found: ImportState) -> str:
    return f"an import of this content is under way (id {found.id}, {found.share:.0%}): the push goes on with it"


def _cancelled(found: ImportState, namespace: str) -> str:
    return f"the import into {namespace} that is under way (id {found.id}, {found.share:.0%}) is cancelled; what it left is dropped"
