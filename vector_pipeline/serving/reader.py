"""The reader: resolve the alias, embed with the space of the version that it points to, search that version alone.

Laws
----
1. One query sees one version in one space: alias, namespace, version and space are read together, once per query, and a
   query that has begun keeps them to its end, whatever moves meanwhile.
2. A cutover is followed without restart, at most ``max_staleness_s`` seconds late while the registry answers. While it does not,
   the last known alias is served for a while: see ``following``.
3. A query is never embedded with another embedder, dimension or metric than those of the version it searches: such a query is
   refused. The chunker may have changed since.
4. Reading writes nothing. What was deployed is read where it was deployed, whatever target the dataset is pushed to today.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, overload

import numpy as np

from vector_pipeline.errors import InputError
from vector_pipeline.parts import Parts
from vector_pipeline.release.registry import Version
from vector_pipeline.serving.following import Follower
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
    target: str | None = None,
    max_staleness_s: float = 1.0,
) -> "Index":
    """A reader of a dataset's live version.

    Args:
        dataset: its name in the configuration.
        project: the configuration file or its folder; default: ``$VECTOR_PIPELINE_CONFIG``, or the nearest one above the
            current folder.
        environment: default: ``$VECTOR_PIPELINE_ENV``, or the configuration's first.
        alias: ``production``, or ``staging`` to look at what was pushed last.
        target: one of several targets that serve the dataset; default: the first one, whichever that is.
        max_staleness_s: a cutover is noticed at most this late, in seconds; 0 asks the registry at every query.

    Raises:
        ConfigError: the configuration is missing or wrong.
        NotFoundError: no such dataset, or nothing of it was promoted yet, or not on that target.
    """
    path = Path(project) if project is not None else None
    if path is not None and path.is_dir():
        path = path / "vector_pipeline.yaml"
    parts = Parts.load(path, environment=environment)
    index = Index(parts, dataset, alias, max_staleness_s, target)
    try:
        index.refresh()
    except BaseException:
        index.close()
        raise
    return index


class Index:
    """A reader. Threads may share it. Use it as a context manager, or ``close`` it."""

    def __init__(
        self, parts: Parts, dataset: str, alias: str, max_staleness_s: float, target: str | None = None
    ) -> None:
        parts.dataset(dataset)
        self._parts = parts
        self._dataset = dataset
        self._follower = Follower(parts, dataset, alias, max_staleness_s, target)

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
            RefusedError: this machine's embedder is not the live one, or the configuration has lost the live target.
            UnavailableError: registry or target do not answer.
        """
        texts = [text] if isinstance(text, str) else list(text)
        if not texts or any(not isinstance(one, str) or not one.strip() for one in texts):
            raise InputError("the query is empty", fix="Give it at least one word")
        live = self._follower.current()
        deployment = live.alias.deployment
        target = self._parts.target_named(deployment.target, read_only=True)
        most = target.capabilities.max_top_k
        if not 1 <= top_k <= most:
            raise InputError(f"top_k is {top_k}", fix=f"Ask for 1 to {most} hits")
        found = target.query(
            deployment.namespace, self._embed(live.version, texts), top_k=top_k, version=deployment.version,
            filter=filter, exact=not _approximate(target),
        )  # fmt: skip
        hits = [[_hit(match, deployment.version) for match in matches] for matches in found]
        return hits[0] if isinstance(text, str) else hits

    @property
    def version(self) -> int:
        """Version that the next query searches."""
        return self._follower.current().version.number

    def refresh(self) -> int:
        """Ask the registry now where the alias points; returns the version."""
        return self._follower.refresh().version.number

    def reach(self) -> None:
        """Ask whether the target answers, and load no model for it. ``UnavailableError`` where it does not."""
        deployment = self._follower.current().alias.deployment
        self._parts.target_named(deployment.target, read_only=True).describe(deployment.namespace)

    def close(self) -> None:
        """Release connections. The index must not be used afterwards."""
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _embed(self, version: Version, texts: list[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        self._parts.query_space(version)
        return np.ascontiguousarray(self._parts.embedder(self._dataset, version.space).embed_queries(texts))


def _approximate(target: Target) -> bool:
    """An index that was asked for in the configuration is used; else search is exact."""
    return target.capabilities.approximate


def _hit(match: Match, version: int) -> Hit:
    return Hit(match.document_id, match.score, match.text or "", match.metadata, version, match.id)
