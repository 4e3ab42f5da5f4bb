"""What a target would not take is refused before anything is written, and the worst record is named."""

import pytest

from tests.release.conftest import MakeWorld
from vector_pipeline.errors import RefusedError

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


def test_what_fits_is_written(make_world: MakeWorld) -> None:
    world = make_world(max_id_bytes=60, max_metadata_bytes=40, max_record_bytes=1_000)
    done = world.push(world.version(CONTENT))
    assert world.visible(done.deployment) == world.wanted(1)


def test_only_what_would_be_written_is_judged(make_world: MakeWorld) -> None:
    world = make_world()
    world.push(world.version(CONTENT))
    world.target._capabilities = make_world(max_metadata_bytes=30).target.capabilities  # type: ignore[attr-defined]
    assert world.push(world.version({**CONTENT, 9: 1}), "versioned").applied.upserted == 1
