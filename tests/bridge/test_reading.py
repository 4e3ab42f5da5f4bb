"""A reader that asks in the new space while production is in the old one."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from tests.bridge.conftest import release, write
from vector_pipeline import open_index
from vector_pipeline.bridge.crossing import Crossings, opened
from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.parts import Parts
from vector_pipeline.project import Project
from vector_pipeline.serving.asynchronous import open_async_index

CONFIG = "vector_pipeline.yaml"
ASKED = "Paragraph 2 of page 3 speaks of item3x2 and more"


def test_queries_of_the_new_space_go_through_a_bridge_that_is_on(bridged: Path) -> None:
    with (
        open_index("handbook", project=bridged, space="new", max_staleness_s=0) as index,
        Project.load(bridged / CONFIG) as project,
    ):
        answer = index.search(ASKED, top_k=5)
        (state,) = project.bridge_status("handbook")
        assert state.used
        assert (answer.bridged, answer.bridge, answer.bridge_recall) == (
            True,
            state.bridge.fingerprint,
            state.bridge.recall,
        )
        assert (answer.version, answer.space) == (1, "old")
        # It is the mapped vector of the new model that was searched with.
        held = opened(state.bridge, project.registry().bridge_map(state.bridge))
        vector = held.apply(project.embedder("handbook", "new").embed_queries([ASKED]))
        alias = project.registry().alias("handbook", "dev", "production")
        assert alias is not None
        (matches,) = project.target_named("local", read_only=True).query(
            alias.deployment.namespace, np.ascontiguousarray(vector), top_k=5, version=1, exact=True
        )
        assert [hit.id for hit in answer.hits] == [match.id for match in matches]
        assert index.health().ok
        both = index.query([ASKED, "about page 7"], top_k=2)
        assert len(both) == 2


def test_who_does_not_ask_for_it_is_never_bridged(bridged: Path) -> None:
    with open_index("handbook", project=bridged) as index:
        answer = index.search(ASKED)
        assert (answer.bridged, answer.bridge, answer.bridge_recall) == (False, None, None)
        assert answer.hits[0].version == 1


def test_without_a_bridge_the_query_is_refused_and_told_what_to_do(served: Path) -> None:
    with open_index("handbook", project=served, space="new", max_staleness_s=0) as index:
        with pytest.raises(
            RefusedError, match=r"space new cannot be asked of version 1.*space old: no bridge.*vector-pipeline bridge"
        ):
            index.search(ASKED)
        health = index.health()
        assert not health.ok
        assert "no bridge between them is on" in health.embedder.said
        with Project.load(served / CONFIG) as project:
            project.fit_bridge("handbook", "new", by="ann")
            with pytest.raises(RefusedError):
                index.search(ASKED)
            project.bridge_on("handbook", by="ann")
            assert index.search(ASKED).bridged, "without opening it anew"
            assert project.bridge_off("handbook", by="ann") == 1
            with pytest.raises(RefusedError, match="no bridge between them is on"):
                index.search(ASKED)


def test_an_embedder_that_changed_has_no_bridge(bridged: Path) -> None:
    write(bridged, model="newer")
    with (
        open_index("handbook", project=bridged, space="new") as index,
        pytest.raises(RefusedError, match="no bridge between them is on"),
    ):
        index.search(ASKED)
    with Project.load(bridged / CONFIG) as project:
        (state,) = project.bridge_status("handbook")
        assert (state.on, state.spaces) == (True, None)


@pytest.mark.parametrize(
    ("bridge", "said"), [("", "allows no bridge"), ("    bridge: {min_recall: 0.99}", r"bridge\.min_recall is 99%")]
)
def test_the_configuration_has_the_last_word(bridged: Path, bridge: str, said: str) -> None:
    write(bridged, bridge=bridge)
    with open_index("handbook", project=bridged, space="new") as index, pytest.raises(RefusedError, match=said):
        index.search(ASKED)


@pytest.mark.slow
def test_a_cut_over_makes_it_unused_by_itself_and_a_rollback_used_again(bridged: Path) -> None:
    with open_index("handbook", project=bridged, space="new", max_staleness_s=0) as index:
        assert index.search(ASKED).bridged
        write(bridged, serving="new")
        with Project.load(bridged / CONFIG) as project:
            release(project)
            answer = index.search(ASKED)
            assert (answer.bridged, answer.bridge, answer.space, answer.version) == (False, None, "new", 2)
            (state,) = project.bridge_status("handbook")
            assert (state.on, state.used) == (True, False)
            project.rollback("handbook", by="test")
            assert index.search(ASKED).bridged


def test_an_unknown_space_is_refused_at_once(served: Path) -> None:
    with pytest.raises(NotFoundError, match="no space 'other'"):
        open_index("handbook", project=served, space="other")


def test_an_event_loop_goes_the_same_way(bridged: Path) -> None:
    async def ask() -> bool:
        async with await open_async_index("handbook", project=bridged, space="new") as index:
            return (await index.search(ASKED)).bridged

    assert asyncio.run(ask())


def test_a_registry_that_is_away_leaves_what_was_known(bridged: Path) -> None:
    with Parts.load(bridged / CONFIG) as parts:
        version = parts.version("handbook", 1)
        crossings = Crossings(parts, "handbook", "new", 0)
        crossing = crossings.to(version)
        assert crossing is not None
        parts.registry(read_only=True).close()
        file = parts.registry(read_only=True).file
        assert file is not None
        file.rename(file.with_suffix(".away"))
        assert crossings.to(version) is crossing
        assert crossings.to(version) is crossing, "and it is not asked again at once"
        file.with_suffix(".away").rename(file)
