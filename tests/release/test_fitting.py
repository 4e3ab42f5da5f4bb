"""What a target would not take is refused before anything is written, and the worst record is named."""

from typing import Any

import pyarrow as pa
import pytest

from tests.release import world as worlds
from tests.release.conftest import MakeWorld
from tests.release.world import SPACE
from vector_pipeline.errors import InputError, RefusedError
from vector_pipeline.targets.base import LIVE, NamespaceSpec, record_schema

CONTENT = {**dict.fromkeys(range(8), 0), 8: 10**30}


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"max_id_bytes": 20}, r"of 49 bytes of an id; target local takes 20 \(8 more are too large\)"),
        (
            {"max_metadata_bytes": 30},
            r"doc2 has a record .* of 40 bytes of metadata; target local takes 30\. Keep less metadata",
        ),
        ({"max_record_bytes": 250}, r"bytes of text, metadata and marks; target local takes 250"),
    ],
)
def test_the_worst_record_is_named(make_world: MakeWorld, limits: dict[str, int], said: str) -> None:
    world = make_world(**limits)
    version = world.version(CONTENT)
    for work in (world.plan, world.push):
        with pytest.raises(RefusedError, match=said):
            work(version)
    assert world.target.namespaces() == []


@pytest.mark.slow
def test_a_vector_of_zeros_is_refused_where_the_target_takes_none(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = worlds._embedding

    def without(number: int) -> dict[str, Any]:
        return {**embedded(number), **({"vector": [0.0, -0.0, 0.0, 0.0]} if number in (4, 7) else {})}

    monkeypatch.setattr(worlds, "_embedding", without)
    world = make_world(zero_vectors=False)
    version = world.version(CONTENT)
    for work in (world.plan, world.push):
        with pytest.raises(
            RefusedError, match=r"doc1 has a record .* all zeros, which target local .* \(1 more have\)"
        ):
            work(version)
    assert world.target.namespaces() == []
    row = {
        "id": "z", "vector": [0.0] * 4, "document_id": "d", "content_hash": "c", "metadata_hash": "m", "space": SPACE,
        "added_in": 1, "removed_in": LIVE, "text": "t", "metadata": "{}",
    }  # fmt: skip
    world.target.ensure_namespace(NamespaceSpec("line", 4, "cosine", SPACE))
    with pytest.raises(InputError, match="the vector of z is all zeros"):
        world.target.upsert("line", pa.Table.from_pylist([row], schema=record_schema(4)))
    world.push(world.version({number: 0 for number in CONTENT if number not in (4, 7)}))
    taking = make_world()
    done = taking.push(taking.version(CONTENT))
    assert taking.visible(done.deployment) == taking.wanted(1)


def test_what_fits_is_written(make_world: MakeWorld) -> None:
    world = make_world(max_id_bytes=60, max_metadata_bytes=40, max_record_bytes=1_000)
    done = world.push(world.version(CONTENT))
    assert world.visible(done.deployment) == world.wanted(1)


def test_only_what_would_be_written_is_judged(make_world: MakeWorld) -> None:
    world = make_world()
    world.push(world.version(CONTENT))
    world.target._capabilities = make_world(max_metadata_bytes=30).target.capabilities  # type: ignore[attr-defined]
    assert world.push(world.version({**CONTENT, 9: 1}), "versioned").applied.upserted == 1
