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

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self, overload

from vector_pipeline.bridge.crossing import Crossings
from vector_pipeline.errors import InputError, VectorPipelineError
from vector_pipeline.parts import Parts
from vector_pipeline.serving.answers import Answer, Health, Hit, PartHealth
from vector_pipeline.serving.embedding import query_embedding
from vector_pipeline.serving.following import Follower
from vector_pipeline.serving.metering import Meter, Metrics
from vector_pipeline.targets.base import Filter, Match, Target


def open_index(
    dataset: str,
    *,
    project: Path | str | None = None,
    environment: str | None = None,
    alias: str = "production",
    target: str | None = None,
    max_staleness_s: float = 1.0,
    timeout_s: float | None = 30.0,
    retries: int = 2,
    route: bool = True,
    space: str | None = None,
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
        timeout_s: of a whole query, in seconds; None: as long as its parts take.
        retries: how often a part that does not answer is asked again within that time.
        route: this reader takes part where a share of production's readers gets another version.
        space: embed queries with this space's model although another space may be live: through a bridge that is on, or not at
            all. Default: with the model of whatever is live.

    Raises:
        ConfigError: the configuration is missing or wrong.
        NotFoundError: no such dataset, or nothing of it was promoted yet, or not on that target.
    """
    path = Path(project) if project is not None else None
    if path is not None and path.is_dir():
        path = path / "vector_pipeline.yaml"
    parts = Parts.load(path, environment=environment)
    index = Index(
        parts, dataset, alias, max_staleness_s, target, timeout_s=timeout_s, retries=retries, route=route, space=space
    )
    try:
        index.refresh()
    except BaseException:
        index.close()
        raise
    return index


class Index:
    """A reader. Threads may share it. Use it as a context manager, or ``close`` it."""

    def __init__(
        self,
        parts: Parts,
        dataset: str,
        alias: str,
        max_staleness_s: float,
        target: str | None = None,
        *,
        timeout_s: float | None = None,
        retries: int = 0,
        route: bool = False,
        space: str | None = None,
    ) -> None:
        parts.dataset(dataset)
        self._crossings = Crossings(parts, dataset, space, max_staleness_s) if space is not None else None
        self._alias = alias
        self._meter = Meter()
        self._limits = (timeout_s, retries, route)
        self._parts = parts
        self._dataset = dataset
        self._follower = Follower(parts, dataset, alias, max_staleness_s, target)

    @overload
    def query(
        self, text: str, *, top_k: int = 5, filter: Filter | None = None, key: str | None = None
    ) -> list[Hit]: ...

    @overload
    def query(
        self, text: list[str], *, top_k: int = 5, filter: Filter | None = None, key: str | None = None
    ) -> list[list[Hit]]: ...

    def query(
        self, text: str | list[str], *, top_k: int = 5, filter: Filter | None = None, key: str | None = None
    ) -> list[Hit] | list[list[Hit]]:
        """The nearest chunks of the live version, best first; for a list of texts, one list each.

        ``filter`` is applied before the nearest are taken: ``{"folder": "guides", "year": {"$gte": 2024}}``. ``key``: of a user or
        a session, who shall get one version throughout while a route is in force.

        Raises:
            InputError: an empty query, a ``top_k`` out of bounds, a filter that is none.
            NotFoundError: nothing is promoted.
            RefusedError: this machine's embedder is not the live one, or the configuration has lost the live target.
            UnavailableError: registry or target do not answer.
        """
        answers = self._answers([text] if isinstance(text, str) else list(text), top_k, filter, key)
        return answers[0].hits if isinstance(text, str) else [one.hits for one in answers]

    def search(self, text: str, *, top_k: int = 5, filter: Filter | None = None, key: str | None = None) -> Answer:
        """The nearest chunks to one text, and where they come from. Arguments and errors are those of ``query``."""
        return self._answers([text], top_k, filter, key)[0]

    def _answers(self, texts: list[str], top_k: int, filter: Filter | None, key: str | None) -> list[Answer]:  # noqa: ARG002
        if not texts or any(not isinstance(one, str) or not one.strip() for one in texts):
            raise InputError("the query is empty", fix="Give it at least one word")
        started, failed = time.perf_counter(), True
        try:
            live = self._follower.current()
            deployment = live.alias.deployment
            target = self._parts.target_named(deployment.target, read_only=True)
            most = target.capabilities.max_top_k
            if not 1 <= top_k <= most:
                raise InputError(f"top_k is {top_k}", fix=f"Ask for 1 to {most} hits")
            embedding = query_embedding(self._parts, live.version, self._crossings)
            found = target.query(
                deployment.namespace, embedding.vectors(texts), top_k=top_k, version=deployment.version,
                filter=filter, exact=not _approximate(target),
            )  # fmt: skip
            took = time.perf_counter() - started
            failed = False
            return [
                Answer(
                    [_hit(match, deployment.version) for match in matches], deployment.version, live.version.space,
                    self._alias, embedding.bridged, took, embedding.bridge, embedding.recall,
                )
                for matches in found
            ]  # fmt: skip
        finally:
            self._meter.add(self._alias, time.perf_counter() - started, failed=failed)

    def health(self) -> Health:
        """Ask every part that a query needs; loads no model. Never raises for what does not answer."""
        registry = _part(lambda: self._follower.refresh())
        live = self._follower.known
        target = _part(self.reach)
        embedder = _part(lambda: query_embedding(self._parts, self._follower.current().version, self._crossings))
        return Health(
            target.ok and embedder.ok, self._dataset, self._alias, live.version.number if live else None,
            live.version.space if live else None, self._alias, time.monotonic() - live.asked if live else None, False, "closed",
            registry, target, embedder,
        )  # fmt: skip

    def metrics(self) -> Metrics:
        """What was counted since the index was opened."""
        return self._meter.read()

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


def _part(ask: Callable[[], object]) -> PartHealth:
    try:
        ask()
    except VectorPipelineError as error:
        return PartHealth(False, str(error))
    return PartHealth(True)


def _approximate(target: Target) -> bool:
    """An index that was asked for in the configuration is used; else search is exact."""
    return target.capabilities.approximate


def _hit(match: Match, version: int) -> Hit:
    return Hit(match.document_id, match.score, match.text or "", match.metadata, version, match.id)
