"""What golden texts cost a fill, and what they still notice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attest.conftest import Become, become, changing
from tests.conftest import page, write_project
from tests.reembed.test_filling import OTHER, edit, with_space
from tests.reembed.work import FILLED, CountingProject, name_of
from vector_pipeline.build.attesting import SHARE
from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.golden import Golden, GoldenTables, read_golden
from vector_pipeline.lake.quarantine import last_proof
from vector_pipeline.project import Project, filling

__all__ = ["become", "changing"]
TEXTS = 60


@pytest.fixture
def project(tmp_path: Path) -> Iterator[CountingProject]:
    config = write_project(tmp_path, TEXTS)
    with Project.load(config) as opened:
        opened.build("handbook")
    # A commit is a batch at least.
    one_by_one = OTHER.replace("dimension: 96", "dimension: 96, batch_size: 1")
    with CountingProject.load(with_space(config, one_by_one)) as counting:
        counting.asked = tmp_path / "asked.txt"
        yield counting


def golden_of(project: Project) -> Golden:
    found = read_golden(project.lake(), GoldenTables.of(project.tables("handbook", FILLED)))
    assert found is not None
    return found


def asked(project: CountingProject) -> tuple[int, int]:
    """Golden documents and others that the model was asked for; forgotten afterwards."""
    golden = golden_of(project)
    names = {name_of(text) for kind, text in zip(golden.kinds, golden.texts, strict=True) if kind == "document"}
    lines = project.asked.read_text(encoding="utf-8").splitlines()
    project.asked.write_text("", encoding="utf-8")
    return sum(line in names for line in lines), sum(line not in names for line in lines)


def looks(project: Project) -> list[tuple[str, int]]:
    table = GoldenTables.of(project.tables("handbook", FILLED)).attestations
    return [
        (looked, probes)
        for looked, probes in project.lake().rows(f"SELECT looked_at, probes FROM {table} ORDER BY ALL")
    ]


@pytest.mark.slow
def test_golden_texts_are_one_in_twenty_of_what_a_fill_embeds(project: CountingProject) -> None:
    """Whatever its commits are: at a text a second there is one of a few texts every few seconds."""
    project.fill("handbook", FILLED, commit_rows=1)
    documents = sum(kind == "document" for kind in golden_of(project).kinds)
    golden, others = asked(project)
    assert others == TEXTS, "nothing is embedded twice, to warm up or otherwise"
    # When the table begins, and with the last commit; between, one in SHARE.
    assert golden <= 2 * documents + TEXTS // SHARE
    found = looks(project)
    assert [one for one in found if one[0] == "whole"] == [("whole", len(golden_of(project)))]
    assert [one for one in found if one[0] == "few"] == [("few", 1)] * (len(found) - 1)
    # Everything that was stored was proved by the look that came with the last of it.
    lake, tables = project.lake(), project.tables("handbook", FILLED)
    proof = last_proof(lake, GoldenTables.of(tables))
    assert lake.row(f"SELECT max(snapshot_id) FROM {tables.embeddings}")[0] == proof
    # A fill that goes on looks before its first text and with its last.
    edit(project, 3, page(3) + "\n\nAn addition.\n")
    project.asked.write_text("", encoding="utf-8")
    project.fill("handbook", FILLED)
    golden, others = asked(project)
    assert others == 1
    assert golden == documents + 4


@pytest.mark.slow
def test_a_model_that_moves_between_two_looks_is_noticed_and_what_it_wrote_goes(
    project: CountingProject, become: Become, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLICE", "_FIRST"):
        monkeypatch.setattr(filling, name, 4)  # a shard at a time

    def moves(_: object) -> None:
        become("weights")

    with pytest.raises(RefusedError, match=r"vectors of \d+ documents were written since it was last seen right"):
        project.fill("handbook", FILLED, commit_rows=1, on_filled=moves)
    lake, tables = project.lake(), project.tables("handbook", FILLED)
    become("")
    stored = int(lake.row(f"SELECT count(*) FROM {tables.embeddings}")[0])
    before = project.attest("handbook", space=FILLED, whole=True)
    assert 0 < before.wrong < SHARE + 4
    assert before.vectors == stored
    moved = project.attest("handbook", space=FILLED, whole=True, quarantine=True)
    assert moved.moved == before.wrong
    project.fill("handbook", FILLED)
    after = project.attest("handbook", space=FILLED, whole=True)
    assert (after.wrong, after.vectors, after.in_quarantine) == (0, TEXTS, 0)
