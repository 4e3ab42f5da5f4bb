"""Indexes of one target: made on demand, and never used where they are not what a space needs.

Laws
----
1. One index a space (``families``), made on demand and waited for.
2. What an index is, is checked before the first write: ``families.require_fit``.
"""

from pinecone import IndexModel, ServerlessSpec

from vector_pipeline.errors import (
    ConflictError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UnknownOutcomeError,
    VectorPipelineError,
)
from vector_pipeline.targets.base import NamespaceSpec
from vector_pipeline.targets.pinecone.families import index_name, place_of, require_fit, require_same, tags_of
from vector_pipeline.targets.pinecone.finding import Finding
from vector_pipeline.targets.pinecone.service import Place

READY_S = 180.0
"""A serverless index is ready within seconds; longer than this something is wrong."""


class Indexes(Finding):
    """What is found, and made. Safe from several threads."""

    def ensure(self, spec: NamespaceSpec) -> Place:
        """The index for a namespace, made or checked (law 2), and the namespace in it, made where it is missing."""
        found = self.look(spec.name)
        if found is not None:
            require_same(spec, found)
            require_fit(self._model(found.index), spec, self._service.config)
            return found
        place = self.keep(self.ensure_index(spec))
        try:
            self._make(place)
        except VectorPipelineError:
            self.forget(spec.name)
            raise
        return place

    def _make(self, place: Place) -> None:
        """The namespace itself, empty, and there for readers."""
        name, taken = place.namespace, False
        what = f"create namespace {name}"
        try:
            # Twice is as good as once: what is there already is not changed.
            self._service.repeated(
                lambda: self._service.data(place, lambda index: index.create_namespace(name=name), what, writes=True)
            )
        except ConflictError as error:
            if "alias" in error.what.lower():
                raise RefusedError(error.what, fix="Use another namespace: that name is taken") from None
            taken = True
        if not self._service.until(lambda: self.describe(place) is not None, self._service.config.freshness_s):
            made = "is said to exist" if taken else "was created"
            raise UnavailableError(
                f"target {self._service.name}: namespace {name} {made}, and does not appear", fix="Run it again later"
            )

    def ensure_index(self, spec: NamespaceSpec) -> Place:
        """The index of a space, ready and as it must be. The namespace is not looked at."""
        name = index_name(self._service.config.index, spec)
        try:
            model = self._model(name)
        except NotFoundError:
            model = self._create(name, spec)
        require_fit(model, spec, self._service.config)
        if not (model.status.ready and model.host):
            model = self._ready(name)
        return place_of(spec.name, model)

    def index_of(self, spec: NamespaceSpec) -> Place | None:
        """The index of a space as it is; None where there is none, or it has no address yet."""
        name = index_name(self._service.config.index, spec)
        return next((index for index in self.all() if index.index == name), None)

    def _model(self, name: str) -> IndexModel:
        return self._service.control(lambda control: control.indexes.describe(name), f"describe index {name}")

    def _create(self, name: str, spec: NamespaceSpec) -> IndexModel:
        config = self._service.config
        try:
            return self._service.control(
                lambda control: control.indexes.create(
                    name=name,
                    dimension=spec.dimension,
                    metric=spec.metric,
                    spec=ServerlessSpec(cloud=config.cloud, region=config.region),
                    deletion_protection="enabled" if config.deletion_protection else "disabled",
                    tags=tags_of(spec),
                    timeout=-1,
                ),
                f"create index {name}",
                writes=True,
            )
        except (ConflictError, UnknownOutcomeError) as error:
            # Another process was faster, or the answer was lost: what is there is checked like any other.
            try:
                return self._model(name)
            except NotFoundError:
                raise error from None

    def _ready(self, name: str) -> IndexModel:
        seen: list[IndexModel] = []

        def ready() -> bool:
            seen.append(self._model(name))
            return bool(seen[-1].status.ready and seen[-1].host)

        if not self._service.until(ready, READY_S):
            raise UnavailableError(
                f"target {self._service.name}: index {name} is {seen[-1].status.state} for {READY_S:.0f} seconds",
                fix="Look at it in Pinecone's console",
            )
        return seen[-1]
