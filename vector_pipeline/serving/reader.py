"""The reader: resolve the alias, embed with the space of the version that it points to, search that version alone.

Laws
----
1. One query sees one version in one space: alias, namespace, version and space are read together, once per query, and a
   query that has begun keeps them to its end, whatever moves meanwhile.
2. A cutover is followed without restart, at most ``max_staleness_s`` seconds late.
3. A query is never embedded with another space than the one it searches: if this machine's model or settings make another
   fingerprint than the live deployment's, the query is refused.
4. Reading writes nothing.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, overload

import numpy as np

from vector_pipeline.errors import InputError, NotFoundError, RefusedError
from vector_pipeline.parts import Parts
from vector_pipeline.release.registry import Alias, Deployment
from vector_pipeline.targets.base import Filter, Match, Target


@dataclass(frozen=True, slots=True)
class Hit:
    """One chunk that answers a query."""

    document: str
    """Id of its document."""
    score: float
    """Higher is nearer: cosine similarity in a cosine space."""
    text: str
    metadata: Mapping[str, Any]
    """The document's metadata, its ``title``, and ``heading``: the headings above the chunk."""
    version: int
    """Version that was searched."""
    id: str
    """Record id in the target."""


def open_index(
    dataset: str,
    *,
    project: Path | str | None = None,
    environment: str | None = None,
    alias: str = "production",
    max_staleness_s: float = 1.0,
) -> "Index":
    """A reader of a dataset's live version.

    Args:
        dataset: its name in the configuration.
        project: the configuration file or its folder; default: ``$VECTOR_PIPELINE_CONFIG``, or the nearest one above the
            current folder.
        environment: default: ``$VECTOR_PIPELINE_ENV``, or the configuration's first.
        alias: ``production``, or ``staging`` to look at what was pushed last.
        max_staleness_s: a cutover is noticed at most this late, in seconds; 0 asks the registry at every query.

    Raises:
        ConfigError: the configuration is missing or wrong.
        NotFoundError: no such dataset, or nothing of it was promoted yet.
    """
    path = Path(project) if project is not None else None
    if path is not None and path.is_dir():
        path = path / "vector_pipeline.yaml"
    parts = Parts.load(path, environment=environment)
    index = Index(parts, dataset, alias, max_staleness_s)
    try:
        index.refresh()
    except BaseException:
        index.close()
        raise
    return index


class Index:
    """A reader. Threads may share it. Use it as a context manager, or ``close`` it."""

    def __init__(self, parts: Parts, dataset: str, alias: str, max_staleness_s: float) -> None:
        parts.dataset(dataset)
        self._parts = parts
        self._dataset = dataset
        self._name = alias
        self._staleness = max_staleness_s
        self._lock = threading.Lock()
        self._alias: Alias | None = None
        self._asked = float("-inf")

    @overload
    def query(self, text: str, *, top_k: int = 5, filter: Filter | None = None) -> list[Hit]: ...

    @overload
    def query(self, text: list[str], *, top_k: int = 5, filter: Filter | None = None) -> list[list[Hit]]: ...

    def query(
        self, text: str | list[str], *, top_k: int = 5, filter: Filter | None = None
    ) -> list[Hit] | list[list[Hit]]:
        """The nearest chunks of the live version, best first; for a list of texts, one list each.

        ``filter`` is applied before the nearest are taken: ``{"folder": "guides", "year": {"$gte": 2024}}``.

        Raises:
            InputError: an empty query, a ``top_k`` out of bounds, a filter that is none.
            NotFoundError: nothing is promoted.
            RefusedError: this machine's space is not the live one.
            UnavailableError: registry or target do not answer.
        """
        texts = [text] if isinstance(text, str) else list(text)
        if not texts or any(not isinstance(one, str) or not one.strip() for one in texts):
            raise InputError("the query is empty", fix="Give it at least one word")
        deployment = self._current().deployment
        target = self._parts.target(self._dataset, read_only=True)
        most = target.capabilities.max_top_k
        if not 1 <= top_k <= most:
            raise InputError(f"top_k is {top_k}", fix=f"Ask for 1 to {most} hits")
        found = target.query(
            deployment.namespace, self._embed(deployment, texts), top_k=top_k, version=deployment.version,
            filter=filter, exact=not _approximate(target),
        )  # fmt: skip
        hits = [[_hit(match, deployment.version) for match in matches] for matches in found]
        return hits[0] if isinstance(text, str) else hits

    @property
    def version(self) -> int:
        """Version that the next query searches."""
        return self._current().deployment.version

    def refresh(self) -> int:
        """Ask the registry now where the alias points; returns the version."""
        with self._lock:
            return self._resolve().deployment.version

    def close(self) -> None:
        """Release connections. The index must not be used afterwards."""
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _current(self) -> Alias:
        alias = self._alias
        if alias is not None and time.monotonic() - self._asked < self._staleness:
            return alias
        with self._lock:
            # Of several threads that found it stale together, one asks.
            if self._alias is not None and time.monotonic() - self._asked < self._staleness:
                return self._alias
            return self._resolve()

    def _resolve(self) -> Alias:
        now = time.monotonic()
        found = self._parts.registry(read_only=True).alias(self._dataset, self._parts.environment, self._name)
        if found is None:
            verb = "promote" if self._name == "production" else "push"
            raise NotFoundError(
                f"nothing of {self._dataset} is in {self._name} yet", fix=f"vector-pipeline {verb} {self._dataset}"
            )
        self._alias, self._asked = found, now
        return found

    def _embed(self, deployment: Deployment, texts: list[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        space = self._parts.space(self._dataset, deployment.space)
        if space.fingerprint != deployment.fingerprint:
            raise RefusedError(
                f"{self._dataset}: version {deployment.version} is served in another space than {deployment.space} is here "
                f"({deployment.fingerprint}, here {space.fingerprint}, {space.model})",
                fix="Install the model and settings that the version was built with, or build and promote a new version",
            )
        return np.ascontiguousarray(self._parts.embedder(self._dataset, deployment.space).embed_queries(texts))


def _approximate(target: Target) -> bool:
    """An index that was asked for in the configuration is used; else search is exact."""
    return target.capabilities.approximate


def _hit(match: Match, version: int) -> Hit:
    return Hit(match.document_id, match.score, match.text or "", match.metadata, version, match.id)
