"""The writing calls of one index: each answers the LSN at which it was committed."""

from typing import Any

from starlette.responses import Response

from vector_pipeline.testing.pinecone_server.data_answers import (
    classic_index,
    condition_of,
    ids_of,
    namespace_of,
    told,
    written,
)
from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.filters import Condition
from vector_pipeline.testing.pinecone_server.knobs import Knobs
from vector_pipeline.testing.pinecone_server.limits import (
    BY_METADATA,
    DELETED,
    REQUESTS,
    UPDATED,
    UPSERTED_BYTES,
    Rates,
)
from vector_pipeline.testing.pinecone_server.namespace import Namespace
from vector_pipeline.testing.pinecone_server.records import (
    read_id,
    read_metadata,
    read_records,
    read_vectors,
    refuse_sparse,
    refuse_zeros,
)
from vector_pipeline.testing.pinecone_server.store import Store, canonical


class Writes:
    """upsert, update, delete."""

    def __init__(self, store: Store, index_name: str, rates: Rates, knobs: Knobs) -> None:
        self._store, self._name, self._rates, self._knobs = store, index_name, rates, knobs

    def upsert(self, body: dict[str, Any], size: int) -> Response:
        """``size``: bytes of the request."""
        index, shape = classic_index(self._store, self._name)
        name = namespace_of(body)
        index.refuse_alias(name, upsert=True)
        vectors = body.get("vectors")
        records = read_records(vectors, shape)
        self._rates.take(canonical(name), (REQUESTS["upsert"], 1), (UPSERTED_BYTES, size))
        return written({"upsertedCount": len(vectors or ())}, index.upsert(name, records))

    def update(self, body: dict[str, Any]) -> Response:
        classic_index(self._store, self._name)
        condition = condition_of(body)
        if (body.get("id") is None) == (condition is None):
            raise ApiError("INVALID_ARGUMENT", "Either 'id' or 'filter' must be given, and not both")
        refuse_sparse(body.get("sparseValues"))
        return self._update_one(body) if condition is None else self._update_where(body, condition)

    def _update_one(self, body: dict[str, Any]) -> Response:
        """``dryRun`` is not looked at here: Pinecone writes all the same."""
        _, shape = classic_index(self._store, self._name)
        name, values = read_id(body["id"]), body.get("values")
        vectors = read_vectors([values], shape) if values else None
        if vectors is not None:
            refuse_zeros(vectors, [name])
        metadata = read_metadata(body.get("setMetadata"))[0]
        namespace = self._namespace(body)
        self._rates.take(namespace.name, (REQUESTS["update"], 1), (UPDATED, 1))
        return written({}, namespace.update(name, None if vectors is None else vectors[0], metadata))

    def _update_where(self, body: dict[str, Any], condition: Condition) -> Response:
        if body.get("values"):
            raise ApiError("INVALID_ARGUMENT", "Vector values cannot be updated by metadata")
        metadata = read_metadata(body.get("setMetadata"))[0]
        namespace = self._namespace(body)
        self._rates.take(namespace.name, (REQUESTS["update"], 1), (BY_METADATA, 1))
        if body.get("dryRun") is True:
            return told({"matchedRecords": namespace.count_where(condition)})
        if metadata is None:
            raise ApiError("INVALID_ARGUMENT", "setMetadata is required to update by metadata")
        matched, lsn = namespace.update_where(condition, metadata, indexed=self._knobs.filters_see_indexed_only)
        return written({"matchedRecords": matched}, lsn)

    def delete(self, body: dict[str, Any]) -> Response:
        classic_index(self._store, self._name)
        ids, everything, condition = body.get("ids"), body.get("deleteAll") is True, condition_of(body)
        if [bool(ids), everything, condition is not None].count(True) != 1:
            raise ApiError("INVALID_ARGUMENT", "Exactly one of 'ids', 'deleteAll' and 'filter' must be given")
        if body.get("filter") == {}:
            raise ApiError("INVALID_ARGUMENT", "An empty filter deletes nothing: use deleteAll")
        chosen = ids_of(ids, "delete") if ids else []
        namespace = self._namespace(body)
        what = [(DELETED, len(chosen))] if ids else [(BY_METADATA, 1)] if condition is not None else []
        self._rates.take(namespace.name, (REQUESTS["delete"], 1), *what)
        if everything:
            return written({}, namespace.wipe())
        if condition is None:
            return written({}, namespace.delete(chosen))
        return written({}, namespace.delete_where(condition, indexed=self._knobs.filters_see_indexed_only))

    def _namespace(self, body: dict[str, Any]) -> Namespace:
        """A namespace that is there for writers: updates and deletes make none."""
        index, _ = classic_index(self._store, self._name)
        name = namespace_of(body)
        index.refuse_alias(name)
        found = index.known(name)
        if found is None or not found.exists:
            raise ApiError("NOT_FOUND", "Namespace not found")
        return found
