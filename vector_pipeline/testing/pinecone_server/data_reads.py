"""The reading calls of one index: they see what is old enough to be visible, and resolve namespace aliases."""

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import QueryParams
from starlette.responses import Response

from vector_pipeline.testing.pinecone_server.data_answers import (
    classic_index,
    condition_of,
    fetch_units,
    ids_of,
    match_told,
    namespace_of,
    next_page,
    query_units,
    token_of,
    told,
    vectors_told,
    whole_number,
)
from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.limits import BY_METADATA, MAX_PAGE, MAX_TOP_K, REQUESTS, Rate, Rates
from vector_pipeline.testing.pinecone_server.namespace import Namespace
from vector_pipeline.testing.pinecone_server.records import read_id, read_vectors, refuse_sparse
from vector_pipeline.testing.pinecone_server.store import IndexStore, Store


class Reads:
    """query, fetch, fetch by metadata, list, statistics."""

    def __init__(self, store: Store, index_name: str, rates: Rates) -> None:
        self._store, self._name, self._rates = store, index_name, rates

    def query(self, body: dict[str, Any]) -> Response:
        index, shape = classic_index(self._store, self._name)
        top_k = whole_number(body.get("topK"), "topK", MAX_TOP_K)
        vector, name = body.get("vector"), body.get("id")
        if bool(vector) == bool(name):
            raise ApiError("INVALID_ARGUMENT", "Either 'vector' or 'id' must be given, and not both")
        refuse_sparse(body.get("sparseVector"))
        wanted = read_vectors([vector], shape)[0] if vector else read_id(name)
        condition = condition_of(body)
        namespace = self._namespace(index, body, REQUESTS["query"])
        values, metadata = body.get("includeValues") is True, body.get("includeMetadata") is True
        found, lsn = namespace.query(wanted, top_k, condition, vectors=values) if namespace else ([], 0)
        answer = {
            "matches": [match_told(match, values=values, metadata=metadata, score=True) for match in found],
            "namespace": namespace_of(body),
            "usage": {"readUnits": query_units(namespace)},
        }
        return told(answer, {"x-pinecone-max-indexed-lsn": str(lsn), "x-pinecone-lsn-reconciled": str(lsn)})

    def fetch(self, parameters: QueryParams) -> Response:
        index, _ = classic_index(self._store, self._name)
        ids = ids_of(parameters.getlist("ids"), "fetch")
        namespace = self._namespace(index, parameters, REQUESTS["fetch"])
        found = namespace.fetch(ids) if namespace else []
        return told({**vectors_told(found, namespace_of(parameters)), "usage": {"readUnits": fetch_units(len(found))}})

    def fetch_by_metadata(self, body: dict[str, Any]) -> Response:
        index, _ = classic_index(self._store, self._name)
        condition = condition_of(body)
        if condition is None:
            raise ApiError("INVALID_ARGUMENT", "A filter is required to fetch by metadata")
        limit = whole_number(body.get("limit") or MAX_PAGE, "limit", MAX_TOP_K)
        after = token_of(body.get("paginationToken"))
        namespace = self._namespace(index, body, BY_METADATA)
        found = namespace.fetch_where(condition, after, limit + 1) if namespace else []
        page = found[:limit]
        answer = {**vectors_told(page, namespace_of(body)), "usage": {"readUnits": fetch_units(len(page))}}
        return told(answer | next_page(page[-1].id if len(found) > limit else None))

    def list(self, parameters: QueryParams) -> Response:
        index, _ = classic_index(self._store, self._name)
        limit = whole_number(parameters.get("limit", str(MAX_PAGE)), "limit", MAX_PAGE)
        after = token_of(parameters.get("paginationToken"))
        namespace = self._namespace(index, parameters, REQUESTS["list"])
        found = namespace.page(parameters.get("prefix", ""), after, limit + 1) if namespace else []
        page = found[:limit]
        answer = {
            "vectors": [{"id": name} for name in page],
            "namespace": namespace_of(parameters),
            "usage": {"readUnits": 1},
        }
        return told(answer | next_page(page[-1] if len(found) > limit else None))

    def stats(self, body: dict[str, Any]) -> Response:
        index, shape = classic_index(self._store, self._name)
        if body.get("filter"):
            text = "Serverless indexes do not support describing index stats with metadata filtering"
            raise ApiError("INVALID_ARGUMENT", text)
        seen = index.describe()
        return told(
            {
                "namespaces": {each.name: {"vectorCount": each.records} for each in seen},
                "dimension": shape.dimension,
                "indexFullness": 0.0,
                "totalVectorCount": sum(each.records for each in seen),
                "metric": shape.metric,
                "vectorType": "dense",
            }
        )

    def _namespace(self, index: IndexStore, given: Mapping[str, Any], rate: Rate) -> Namespace | None:
        """The namespace that is read, counted as one request; None for one that never was."""
        name = index.resolve(namespace_of(given))
        self._rates.take(name, (rate, 1))
        return index.known(name)
