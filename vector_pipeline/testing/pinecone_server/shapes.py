"""What an index is, read from a request to create it, and told in the form of the API that a client asks for.

API 2026-07 describes an index by ``schema``, ``deployment`` and ``read_capacity``; before, it was ``dimension``, ``metric`` and
``spec``. Two families exist. A *classic* index has the one field ``_values`` and serves the vectors API. A schema with names of
its own makes a *document* index, on which every vector call is refused.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Any

from vector_pipeline.testing.pinecone_server.errors import ApiError
from vector_pipeline.testing.pinecone_server.records import VectorShape

DENSE, SPARSE = "_values", "_sparse_values"
METRICS = ("cosine", "dotproduct", "euclidean")
CLOUDS = ("aws", "gcp", "azure")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,43}[a-z0-9])?")
_TAG = re.compile(r"[A-Za-z0-9_-]{1,80}")
_MAX_TAGS = 20
_MAX_TAG_VALUE = 120
_MAX_DIMENSION = 20_000
_FIELD_TYPES = ("dense_vector", "sparse_vector", "string")

Index = dict[str, Any]
"""``name``, ``fields``, ``deployment``, ``read_capacity``, ``deletion_protection``, ``tags``: what is kept of an index."""


def parse_index(body: Mapping[str, Any]) -> Index:
    """An index from a request's body, in either form; ``ApiError`` says what is wrong with it."""
    new = "schema" in body
    if not new and "spec" not in body:
        raise _unprocessable("missing field `schema`")
    fields = _schema(body["schema"]) if new else _classic(body)
    capacity = body.get("read_capacity") or _spec(body, new).get("read_capacity") or {"mode": "OnDemand"}
    return {
        "name": _name(body.get("name"), new=new),
        "fields": fields,
        "deployment": _deployment(body.get("deployment") if new else _from_spec(body)),
        "read_capacity": {**capacity, "status": {"state": "Ready"}},
        "deletion_protection": protection(body.get("deletion_protection", "disabled")),
        "tags": merge_tags({}, body.get("tags")),
    }


def shape_of(index: Index) -> VectorShape | None:
    """Dimension and metric of a classic index; None for a document index."""
    if set(index["fields"]) != {DENSE}:
        return None
    field = index["fields"][DENSE]
    return VectorShape(field["dimension"], field["metric"])


def tell(index: Index, host: str, *, older: bool) -> dict[str, Any]:
    """An index as the API describes it."""
    common = {
        "name": index["name"],
        "host": host,
        "status": {"ready": True, "state": "Ready"},
        "deletion_protection": index["deletion_protection"],
    }
    if not older:
        shape = {key: index[key] for key in ("deployment", "read_capacity")}
        return {**common, **shape, "schema": {"fields": index["fields"]}, "tags": index["tags"] or None}
    dense = next((field for field in index["fields"].values() if field["type"] == "dense_vector"), None)
    place = {key: index["deployment"][key] for key in ("cloud", "region")}
    told = {**common, "spec": {"serverless": {**place, "read_capacity": index["read_capacity"]}}}
    told |= {"metric": dense["metric"] if dense else "dotproduct", "vector_type": "dense" if dense else "sparse"}
    return (
        told | ({"dimension": dense["dimension"]} if dense else {}) | ({"tags": index["tags"]} if index["tags"] else {})
    )


def protection(value: Any) -> str:
    if value not in ("enabled", "disabled"):
        raise _unprocessable(f"deletion_protection: unknown variant {value!r}, expected `enabled` or `disabled`")
    return str(value)


def merge_tags(tags: Mapping[str, str], changes: Any) -> dict[str, str]:
    """Tags with ``changes``: an empty value takes a tag away."""
    if changes is None:
        return dict(tags)
    if not isinstance(changes, dict) or not all(isinstance(value, str) for value in changes.values()):
        raise _unprocessable("tags: expected a map of strings")
    for name, value in changes.items():
        if not _TAG.fullmatch(name) or len(value) > _MAX_TAG_VALUE:
            raise ApiError(
                "INVALID_ARGUMENT",
                f"Tag {name!r} is invalid: keys have at most 80 characters of a-z, A-Z, 0-9, _ and -, values at most 120.",
            )
    merged = {name: value for name, value in {**tags, **changes}.items() if value}
    if len(merged) > _MAX_TAGS:
        raise ApiError("INVALID_ARGUMENT", f"An index can have at most {_MAX_TAGS} tags.")
    return merged


def _name(name: Any, *, new: bool) -> str:
    if name is None and new:
        return f"index-{secrets.token_hex(4)}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ApiError(
            "INVALID_ARGUMENT",
            "Index name must be 1-45 characters long, start and end with an alphanumeric character, and consist only of lower "
            "case alphanumeric characters or '-'.",
        )
    return name


def _schema(schema: Any) -> dict[str, Any]:
    fields = schema.get("fields") if isinstance(schema, dict) else None
    if not isinstance(fields, dict) or not fields:
        raise _unprocessable("schema: missing field `fields`, or it is empty")
    for name, field in fields.items():
        kind = field.get("type") if isinstance(field, dict) else None
        if kind not in _FIELD_TYPES:
            raise _unprocessable(f"schema.fields.{name}: expected a type, one of {', '.join(_FIELD_TYPES)}")
        if kind == "dense_vector":
            _vector(name, field.get("dimension"), field.get("metric"))
    if SPARSE in fields:
        raise ApiError(
            "INVALID_ARGUMENT", "This server keeps dense vectors only: an index with _sparse_values is not served."
        )
    if DENSE in fields and len(fields) > 1:
        raise ApiError("INVALID_ARGUMENT", "_values stands alone in a schema, or with _sparse_values.")
    return dict(fields)


def _classic(body: Mapping[str, Any]) -> dict[str, Any]:
    if body.get("vector_type", "dense") != "dense":
        raise ApiError("INVALID_ARGUMENT", "This server keeps dense vectors only: vector_type must be dense.")
    metric = body.get("metric") or "cosine"
    _vector(DENSE, body.get("dimension"), metric)
    return {DENSE: {"type": "dense_vector", "dimension": body["dimension"], "metric": metric}}


def _vector(name: str, dimension: Any, metric: Any) -> None:
    if not isinstance(dimension, int) or isinstance(dimension, bool) or not 1 <= dimension <= _MAX_DIMENSION:
        raise ApiError("INVALID_ARGUMENT", f"{name}: dimension must be an integer from 1 to {_MAX_DIMENSION}.")
    if metric not in METRICS:
        raise ApiError("INVALID_ARGUMENT", f"{name}: metric must be one of {', '.join(METRICS)}.")


def _spec(body: Mapping[str, Any], new: bool) -> Mapping[str, Any]:
    spec = {} if new else body["spec"]
    serverless = spec.get("serverless", {}) if isinstance(spec, dict) else {}
    return serverless if isinstance(serverless, dict) else {}


def _from_spec(body: Mapping[str, Any]) -> dict[str, Any]:
    spec = _spec(body, False)
    if not {"cloud", "region"} <= set(spec):
        raise ApiError(
            "INVALID_ARGUMENT", "This server makes serverless indexes only: spec.serverless needs cloud and region."
        )
    return {"deployment_type": "managed", "cloud": spec["cloud"], "region": spec["region"]}


def _deployment(deployment: Any) -> dict[str, Any]:
    made = {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"} | (deployment or {})
    if made["deployment_type"] != "managed":
        raise ApiError(
            "INVALID_ARGUMENT", "This server makes serverless indexes only: deployment_type must be managed."
        )
    if made["cloud"] not in CLOUDS:
        raise ApiError("NOT_FOUND", f"Resource cloud: {made['cloud']} region: {made['region']} not found.")
    return {key: made[key] for key in ("deployment_type", "cloud", "region")}


def _unprocessable(what: str) -> ApiError:
    return ApiError("UNPROCESSABLE_ENTITY", f"Failed to deserialize the JSON body into the target type: {what}")
