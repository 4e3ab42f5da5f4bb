"""Indexes for provisioning: what there is, made and protected without a namespace in them.

Laws
----
1. Looking changes nothing, and says every difference at once.
2. Dimension, metric, family, cloud and region of an index are for good: what differs in them is told, never made good by deleting.
"""

from dataclasses import dataclass

from pinecone import IndexModel

from vector_pipeline.config import PineconeTargetConfig
from vector_pipeline.errors import NotFoundError
from vector_pipeline.targets.base import NamespaceSpec
from vector_pipeline.targets.pinecone.families import SPACE_TAG, classic, index_name, place_of, tags_of
from vector_pipeline.targets.pinecone.indexes import Indexes
from vector_pipeline.targets.pinecone.service import Service


@dataclass(frozen=True, slots=True)
class IndexStanding:
    """One index as it is against what a space needs."""

    name: str
    there: bool
    differs: tuple[str, ...] = ()
    """Cannot be changed in place (law 2)."""
    unprotected: bool = False


class IndexProvisioning:
    """Indexes of one target. Close it when done."""

    def __init__(self, name: str, config: PineconeTargetConfig) -> None:
        self.config = config
        self._service = Service(name, config)
        self._indexes = Indexes(self._service)

    def name_of(self, spec: NamespaceSpec) -> str:
        return index_name(self.config.index, spec)

    def tags_of(self, spec: NamespaceSpec) -> dict[str, str]:
        return tags_of(spec)

    def look(self, spec: NamespaceSpec) -> IndexStanding:
        """The index of a space as it is (law 1). ``ConfigError`` where the key may not look."""
        name = self.name_of(spec)
        try:
            model = self._service.control(lambda control: control.indexes.describe(name), f"describe index {name}")
        except NotFoundError:
            return IndexStanding(name, there=False)
        differs = tuple(self._differences(model, spec))
        return IndexStanding(
            name, True, differs, self.config.deletion_protection and model.deletion_protection != "enabled"
        )

    def make(self, spec: NamespaceSpec) -> None:
        """The index, ready and checked; made by another process meanwhile is as good."""
        self._indexes.ensure_index(spec)

    def protect(self, spec: NamespaceSpec) -> None:
        """Let the index refuse to be deleted."""
        name = self.name_of(spec)
        self._service.repeated(
            lambda: self._service.control(
                lambda control: control.indexes.configure(name, deletion_protection="enabled"),
                f"protect index {name}", writes=True,
            )
        )  # fmt: skip

    def close(self) -> None:
        self._service.close()

    def _differences(self, model: IndexModel, spec: NamespaceSpec) -> "list[str]":
        if not classic(model):
            return [f"it is a document index (fields {', '.join(sorted(model.schema.fields))}): it takes no vectors"]
        place, found = place_of("", model), []
        for what, wanted, is_ in (
            ("dimension", spec.dimension, place.dimension),
            ("metric", spec.metric, place.metric),
            (f"tag {SPACE_TAG}", spec.space, place.space or "not set"),
            ("cloud", self.config.cloud, getattr(model.deployment, "cloud", None)),
            ("region", self.config.region, getattr(model.deployment, "region", None)),
        ):
            if is_ is not None and is_ != wanted:
                found.append(f"{what} is {is_}, not {wanted}")
        return found
