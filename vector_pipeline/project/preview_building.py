"""Build a preview, step by step, and find again what was built.

Laws
----
1. What is cheap to count is counted before what costs anything is begun: records before vectors, texts before the model is asked.
2. That it stands is written down last: until then it is one that was not built to its end, and the next call goes on with it. So
   is one that is made again: what was built before says nothing of the working tree.
"""

from dataclasses import asdict, dataclass
from typing import Any

from vector_pipeline.errors import NotFoundError
from vector_pipeline.project.preview_inside import Inside
from vector_pipeline.release.preview_lake import Texts, require_records, require_texts
from vector_pipeline.release.registry import Deployment, PreviewRecord, Version

TEXTS, VERSION, SECONDS = "texts", "version", "seconds"
"""Keys of a preview's detail: of one that was built to its end."""
ERROR = "error"
"""Key of a preview's detail: why it was not."""


@dataclass(frozen=True, slots=True)
class Made:
    """A preview that stands."""

    preview: PreviewRecord
    version: Version
    deployment: Deployment
    texts: Texts
    seconds: float
    """That the push took, by its plan."""

    def to_json(self) -> dict[str, Any]:
        return {
            "dataset": self.preview.origin, "environment": self.preview.environment, "name": self.preview.name,
            "held_as": self.preview.held_as, "expires_at": self.preview.expires_at.isoformat(timespec="seconds"),
            "target": self.deployment.target, "namespace": self.deployment.namespace,
            "documents": self.version.documents, "records": self.version.records, "digest": self.version.digest,
            "texts": asdict(self.texts),
        }  # fmt: skip


def build(inside: Inside) -> Made:
    """Build, and push. ``RefusedError`` for more than the budget, and for one that is taken down meanwhile."""
    held_as, name, budget = inside.held_as, inside.preview.name, inside.budget
    inside.registry().note_preview(inside.preview.id, {VERSION: None})
    inside.require_comparable()
    with inside.going_on():
        inside.sync(held_as)
        inside.chunk(held_as)
        require_records(inside.lake(), inside.tables(held_as), budget.records, name)
        texts = inside.take_over()
        require_texts(texts, budget.texts, name)
        inside.embed(held_as)
        version = inside.snapshot(held_as, message=f"preview {name}").version
    pushed = inside.push(held_as, version=version.number, by=inside.preview.begun_by)
    inside.ask()
    registry = inside.registry()
    registry.note_preview(
        inside.preview.id,
        {TEXTS: asdict(texts), VERSION: version.number, SECONDS: pushed.plan.cost.seconds, ERROR: ""},
    )
    return built(inside)


def built(inside: Inside) -> Made:
    """``NotFoundError`` for one that was not built to its end."""
    found = inside.registry(read_only=True).preview(inside.preview.origin, inside.environment, inside.preview.name)
    if VERSION not in found.detail:
        raise NotFoundError(
            f"preview {found.name} of {found.origin} was not built to its end",
            fix=f"Go on with it: vector-pipeline ci create {found.origin} --name {found.name}",
        )
    version = inside.version(found.held_as, int(found.detail[VERSION]))
    deployment = inside.deployment_of(version)
    return Made(found, version, deployment, Texts(**found.detail[TEXTS]), float(found.detail[SECONDS]))
