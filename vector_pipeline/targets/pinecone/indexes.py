"""Indexes of one target: their names, what they are, and which of them holds a namespace.

Laws
----
1. One classic serverless index a space, named ``<index>-<first 8 of the fingerprint of space, dimension and metric>``; its tag
   ``vp-space`` names the space. ``<index>`` itself belongs to the target too, where somebody made it.
2. What an index is decides whether it is used: another dimension, metric or space, a missing deletion protection or the other
   family (``classic``) is refused before anything is written. Nothing of an index that exists is ever changed.
3. A namespace's name is unique over the indexes. Where one is, is remembered until it is not found there.
"""

import re
import threading
from typing import TYPE_CHECKING

from pinecone import IndexModel, ServerlessSpec

from vector_pipeline.errors import ConflictError, NotFoundError, RefusedError, UnavailableError, UnknownOutcomeError
from vector_pipeline.hashing import fingerprint
from vector_pipeline.targets.base import NamespaceSpec
from vector_pipeline.targets.checks import difference
from vector_pipeline.targets.pinecone.service import Place, Service

if TYPE_CHECKING:
    from pinecone.models.namespaces.models import NamespaceDescription

SPACE_TAG, BY_TAG, BY = "vp-space", "vp-by", "vector-pipeline"
READY_S = 180.0
"""A serverless index is ready within seconds; longer than this something is wrong."""
_DEFAULT = "__default__"


def index_name(index: str, spec: NamespaceSpec) -> str:
    """Law 1."""
    parts = {"space": spec.space, "dimension": spec.dimension, "metric": spec.metric}
    return f"{index}-{fingerprint(parts)[:8]}"


def classic(model: IndexModel) -> bool:
    """Whether an index takes vectors. The other family takes documents, under a schema with names of its own.

    The seam for that family: it would need reading and writing of its own, over ``Index.documents``.
    """
    return set(model.schema.fields) == {"_values"}


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
        return [_place("", model) for model in sorted(ours, key=lambda model: model.name)]

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
            held = NamespaceSpec(spec.name, found.dimension, found.metric, found.space)
            if different := difference(spec, held):
                raise RefusedError(
                    f"namespace {spec.name} exists in Pinecone index {found.index}: {different}",
                    fix="Use another namespace or drop it",
                )
            self._check(self._model(found.index), spec)
            return found
        place = self._keep(self.ensure_index(spec))
        try:
            self._service.data(
                place,
                lambda index: index.create_namespace(name=spec.name),
                f"create namespace {spec.name}",
                writes=True,
            )
        except ConflictError as error:
            if self.describe(place) is None:
                self.forget(spec.name)
                raise RefusedError(error.what, fix="Use another namespace: that name is taken") from None
        if not self._service.until(lambda: self.describe(place) is not None, self._service.config.freshness_s):
            self.forget(spec.name)
            raise UnavailableError(
                f"target {self._service.name}: namespace {spec.name} was created, and does not appear"
            )
        return place

    def ensure_index(self, spec: NamespaceSpec) -> Place:
        """The index of a space, ready and as it must be. The namespace is not looked at."""
        name = index_name(self._service.config.index, spec)
        try:
            model = self._model(name)
        except NotFoundError:
            model = self._create(name, spec)
        self._check(model, spec)
        if not (model.status.ready and model.host):
            model = self._ready(name)
        return _place(spec.name, model)

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
                    tags={SPACE_TAG: spec.space, BY_TAG: BY},
                    timeout=-1,
                ),
                f"create index {name}",
                writes=True,
            )
        except (ConflictError, UnknownOutcomeError):
            # Another process was faster, or the answer was lost: what is there is checked like any other.
            return self._model(name)

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

    def _check(self, model: IndexModel, spec: NamespaceSpec) -> None:
        """Law 2."""
        name, fix = model.name, "Give the target another `index:`, or delete that index"
        if not classic(model):
            fields = ", ".join(sorted(model.schema.fields))
            raise RefusedError(
                f"Pinecone index {name} is a document index (fields {fields}): it takes no vectors", fix=fix
            )
        place = _place(spec.name, model)
        if different := difference(
            spec, NamespaceSpec(spec.name, place.dimension, place.metric, place.space or "not set")
        ):
            raise RefusedError(
                f"Pinecone index {name} exists: {different} (its space is in the tag {SPACE_TAG})", fix=fix
            )
        if self._service.config.deletion_protection and model.deletion_protection != "enabled":
            raise RefusedError(
                f"Pinecone index {name} has no deletion protection",
                fix="Enable it in Pinecone's console, or set the target's `deletion_protection: false`",
            )

    def _keep(self, place: Place) -> Place:
        with self._lock:
            self._places[place.namespace] = place
        return place


def _place(namespace: str, model: IndexModel) -> Place:
    field = model.schema.fields["_values"]
    space = (model.tags or {}).get(SPACE_TAG, "")
    return Place(namespace, model.name, model.host or "", int(field.dimension), str(field.metric), space)  # type: ignore[union-attr]
