"""Indexes of one target, and which of them holds a namespace.

Laws
----
1. One index a space (``families``), made on demand and waited for. ``<index>`` itself belongs to the target too, where somebody
   made it.
2. What an index is, is checked before the first write: ``families.require_fit``.
3. A namespace's name is unique over the indexes. Where one is, is remembered until it is not found there.
"""

import re
import threading
from typing import TYPE_CHECKING

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
from vector_pipeline.targets.pinecone.families import (
    classic,
    index_name,
    place_of,
    require_fit,
    require_same,
    tags_of,
)
from vector_pipeline.targets.pinecone.service import Place, Service

if TYPE_CHECKING:
    from pinecone.models.namespaces.models import NamespaceDescription

READY_S = 180.0
"""A serverless index is ready within seconds; longer than this something is wrong."""
_DEFAULT = "__default__"


class Indexes:
    """Safe from several threads."""

    def __init__(self, service: Service) -> None:
        self._service = service
        index = re.escape(service.config.index)
        self._ours = re.compile(rf"{index}(-[0-9a-f]{{8}})?")
        self._places: dict[str, Place] = {}
        self._lock = threading.Lock()

    def all(self) -> list[Place]:
        """Every index that can hold namespaces (``namespace`` is empty), by name."""
        models = self._service.control(lambda control: list(control.indexes.list()), "list indexes")
        ours = [model for model in models if self._ours.fullmatch(model.name) and classic(model) and model.host]
        return [place_of("", model) for model in sorted(ours, key=lambda model: model.name)]

    def place(self, namespace: str) -> Place:
        """Where a namespace is, or ``NotFoundError``."""
        found = self.known(namespace) or self.look(namespace)
        if found is None:
            raise self.missing(namespace)
        return found

    def missing(self, namespace: str) -> NotFoundError:
        return NotFoundError(f"target {self._service.name} has no namespace {namespace}")

    def known(self, namespace: str) -> Place | None:
        """Where a namespace was when it was last seen."""
        with self._lock:
            return self._places.get(namespace)

    def forget(self, namespace: str) -> None:
        with self._lock:
            self._places.pop(namespace, None)
        self._service.limiter.forget(namespace)

    def look(self, namespace: str) -> Place | None:
        """Look for a namespace in every index."""
        self.forget(namespace)
        if not namespace or not namespace.isascii() or "\0" in namespace or len(namespace) > 512:
            return None
        for index in self.all():
            place = Place(namespace, index.index, index.host, index.dimension, index.metric, index.space)
            if self.describe(place) is not None:
                return self._keep(place)
        return None

    def describe(self, place: Place) -> "NamespaceDescription | None":
        """What the service says of a namespace; None where it is not there."""
        try:
            return self._service.data(
                place,
                lambda index: index.describe_namespace(name=place.namespace),
                f"describe namespace {place.namespace}",
            )
        except NotFoundError:
            return None

    def names(self, index: Place) -> list[str]:
        """Namespaces of one index."""
        found: list[str] = []
        token: str | None = None
        while True:
            page = self._service.data(
                index,
                lambda client, token=token: client.list_namespaces_paginated(limit=100, pagination_token=token),  # type: ignore[misc]
                f"list namespaces of {index.index}",
            )
            found += [one.name for one in page.namespaces if one.name and (one.name != _DEFAULT or one.record_count)]
            token = page.pagination.next if page.pagination else None
            if not token:
                return found

    def ensure(self, spec: NamespaceSpec) -> Place:
        """The index for a namespace, made or checked (law 2), and the namespace in it, made where it is missing."""
        found = self.look(spec.name)
        if found is not None:
            require_same(spec, found)
            require_fit(self._model(found.index), spec, self._service.config)
            return found
        place = self._keep(self.ensure_index(spec))
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

    def _keep(self, place: Place) -> Place:
        with self._lock:
            self._places[place.namespace] = place
        return place
