"""Imports over a bad network: what is done to their start and their cancelling shows nowhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.imports.conftest import files_below
from tests.imports.test_importing import (  # noqa: F401  (run over this target too)
    CONTENT,
    interrupted,
    test_a_failed_import_is_tried_again_where_that_is_asked_for,
    test_a_first_load_is_imported_counted_and_cleared_up,
    test_a_line_is_dropped_with_its_import_and_the_files,
    test_a_start_that_never_arrived_is_not_found_in_an_older_import,
    test_an_interrupted_import_goes_on_and_the_next_push_watches_it,
    test_another_version_does_not_go_on_with_a_foreign_import,
    test_upserts_cancel_an_import_and_drop_what_it_left,
)
from tests.release.world import Store, World
from tests.support.pinecone import pinecone_target
from vector_pipeline.errors import UnavailableError
from vector_pipeline.release import clearing, importing
from vector_pipeline.release.push import Pushed
from vector_pipeline.release.registry import Version
from vector_pipeline.testing.faults import Fault, Faults, FaultyTarget
from vector_pipeline.testing.pinecone_server import PineconeServer


@pytest.fixture
def target(server: PineconeServer, files: Path) -> Iterator[FaultyTarget]:
    """No answer to a start or a cancelling is ever heard."""
    faults = Faults(rates={Fault.DROP_RESPONSE: 1.0}, operations=("start_import", "cancel_import"))
    made = FaultyTarget(pinecone_target(server, import_uri=str(files)), faults)
    yield made
    made.close()


@pytest.fixture
def once(target: FaultyTarget, store: Store, monkeypatch: pytest.MonkeyPatch) -> World:
    """One start or cancelling has a fault, said by ``then``; what is lost is not looked for long."""
    target.faults.stop()
    monkeypatch.setattr(importing, "PATIENCE_S", 0.1)
    monkeypatch.setattr(clearing, "PATIENCE_S", 0.1)
    return World(store, target)


def pushed_at_last(world: World, version: Version, load: str) -> Pushed:
    try:
        return world.push(version, load=load)
    except UnavailableError:
        return world.push(version, load=load)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_start_is_lost_doubled_late_or_refused(once: World, target: FaultyTarget, files: Path, fault: Fault) -> None:
    version = once.version(CONTENT)
    target.faults.then(fault)
    pushed = pushed_at_last(once, version, "import")
    assert target.injected[fault] == 1
    target.deliver_delayed()
    assert once.visible(pushed.deployment) == once.wanted(version.number)
    assert once.plan(version).empty
    assert files_below(files) == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", list(Fault))
def test_a_cancelling_is_lost_doubled_late_or_refused(
    once: World, target: FaultyTarget, server: PineconeServer, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    server.knobs.imports_s = 600
    version = once.version(CONTENT)
    interrupted(once, version, monkeypatch, load="import")
    target.faults.then(fault)
    pushed = pushed_at_last(once, version, "upsert")
    assert target.injected[fault] == 1
    target.deliver_delayed()
    assert once.visible(pushed.deployment) == once.wanted(version.number)
    assert once.plan(version).empty
