"""Writes: upserts cut to requests, three ways of closing intervals, deletes with their sentinel.

Laws
----
1. A write of several requests whose first ones landed and a later one did not has an unknown outcome: something landed.
2. What selects records (closing by a filter, or by reading and writing again) first waits until reads see what this process wrote.
   What another process wrote may be seen later still: where a filter chose fewer than were asked for, the rest is sent again.
3. Closing touches existing records only. By id and by filter nothing but ``vp_removed_in`` changes.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import wait
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from vector_pipeline.errors import InputError, UnavailableError, UnknownOutcomeError, VectorPipelineError
from vector_pipeline.targets.base import WriteReceipt
from vector_pipeline.targets.pinecone.conditions import MOST_VALUES, Condition, among, both
from vector_pipeline.targets.pinecone.encoding import ID, REMOVED_IN, SENTINEL, Request, requests
from vector_pipeline.targets.pinecone.freshness import Freshness
from vector_pipeline.targets.pinecone.reading import Reader
from vector_pipeline.targets.pinecone.service import Place, Service, Tally

UPDATE, FILTER, REWRITE = "update", "filter", "rewrite"
_MOST_DELETED = 1_000
_FILTER_BYTES = 1_000_000
"""Of the ids in one filter."""
_FEW = 100
"""Closed by id where nobody says how: more go faster by a filter."""


class Writer:
    """Writes of one target. Safe from several threads."""

    def __init__(self, service: Service, freshness: Freshness, reader: Reader) -> None:
        self._service, self._freshness, self._reader = service, freshness, reader
        self._written: dict[str, int] = {}
        """By namespace, the last LSN of records that this process wrote (law 2)."""
        self._lock = threading.Lock()

    def upsert(self, place: Place, records: pa.Table) -> WriteReceipt:
        tally = Tally()
        self._sequence([partial(self._send, place, one, tally) for one in requests(records)], tally)
        self._remember(place, tally)
        return tally.receipt()

    def set_removed(self, place: Place, ids: list[str], removed_in: int, ending: str) -> WriteReceipt:
        tally = Tally()
        if not ids:
            return tally.receipt()
        match ending or (UPDATE if len(ids) <= _FEW else FILTER):
            case "update":
                self._together([partial(self._update, place, name, removed_in, tally) for name in ids], tally)
            case "filter":
                self._wait_for_own(place)
                cuts = _cut(ids)
                self._sequence([partial(self._by_filter, place, some, removed_in, tally) for some in cuts], tally)
            case "rewrite":
                self._wait_for_own(place)
                self._rewrite(place, ids, removed_in, tally)
            case _:
                raise InputError(f"there is no way {ending!r} of closing intervals: {UPDATE}, {FILTER} or {REWRITE}")
        return tally.receipt()

    def delete(self, place: Place, ids: list[str]) -> WriteReceipt:
        tally = Tally()
        parts = [ids[start : start + _MOST_DELETED] for start in range(0, len(ids), _MOST_DELETED)]
        steps: list[Callable[[], None]] = [partial(self._delete, place, some, tally) for some in parts]
        if parts:
            steps.append(lambda: tally.add(self._freshness.touch(place, tally.retried)[0]))
        self._sequence(steps, tally)
        return tally.receipt()

    # --- requests

    def _send(self, place: Place, request: Request, tally: Tally) -> None:
        answer = self._service.data(
            place,
            lambda index: index.upsert(vectors=request.vectors, namespace=place.namespace),
            f"upsert into namespace {place.namespace}",
            writes=True,
            retried=tally.retried,
            verb="upsert",
            sent=request.bytes,
        )
        info = answer.response_info
        tally.add(info.lsn_committed if info else None, records=len(request.vectors), sent=request.bytes)

    def _update(self, place: Place, name: str, removed_in: int, tally: Tally) -> None:
        answer = self._service.data(
            place,
            lambda index: index.update(id=name, set_metadata={REMOVED_IN: removed_in}, namespace=place.namespace),
            f"update namespace {place.namespace}",
            writes=True,
            retried=tally.retried,
            verb="update",
            updates=1,
        )
        info = answer.response_info
        tally.add(info.lsn_committed if info else None, records=1, sent=len(name) + 20)

    def _by_filter(self, place: Place, ids: list[str], removed_in: int, tally: Tally) -> None:
        """Where fewer matched than were asked for, once more for the rest, when reads see all that was written before (law 2)."""
        chosen = among(ID, ids)
        matched, lsn, number = self._where(place, chosen, ids, removed_in, tally)
        if matched < len(ids):
            self._freshness.wait_for(place, lsn, self._service.config.freshness_s, number)
            rest = both([chosen, {REMOVED_IN: {"$ne": removed_in}}])
            self._where(place, rest, ids, removed_in, tally)

    def _where(
        self, place: Place, condition: Condition, ids: list[str], removed_in: int, tally: Tally
    ) -> tuple[int, int | None, str]:
        """Close what a filter over ids chooses: how many (all, where it is not said), and what to await until reads see it."""
        assert isinstance(condition, dict)
        answer = self._service.data(
            place,
            lambda index: index.update(
                filter=condition, set_metadata={REMOVED_IN: removed_in}, namespace=place.namespace
            ),
            f"update namespace {place.namespace} by a filter",
            writes=True,
            retried=tally.retried,
            verb="update",
            by_metadata=1,
        )
        info = answer.response_info
        lsn, number = info.lsn_committed if info else None, ""
        matched = len(ids) if answer.matched_records is None else answer.matched_records
        tally.add(lsn, records=matched, sent=sum(map(len, ids)))
        if lsn is None:
            lsn, number = self._freshness.touch(place, tally.retried)
            tally.add(lsn)
        return matched, lsn, number

    def _rewrite(self, place: Place, ids: list[str], removed_in: int, tally: Tally) -> None:
        found = self._reader.fetch(place, ids, vectors=True)
        found = found.filter(pc.not_equal(found["removed_in"], removed_in))
        column = found.schema.get_field_index("removed_in")
        changed = found.set_column(column, "removed_in", pa.array([removed_in] * found.num_rows, pa.int64()))
        self._sequence([partial(self._send, place, one, tally) for one in requests(changed)], tally)
        self._remember(place, tally)

    def _delete(self, place: Place, ids: list[str], tally: Tally) -> None:
        if SENTINEL in ids:
            raise InputError(f"the id {SENTINEL} belongs to the pipeline")
        self._service.data(
            place,
            lambda index: index.delete(ids=ids, namespace=place.namespace),
            f"delete from namespace {place.namespace}",
            writes=True,
            retried=tally.retried,
            verb="delete",
            deletes=len(ids),
        )
        tally.add(None, records=len(ids), sent=sum(map(len, ids)))

    # --- several of them

    def _sequence(self, steps: Iterable[Callable[[], None]], tally: Tally) -> None:
        for step in steps:
            try:
                step()
            except VectorPipelineError as error:
                raise _outcome(error, tally) from None

    def _together(self, steps: list[Callable[[], None]], tally: Tally) -> None:
        """Law 1, with several under way: all are waited for."""
        pool = self._service.pool()
        futures = [pool.submit(step) for step in steps]
        wait(futures, return_when="FIRST_EXCEPTION")
        for future in futures:
            future.cancel()
        wait(futures)
        errors = [future.exception() for future in futures if not future.cancelled()]
        failed = [error for error in errors if error is not None]
        for error in sorted(failed, key=lambda one: not isinstance(one, UnknownOutcomeError)):
            raise _outcome(error, tally) if isinstance(error, VectorPipelineError) else error

    def _remember(self, place: Place, tally: Tally) -> None:
        if tally.lsn is not None:
            with self._lock:
                self._written[place.namespace] = max(tally.lsn, self._written.get(place.namespace, 0))

    def _wait_for_own(self, place: Place) -> None:
        """Law 2."""
        with self._lock:
            lsn = self._written.get(place.namespace)
        if lsn is not None:
            self._freshness.wait_for(place, lsn, self._service.config.freshness_s)

    def forget(self, namespace: str) -> None:
        """A namespace is gone."""
        with self._lock:
            self._written.pop(namespace, None)


def _outcome(error: VectorPipelineError, tally: Tally) -> VectorPipelineError:
    """Law 1."""
    if tally.requests == 0 or isinstance(error, UnknownOutcomeError):
        return error
    landed = f"{error.what} (of this write {tally.requests} requests had landed)"
    fix = error.fix if isinstance(error, UnavailableError) else None
    return UnknownOutcomeError(landed, fix=fix)


def _cut(ids: list[str]) -> list[list[str]]:
    """Ids for one filter each."""
    longest = max(map(len, ids)) + 3
    step = max(1, min(MOST_VALUES, _FILTER_BYTES // longest))
    return [ids[start : start + step] for start in range(0, len(ids), step)]
