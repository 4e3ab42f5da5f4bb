"""What somebody else writes to our collection: readers get what Chroma's own users see, the marks tell, and nothing breaks."""

import json
import math
from typing import Any

import numpy as np
import pytest

from vector_pipeline.targets.chroma import ChromaTarget
from vector_pipeline.targets.chroma.decoding import metadata_of
from vector_pipeline.testing.target_records import Namespace, make_records, unit_vectors

IDS = [f"r#{number}" for number in range(3)]
ROW = {"team": "search", "note": None, "tags": ["x"], "rating": 0.1 + 0.2, "$odd": 1}


@pytest.fixture
def space(target: ChromaTarget) -> Namespace:
    namespace = Namespace(target)
    namespace.create()
    namespace.upsert(make_records(IDS, metadata=[ROW] * len(IDS)))
    return namespace


def by_hand(space: Namespace, method: str, *arguments: Any) -> None:
    """One of the methods of Chroma's own client."""
    target: Any = space.target
    place = target._places.get(space.name)
    target._connection.call(lambda api: getattr(api, method)(place.id, *arguments))


def changed(space: Namespace, native: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first record's marks and its fetched row, after another hand's edit."""
    by_hand(space, "_update", IDS[:1], None, [native])
    marks, rows = space.marks(), space.fetched(IDS)
    for mark in marks:
        assert mark == {name: rows[mark["id"]][name] for name in mark}, "listed and fetched are the same"
    assert [mark["metadata_hash"] for mark in marks[1:]] == [f"m-{name}" for name in IDS[1:]]
    return marks[0], rows[IDS[0]]


EDITS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"team": "legal"}, {"team": "legal", "tags": ["x"]}),
    ({"team": None}, {"tags": ["x"]}),
    ({"new": True}, {"team": "search", "tags": ["x"], "new": True}),
    ({"tags": ["x", "y"]}, {"team": "search", "tags": ["x", "y"]}),
    ({"vp_tokens": None}, {"team": "search", "tags": ["x"]}),
    ({"vp_number:rating": None}, {"team": "search", "tags": ["x"]}),
    ({"vp_number:rating": 0}, {"team": "search", "tags": ["x"]}),
    ({"vp_key:$odd": 2}, {"team": "search", "tags": ["x"], "$odd": 2}),
    ({"vp_metadata": "not json"}, {"team": "search", "tags": ["x"]}),
    ({"vp_metadata": "[1]"}, {"team": "search", "tags": ["x"]}),
    ({"vp_metadata": '{"team": "legal"}'}, {"team": "search", "tags": ["x"]}),
    ({"vp_metadata": '{"vp_added_in": 7}'}, {"team": "search", "tags": ["x"]}),
    ({"vp_metadata": None}, {"team": "search", "tags": ["x"]}),
]


@pytest.mark.slow
def test_an_edit_is_what_readers_get_and_shows_in_the_marks(space: Namespace) -> None:
    for edit, native in EDITS:
        mark, row = changed(space, edit)
        assert mark["metadata_hash"] == "", edit
        rating, odd = row["metadata"].pop("rating"), row["metadata"].pop("$odd")
        assert (rating, odd) == (pytest.approx(ROW["rating"]), native.get("$odd", 1)), edit
        assert row["metadata"] == {key: value for key, value in native.items() if key != "$odd"}, edit
        for exact, k in ((True, 3), (False, 1)):
            hits = space.target.query(space.name, unit_vectors(1), top_k=3, exact=exact, version=1)[0]
            (hit,) = (one for one in hits if one.id == IDS[0])
            assert dict(hit.metadata).keys() == {*native, "rating", "$odd"}, edit
            for team in ("search", "legal"):
                found = space.hits(unit_vectors(1), top_k=k, exact=exact, filter={"team": team})
                assert (IDS[0] in found) == (native.get("team") == team), (edit, exact)
        space.upsert(make_records(IDS[:1], metadata=[ROW]))
        mended = space.fetched(IDS[:1])[IDS[0]]
        assert (mended["metadata"], mended["metadata_hash"]) == (json.loads(json.dumps(ROW)), f"m-{IDS[0]}"), edit


def test_without_an_interval_no_version_sees_it(space: Namespace) -> None:
    for key in ("vp_added_in", "vp_removed_in"):
        for value in (None, "x", True):
            mark, _ = changed(space, {key: value})
            assert (mark["added_in"], mark["removed_in"], mark["content_hash"]) == (0, 0, "")
            for version in (0, 1, 10**6):
                seen = sorted(IDS[1:]) if version else []
                for exact, k in ((True, 3), (False, 2)):
                    assert sorted(space.hits(unit_vectors(1), top_k=k, exact=exact, version=version)) == seen
            assert len(space.hits(unit_vectors(1))) == 3
            space.upsert(make_records(IDS[:1]))


def test_an_interval_of_floats_is_what_chroma_takes_it_for(space: Namespace) -> None:
    for edit, sees in (({"vp_added_in": 1.0}, (1, 2)), ({"vp_added_in": 0.5}, (1, 2)), ({"vp_removed_in": 1.5}, (1,))):
        mark, _ = changed(space, edit)
        assert mark["content_hash"] == ""
        for version in (0, 1, 2):
            for exact in (True, False):
                found = space.hits(unit_vectors(1), top_k=1 if not exact else 3, exact=exact, version=version)
                assert (IDS[0] in found) == (version in sees), (edit, version, exact)
        space.upsert(make_records(IDS[:1]))


def test_a_vector_is_what_the_index_holds(space: Namespace) -> None:
    scaled = np.asarray(unit_vectors(1) * np.float32(3), np.float32)
    space.upsert(make_records(IDS[:1], scaled))
    assert np.array_equal(np.asarray([space.fetched(IDS[:1])[IDS[0]]["vector"]], np.float32), scaled)
    other: Any = [unit_vectors(2)[1]]
    by_hand(space, "_update", IDS[:1], other)
    assert np.array_equal(np.asarray([space.fetched(IDS[:1])[IDS[0]]["vector"]], np.float32), other)
    for value in ("", "!", "AAAA", "not base64 at all", 5, True):
        by_hand(space, "_update", IDS[:1], None, [{"vp_vector": value}])
        assert np.array_equal(np.asarray([space.fetched(IDS[:1])[IDS[0]]["vector"]], np.float32), other), value


def test_a_text_beside_a_mark_that_there_is_none(space: Namespace) -> None:
    by_hand(space, "_update", IDS[:1], None, [{"vp_no_text": True}])
    assert space.fetched(IDS[:1])[IDS[0]]["text"] == f"text of {IDS[0]}"


def test_a_strangers_record_is_read_like_any(target: ChromaTarget) -> None:
    """An audit must see it, a repair take it away, and no reader trip over it."""
    space = Namespace(target)
    space.create()
    ids = [f"by-hand-{number}" for number in range(5)]
    embeddings: Any = list(unit_vectors(5))
    natives = [
        {"vp_added_in": "x"}, None, {"vp_metadata": "not json", "vp_removed_in": False}, {"vp_tokens": 5, "vp_space": 3},
        {"vp_added_in": 0.5, "vp_removed_in": "never", "vp_vector": "!", "vp_metadata": '{"a": NaN}'},
    ]  # fmt: skip
    by_hand(space, "_upsert", ids, embeddings, natives, None)
    space.upsert(make_records(["ours#1"]))
    marks = space.marks()[:-1]
    assert [row["id"] for row in marks] == ids
    nothing = dict.fromkeys(("document_id", "content_hash", "metadata_hash", "space"), "")
    for row in marks:
        assert {**row, "id": ""} == {
            "id": "",
            **nothing,
            "added_in": 0,
            "removed_in": 0,
            "metadata_hash": row["metadata_hash"],
        }
    found = space.fetched(ids)
    assert [(row["metadata"], row["text"], row["document_id"]) for row in found.values()] == [({}, None, "")] * 5
    for exact in (True, False):
        assert sorted(space.hits(unit_vectors(1), top_k=6, exact=exact)) == [*ids, "ours#1"]
        for k in (1, 2, 10):
            assert space.hits(unit_vectors(1), top_k=k, exact=exact, version=1) == ["ours#1"]
            assert space.hits(unit_vectors(1), top_k=k, exact=exact, version=1, filter={"n": {"$lte": 0}}) == ["ours#1"]
            assert "ours#1" not in space.hits(unit_vectors(1), top_k=k, exact=exact, filter={"n": {"$exists": False}})
    space.delete(ids)
    assert space.ids() == ["ours#1"]


def test_values_that_are_no_json() -> None:
    """Chroma holds more than JSON does."""
    from chromadb.base_types import SparseVector

    sparse = SparseVector(indices=[1], values=[0.5])
    read = metadata_of({"sparse": sparse, "n": math.nan, "many": [math.inf, 1.0], "vp_metadata": 5})
    assert read.value == json.loads(read.text) == {"sparse": str(sparse), "n": "nan", "many": ["inf", 1.0]}
    assert not read.sound
