"""A purge leaves nothing of what was deleted, changes nothing that is seen, and may die at any step."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vector_pipeline.errors import NotFoundError
from vector_pipeline.targets.chroma import ChromaTarget, purging
from vector_pipeline.targets.chroma.encoding import _VECTOR
from vector_pipeline.targets.chroma.search import Searcher
from vector_pipeline.testing.target_records import Namespace, make_records, unit_vectors

SECRET = "a sentence that nobody may read again"
KEPT = "a sentence that stays"


def filled(target: ChromaTarget, metric: str = "cosine") -> Namespace:
    space = Namespace(target, metric)
    space.create()
    vectors = unit_vectors(6) * np.linspace(0.5, 2, 6, dtype=np.float32)[:, None]
    metadata: list[dict[str, Any]] = [{"n": n, "x": [n, 0.1 + 0.2, None]} for n in range(6)]
    space.upsert(make_records([f"r#{n}" for n in range(6)], vectors, text=KEPT, metadata=metadata))
    space.upsert(make_records(["gone#1"], text=SECRET, metadata=[{"said": SECRET}]))
    space.set_removed(["r#1"], 4)
    space.delete(["gone#1"])
    return space


def seen(space: Namespace) -> object:
    state = space.target.describe(space.name)
    return state, space.fetched(space.ids()), space.marks(), space.hits(unit_vectors(1)), space.target.namespaces()


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
def test_nothing_changes(target: ChromaTarget, metric: str) -> None:
    space = filled(target, metric)
    before = seen(space)
    for _ in range(2):
        target.purge(space.name)
        assert seen(space) == before
    marks = {space.mark()}
    space.upsert(make_records(["new#1"]))
    marks.add(space.mark())
    target.purge(space.name)
    marks.add(space.mark())
    space.delete(["new#1"])
    marks.add(space.mark())
    assert len(marks) == 3
    with pytest.raises(NotFoundError):
        target.purge("nowhere")


def test_nothing_is_left(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    from vector_pipeline.config import ChromaTargetConfig

    target = ChromaTarget("local", ChromaTargetConfig(kind="chroma", path=Path("chroma")), tmp_path)
    request.addfinalizer(target.close)
    space = filled(target)
    vector = np.asarray(unit_vectors(1, seed=99) * np.float32(3), np.float32)
    space.upsert(make_records(["gone#2"], vector, text=SECRET))
    scaled = Searcher(target._connection, target._places.get(space.name)).get(["metadatas"], ids=["gone#2"])[
        "metadatas"
    ][0][_VECTOR]
    space.delete(["gone#2"])
    folder = tmp_path / "chroma"

    def said() -> bytes:
        return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())

    assert SECRET.encode() in said()
    target.purge(space.name)
    now = said()
    assert KEPT.encode() in now
    for gone in (SECRET.encode(), scaled.encode(), b"gone#2"):
        assert gone not in now


@pytest.mark.parametrize("step", range(8))
def test_it_may_die_at_any_step(target: ChromaTarget, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    space = filled(target)
    before = seen(space)
    connection, left = target._connection, [step]
    call = connection.call

    class Died(BaseException):
        pass

    def mortal(work: Any, **options: Any) -> Any:
        if options.get("write"):
            if not left[0]:
                raise Died
            left[0] -= 1
        return call(work, **options)

    monkeypatch.setattr(connection, "call", mortal)
    try:
        purging.purge(connection, target._places, space.name)
    except Died:
        pass
    else:
        assert step > 5
    monkeypatch.setattr(connection, "call", call)
    assert seen(space) == before
    assert space.create().records == 6
    target.purge(space.name)
    assert seen(space) == before
    at = connection.at
    assert len(connection.call(lambda api: api.list_collections(**at))) == 1
    target.drop_namespace(space.name)
    assert target.describe(space.name) is None
