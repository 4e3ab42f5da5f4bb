"""Filling a space beside the one that serves: what builds do to it, how far it is, and when it is whole."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import page, write_project
from vector_pipeline.errors import RefusedError
from vector_pipeline.project import Project
from vector_pipeline.verify.catchup import judge
from vector_pipeline.verify.outcome import Status

OTHER = "      other:\n        embedder: {kind: deterministic, model: another, dimension: 96}\n        chunker: {kind: whole}\n"
WHY = {"by": "test", "reason": "test"}


def with_space(config: Path, space: str = OTHER, serving: str = "tiny", more: str = "") -> Path:
    """The same project with a second space."""
    text = config.read_text(encoding="utf-8")
    text = text.replace("    target: local\n", f"{space}    serving: {serving}\n{more}    target: local\n")
    config.write_text(text, encoding="utf-8")
    return config


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_project(tmp_path)


@pytest.fixture
def project(config: Path) -> Iterator[Project]:
    with Project.load(config) as opened:
        opened.build("handbook")
    with Project.load(with_space(config)) as opened:
        yield opened


def edit(project: Project, number: int, text: str) -> None:
    (project.base / "documents" / f"page{number}.md").write_text(text, encoding="utf-8")
    project.sync("handbook")
    project.chunk("handbook")
    project.embed("handbook")


def states(project: Project) -> dict[int, str]:
    return {one.state.shard: one.status for one in project.fill_status("handbook", "other").shards}


@pytest.mark.slow
def test_a_build_fills_nothing_of_a_space_that_does_not_serve(project: Project) -> None:
    assert project.shards_to_build("handbook", "other", None) == []
    assert project.shards_to_build("handbook", "tiny", None) is None
    assert project.unfilled("handbook", "other") == 4
    assert set(states(project).values()) == {"pending"}
    # Nothing is pending for a build either: else every release would cover every shard while a space is filled.
    assert project.pending("handbook") == set()
    project.fill("handbook", "other", shards=[0])
    with pytest.raises(RefusedError, match="no version can be made"):
        project.snapshot("handbook", space="other")


def test_shards_are_filled_in_any_order_and_nothing_is_embedded_twice(project: Project) -> None:
    first = project.fill("handbook", "other", shards=[2])
    again = project.fill("handbook", "other", shards=[2])
    assert first.embedded > 0
    assert (again.embedded, again.chunked) == (0, 0)
    assert states(project) == {0: "pending", 1: "pending", 2: "done", 3: "pending"}
    rest = project.fill("handbook", "other")
    assert first.embedded + rest.embedded == 12
    assert rest.left == 0
    version = project.snapshot("handbook", space="other").version
    assert (version.documents, version.records, version.dimension) == (12, 12, 96)


def test_what_was_edited_after_its_fill_is_stale_until_it_is_caught_up(project: Project) -> None:
    project.fill("handbook", "other")
    edit(project, 3, page(3) + "\n\nAn addition.\n")
    (project.base / "documents" / "page5.md").unlink()
    project.sync("handbook")
    status = project.fill_status("handbook", "other")
    assert (status.total.stale, status.total.gone, status.total.done) == (1, 1, 10)
    assert "stale" in states(project).values()
    pending = project.pending("handbook")
    assert pending, "a build catches filled shards up"
    caught = project.catch_up("handbook", "other", sorted(pending))
    assert (caught.chunked, caught.embedded) == (1, 1)
    assert project.fill_status("handbook", "other").whole


@pytest.mark.slow
def test_a_text_that_somebody_elses_shard_lacks_too_waits_for_it(project: Project) -> None:
    """Whoever has all shards that lack it embeds it: the other one finds it there."""
    project.fill("handbook", "other")
    for number in range(12):
        (project.base / "documents" / f"page{number}.md").write_text(page(100), encoding="utf-8")
    project.sync("handbook")
    project.chunk_each("handbook", "other", None)
    resource = f"lake/handbook/{project.tables('handbook', 'other').embedding_table}"
    lease = project.registry().acquire_lease(f"{resource}/3", "another machine/1/1", 600)
    with ThreadPoolExecutor(1) as pool:
        fill = pool.submit(project.fill, "handbook", "other", shards=[0])
        # The other three are its, and it waits for the fourth.
        waiting(lambda: len(project.registry().leases_below(resource)) == 4)
        assert not fill.done()
        assert project.fill_status("handbook", "other").total.pending == 12
        project.registry().release_lease(lease)
        assert fill.result(60).embedded == 1
    rest = project.fill("handbook", "other")
    assert (rest.embedded, rest.left) == (0, 0)
    assert project.spent("handbook", "other") == 12 + 1


def waiting(holds: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


@pytest.mark.slow
def test_a_rechunked_space_takes_the_vectors_that_are_there(config: Path) -> None:
    with Project.load(config) as opened:
        opened.build("handbook")
    same_model = OTHER.replace("model: another, dimension: 96", "model: seed, dimension: 128").replace(
        "kind: whole", "max_tokens: 60, overlap_tokens: 5, min_tokens: 10, heading_context: true"
    )
    with Project.load(with_space(config, same_model)) as opened:
        filled = opened.fill("handbook", "other")
        assert (filled.chunked, filled.embedded) == (12, 0)
        assert opened.fill_status("handbook", "other").whole


@pytest.mark.slow
def test_a_budget_stops_a_fill_before_it_embeds(config: Path) -> None:
    with Project.load(config) as opened:
        opened.build("handbook")
    with Project.load(with_space(config, more="    reembed: {max_texts: 5}\n")) as opened:
        with pytest.raises(
            RefusedError, match=r"12 texts of handbook would be embedded in space other, more than its budget of 5"
        ):
            opened.fill("handbook", "other")
        assert opened.fill_status("handbook", "other").total.pending == 12
        assert opened.fill("handbook", "other", over_budget=True).embedded == 12


def test_the_cut_over_is_exact(project: Project) -> None:
    old = project.version("handbook")
    project.push("handbook")
    project.verify("handbook", only=project.gates_of("handbook", "local"))
    project.promote("handbook", **WHY)
    project.fill("handbook", "other")
    new = project.snapshot("handbook", space="other").version
    deployment = project.push("handbook", version=new.number).deployment

    def gate():  # type: ignore[no-untyped-def]
        return judge(project.gate_context(project.version("handbook", new.number), deployment))

    passed = gate()
    assert passed.status is Status.PASSED, passed.summary
    assert passed.detail["served"] == passed.detail["documents"] == 12
    # Production moves on in its own space: what stands beside it is behind from then on.
    edit(project, 3, page(3) + "\n\nAn addition.\n")
    (project.base / "documents" / "new.md").write_text(page(99), encoding="utf-8")
    project.sync("handbook")
    project.chunk("handbook")
    project.embed("handbook")
    newer = project.snapshot("handbook").version
    assert newer.number > old.number
    project.push("handbook", version=newer.number)
    project.verify("handbook", version=newer.number)
    project.promote("handbook", **WHY)
    behind = gate()
    assert behind.status is Status.FAILED
    assert (behind.detail["missing"], behind.detail["behind"]) == (1, 1)
    # Caught up, it passes again; what was edited after production's version is no fault.
    edit(project, 4, page(4) + "\n\nLater still.\n")
    caught = project.snapshot_caught_up("handbook", space="other").version
    deployment = project.push("handbook", version=caught.number).deployment
    result = judge(project.gate_context(caught, deployment))
    assert result.status is Status.PASSED, result.summary
    assert result.detail["changed_since"] == 1


@pytest.mark.slow
def test_production_moves_into_a_space_only_when_the_configuration_serves_it(project: Project, config: Path) -> None:
    project.push("handbook")
    project.verify("handbook")
    project.promote("handbook", **WHY)
    project.fill("handbook", "other")
    new = project.snapshot("handbook", space="other").version
    project.push("handbook", version=new.number)
    project.verify("handbook", version=new.number)
    with pytest.raises(
        RefusedError, match=r"version 2 of handbook is of space other, and the configuration serves tiny"
    ):
        project.promote("handbook", version=new.number, **WHY)
    assert project.registry().alias("handbook", "dev", "staging").deployment.version == 1  # type: ignore[union-attr]
    config.write_text(config.read_text(encoding="utf-8").replace("serving: tiny", "serving: other"), encoding="utf-8")
    with Project.load(config) as switched:
        with pytest.raises(RefusedError, match="is of space tiny, and the configuration serves other"):
            switched.promote("handbook", **WHY)
        # Nothing is written: it stands there, judged.
        assert switched.push("handbook").applied.upserted == 0
        alias, moved = switched.promote("handbook", **WHY)
        assert (moved, alias.deployment.version, alias.deployment.space) == (True, 2, "other")
        back, _ = switched.rollback("handbook", **WHY)
        assert (back.deployment.version, back.deployment.space) == (1, "tiny")
        forth, _ = switched.promote("handbook", version=2, **WHY)
        assert forth.deployment.space == "other"


@pytest.mark.slow
def test_a_revision_that_gives_the_same_records_is_not_behind(config: Path) -> None:
    with Project.load(config) as opened:
        opened.build("handbook")
    structured = OTHER.replace("kind: whole", "max_tokens: 60, overlap_tokens: 5, min_tokens: 10")
    whole = config.read_text(encoding="utf-8").replace(
        "chunker: {max_tokens: 60, overlap_tokens: 5, min_tokens: 10}", "chunker: {kind: whole}"
    )
    config.write_text(whole, encoding="utf-8")
    with Project.load(with_space(config, structured)) as project:
        project.build("handbook")
        project.fill("handbook", "other")
        beside = project.snapshot("handbook", space="other").version
        # One more blank line is another text of a whole document, and the same sections.
        edit(project, 3, page(3).replace("\n\n## Details", "\n\n\n## Details"))
        served = project.snapshot("handbook").version
        assert served.number > beside.number
        project.push("handbook", version=served.number)
        project.verify("handbook", version=served.number)
        project.promote("handbook", **WHY)
        again = project.snapshot_caught_up("handbook", space="other").version
        deployment = project.push("handbook", version=again.number).deployment
        result = judge(project.gate_context(again, deployment))
        assert again.number == beside.number
        assert result.status is Status.PASSED, result.summary


@pytest.mark.slow
def test_a_space_of_before_there_were_fills_is_caught_up(project: Project) -> None:
    project.fill("handbook", "other")
    assert project.snapshot("handbook", space="other").made
    with project.registry()._db._engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM vp_fills")
    assert project.unfilled("handbook", "other") == 0
    assert project.shards_to_build("handbook", "other", None) == [0, 1, 2, 3]


@pytest.mark.slow
def test_a_space_that_nobody_began_asks_no_release_for_its_model(config: Path) -> None:
    with Project.load(config) as opened:
        opened.build("handbook")
    elsewhere = "      other: {embedder: {model: a-model-on-another-machine}}\n"
    with Project.load(with_space(config, elsewhere)) as project:
        assert project.pending("handbook") == set()
        assert project.shards_to_build("handbook", "other", None) == []
        assert project.unfilled("handbook", "other") == 4
