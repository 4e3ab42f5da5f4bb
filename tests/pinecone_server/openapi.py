"""Pinecone's published OpenAPI descriptions, made strict: an object that describes its properties has no others.

They are found in the folder that ``PINECONE_OPENAPI`` names, or in ``shared/pinecone`` beside or above the checkout.
"""

import copy
import os
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import yaml
from openapi_schema_validator import OAS30Validator

VARIABLE = "PINECONE_OPENAPI"
ROOT = Path(__file__).parents[2]
FILES = {"control": "db_control_2026-04.yaml", "data": "db_data_2026-04.yaml"}


def folder() -> Path | None:
    """Where the descriptions are; None: nowhere."""
    named = os.environ.get(VARIABLE)
    places = [Path(named)] if named else [above / "shared" / "pinecone" for above in (ROOT, *ROOT.parents)]
    return next((place for place in places if all((place / file).is_file() for file in FILES.values())), None)


@cache
def document(plane: str) -> dict[str, Any]:
    """One description, strict."""
    place = folder()
    assert place is not None
    found: dict[str, Any] = yaml.safe_load((place / FILES[plane]).read_text(encoding="utf-8"))
    for schema in found["components"]["schemas"].values():
        _strict(schema)
    return found


def operations(plane: str) -> set[tuple[str, str]]:
    """Method and path of everything that is described."""
    verbs = {"get", "post", "put", "patch", "delete"}
    return {(verb.upper(), path) for path, item in document(plane)["paths"].items() for verb in item if verb in verbs}


def faults(plane: str, method: str, path: str, answer: httpx.Response) -> list[str]:
    """What in an answer is not as described; nothing where all is well."""
    described = document(plane)["paths"][path][method.lower()]["responses"]
    status = str(answer.status_code)
    response = described.get(status) or described.get(f"{status[0]}XX")
    if response is None:
        return [f"status {status} is not described: {', '.join(described)} are"]
    if "$ref" in response:
        response = document(plane)["components"]["responses"][response["$ref"].rpartition("/")[2]]
    content = response.get("content")
    if content is None:
        return [] if not answer.content else [f"a body where none is described: {answer.text[:200]}"]
    kind = answer.headers.get("content-type", "").split(";")[0]
    if kind not in content:
        return [f"content type {kind} is not described: {', '.join(content)} are"]
    schema = {**copy.deepcopy(content[kind]["schema"]), "components": document(plane)["components"]}
    return [f"{error.json_path}: {error.message}" for error in OAS30Validator(schema).iter_errors(answer.json())]


def _strict(schema: Any) -> None:
    """Close every object that lists its properties, at any depth. What other schemas are made of stays open."""
    if isinstance(schema, list):
        for part in schema:
            _strict(part)
    elif isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict) and not {"allOf", "anyOf"} & set(schema):
            schema.setdefault("additionalProperties", False)
        for key, part in schema.items():
            if key not in ("example", "enum", "default"):
                _strict(part)
