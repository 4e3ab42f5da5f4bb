"""Imports into a line that something is erased from: what one under way reads now, it would bring back later.

Laws
----
1. It is cancelled, under the line's lease and journalled, and seen to have ended. What it wrote until then is a line's records as
   any others; the next push of its version drops them.
2. The files are deleted, of whatever import: they hold whole texts. Those that stay are counted afterwards (``places``).
"""

from vector_pipeline.release.clearing import cancel, clear_up, importer_into, under_way
from vector_pipeline.release.dropping import journalled, line_deployments
from vector_pipeline.release.holding import Held
from vector_pipeline.release.registry import Registry
from vector_pipeline.targets.base import Target


def end_import(
    registry: Registry, target: Target, namespace: str, held: Held, *, by: str = "", run_id: str | None = None
) -> None:
    """End and clear up what is imported into a line. A line that the registry does not know is somebody else's: left alone."""
    deployments = line_deployments(registry, target.name, namespace)
    importer = importer_into(registry, target, deployments[-1]) if deployments else None
    if importer is None:
        return
    found = under_way(importer)
    if found is not None:
        note = {"goal": "erase", "namespace": namespace, "import": found.id, "by": by}
        with journalled(registry, held, deployments[-1], note, run_id) as journal:
            cancel(importer, found, journal)
    clear_up(importer)
