"""Records of ours as records of Pinecone's: sizes, cuts, digits, and what another hand did."""

import json
import sys
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vector_pipeline.errors import InputError
from vector_pipeline.hashing import canonical_json
from vector_pipeline.targets.base import LIVE
from vector_pipeline.targets.filters import parse_filter
from vector_pipeline.targets.pinecone import encoding
from vector_pipeline.targets.pinecone.conditions import translate
from vector_pipeline.targets.pinecone.encoding import (
    MAX_METADATA,
    MAX_REQUEST,
    Request,
    metadata_lines,
    metadata_of,
    records_of,
    requests,
)
from vector_pipeline.targets.pinecone.values import METADATA, TOKENS, held, text_of, value_of
from vector_pipeline.testing.strategies import metadata
from vector_pipeline.testing.target_records import make_records, unit_vectors

_FLOATS = arrays.arrays(np.float32, (3, 8), elements=st.floats(width=32, allow_nan=False, allow_infinity=False))


def body(request: Request) -> dict[str, Any]:
    """As the SDK sends it."""
    vectors = [{"id": one.id, "values": one.values, "metadata": one.metadata} for one in request.vectors]
    found: dict[str, Any] = orjson.loads(orjson.dumps({"namespace": "n" * 500, "vectors": vectors}))
    return found


def as_pinecone(value: Any) -> Any:
    """What a service that knows 64-bit floats only gives back."""
    if isinstance(value, dict):
        return {key: as_pinecone(one) for key, one in value.items()}
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


@settings(max_examples=300, deadline=None)
@given(vectors=_FLOATS)
def test_vectors_survive_to_the_last_bit(vectors: "np.ndarray[Any, np.dtype[np.float32]]") -> None:
    (request,) = requests(make_records(["a", "b", "c"], vectors))
    sent = np.array([one["values"] for one in body(request)["vectors"]], np.float64).astype(np.float32)
    assert (sent.view(np.uint32) == vectors.view(np.uint32)).all()


def test_vectors_take_half_the_bytes() -> None:
    vectors = unit_vectors(20, dimension=1536)
    (request,) = requests(make_records([f"r#{index}" for index in range(20)], vectors))
    assert request.bytes < 0.65 * len(orjson.dumps(vectors.tolist()))


@settings(max_examples=300, deadline=None)
@given(value=metadata())
def test_metadata_comes_back_from_floats(value: dict[str, Any]) -> None:
    text = json.dumps(value, ensure_ascii=False)
    records = make_records(["a"], metadata=[value])
    (sent,) = metadata_of(records)
    assert all(key and not key.startswith("$") for key in sent)
    assert None not in sent.values()
    back = as_pinecone(sent)
    assert canonical_json(json.loads(text_of(back))) == canonical_json(json.loads(text))
    assert canonical_json(value_of(back)) == canonical_json(json.loads(text))


@settings(deadline=None)
@given(values=st.lists(metadata(), min_size=1, max_size=5), text=st.text(max_size=30))
def test_lines_say_what_the_dictionaries_say(values: list[dict[str, Any]], text: str) -> None:
    ids = [f"r#{number}" for number in range(2 * len(values))]
    records = make_records(ids, metadata=[*values, *values], text=text.replace("{", "{{").replace("}", "}}"))
    assert [orjson.loads(line) for line in metadata_lines(records).to_pylist()] == [
        orjson.loads(orjson.dumps(one)) for one in metadata_of(records)
    ]


def test_what_is_native_is_kept_once() -> None:
    plain = {"n": 3, "half": 0.5, "yes": True, "s": "x", "tags": ["a", "b"], "far": -(2**53)}
    (sent,) = metadata_of(make_records(["a"], metadata=[plain]))
    assert METADATA not in sent
    assert TOKENS not in sent
    assert {key: sent[key] for key in plain} == plain
    assert (sent["vp_added_in"], sent["vp_removed_in"], sent["vp_id"]) == (1, LIVE, "a")


@pytest.mark.parametrize(
    ("value", "native", "tokens"),
    [
        ({"a": None}, {}, []),
        ({"a": {"b": 1}}, {}, ['["a"]']),
        ({"a": [1, "x", None, True]}, {}, ['["a","x"]', '["a",1.0]', '["a",true]', '["a"]']),
        ({"a": []}, {}, ['["a"]']),
        ({"a": 3.0}, {"a": 3.0}, []),
        ({"a": 2**53 + 1}, {"a": float(2**53)}, []),
        ({"a": 10**400}, {"a": sys.float_info.max}, []),
        ({"$a": 1, "": 2}, {}, []),
    ],
)
def test_what_pinecone_cannot_hold(value: dict[str, Any], native: dict[str, Any], tokens: list[str]) -> None:
    found = held(value)
    assert (found.native, found.tokens, found.whole) == (native, sorted(tokens), False)


def test_a_foreign_hand_is_believed() -> None:
    (sent,) = metadata_of(make_records(["a"], metadata=[{"lang": "en", "deep": {"x": 1}, "n": 2}]))
    assert value_of(sent) == {"lang": "en", "deep": {"x": 1}, "n": 2}
    changed = as_pinecone({**sent, "lang": "de", "new": 7})
    assert value_of(changed) == {"lang": "de", "deep": {"x": 1}, "n": 2, "new": 7}
    del changed["n"]
    assert value_of(changed) == {"lang": "de", "deep": {"x": 1}, "new": 7}
    broken = {**sent, METADATA: "{"}
    assert text_of(broken) == "{"


def test_records_of_others_are_seen_by_no_version() -> None:
    class Foreign:
        id, values, metadata = "x", [0.0] * 8, {"vp_added_in": "soon", "colour": "red"}

    table = records_of([Foreign], 8)
    (row,) = table.to_pylist()
    assert (row["added_in"], row["removed_in"], row["document_id"], row["text"]) == (0, 0, "", None)
    assert json.loads(row["metadata"]) == {"colour": "red"}


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(0, 30_000), min_size=1, max_size=400))
def test_requests_are_small_enough_and_complete(sizes: list[int]) -> None:
    ids = [f"{index:024x}#{index:024x}" for index in range(len(sizes))]
    texts = pa.array(["\n" * (size // 2) for size in sizes], pa.string())
    records = make_records(ids, unit_vectors(len(ids)))
    records = records.set_column(records.schema.get_field_index("text"), "text", texts)
    found = list(requests(records))
    assert [one.id for request in found for one in request.vectors] == ids
    sent = [len(orjson.dumps(body(request))) for request in found]
    assert max(sent) <= MAX_REQUEST
    assert len(found) <= 2 * (sum(sent) // MAX_REQUEST) + 1
    assert all(length <= request.bytes + 800 for length, request in zip(sent, found, strict=True))


def test_a_record_that_is_too_large_is_named() -> None:
    records = make_records(["a#1", "b#1"], metadata=[{}, {"x": "y" * MAX_METADATA}])
    with pytest.raises(InputError, match=r"b#1 takes \d+ bytes"):
        requests(records)
    with pytest.raises(InputError, match="belongs to the pipeline"):
        requests(make_records([encoding.SENTINEL]))


def test_many_records_are_several_requests() -> None:
    found = list(requests(make_records([f"r#{index}" for index in range(2_500)])))
    assert [len(one.vectors) for one in found] == [1_000, 1_000, 500]
    assert list(requests(make_records([]))) == []


def test_constants_are_folded() -> None:
    for condition, expected in (
        ({"a": {"$in": []}}, False),
        ({"a": {"$nin": []}}, True),
        ({"$or": [{"a": {"$nin": []}}, {"b": 1}]}, True),
        ({"$and": [{"a": {"$in": []}}, {"b": 1}]}, False),
    ):
        assert translate(parse_filter(condition)) is expected
    kept = translate(parse_filter({"$and": [{"a": {"$nin": []}}, {"b": {"$gt": 1}}]}))
    assert kept == {"b": {"$gt": 1.0}}


def test_long_lists_are_cut() -> None:
    node = parse_filter({"a": {"$in": [f"v{index}" for index in range(25_000)]}})
    found = translate(node)
    assert isinstance(found, dict)
    longest = [len(operand["$in"]) for part in found["$or"] for operand in part.values()]
    assert max(longest) == 10_000
    assert sum(longest) == 50_000
