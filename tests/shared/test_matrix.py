"""One life of a dataset on every kind of storage: the same comes out, and what is gone is gone from every file of it."""

from pathlib import Path

import pytest

from tests.shared.conftest import Bucket
from tests.shared.storages import KINDS, SECRET, life, make_storage, migration
from vector_pipeline.project import Project


@pytest.mark.slow
def test_a_dataset_lives_the_same_everywhere(request: pytest.FixtureRequest, tmp_path: Path, bucket: Bucket) -> None:
    facts = {}
    for number, kind in enumerate(KINDS):
        with Project.load(make_storage(request, tmp_path / f"project{number}", kind)) as project:
            facts[kind] = life(project)
    embedded = facts[KINDS[0]]
    assert facts == dict.fromkeys(KINDS, embedded)
    assert embedded["pending"]
    assert embedded["told"][-1] == ["page1.md", "page8.md"]
    assert embedded["rolled back to"] == 1
    assert embedded["repaired"] == (True, False)
    assert embedded["served after the erasure"] == 2
    assert embedded["expired"] == (1,)  # v2 is what a rollback goes to
    assert embedded["collected"]
    assert embedded["documents"] == ["page1.md", "page2.md", "page3.md", "page4.md", "page5.md", "page8.md"]
    held = bucket.objects()
    assert held
    with bucket.client() as client:
        holding = [
            key for key in held if SECRET.encode() in client.get_object(Bucket=bucket.name, Key=key)["Body"].read()
        ]
    assert holding == []


@pytest.mark.slow
def test_a_model_is_changed_the_same_everywhere(request: pytest.FixtureRequest, tmp_path: Path, bucket: Bucket) -> None:
    facts = {
        kind: migration(make_storage(request, tmp_path / f"project{number}", kind)) for number, kind in enumerate(KINDS)
    }
    embedded = facts[KINDS[0]]
    assert facts == dict.fromkeys(KINDS, embedded)
    assert embedded["first shard"] + embedded["rest"][0] == 7
    assert embedded["rest"][1:] == (0, True)
    assert (embedded["again"], embedded["back"], any(embedded["drifted"])) == (0, 2, False)
    assert all(embedded["retired"]), embedded["retired"]
    assert (embedded["left"], embedded["kept"]) == (["other"], [3, 4])
