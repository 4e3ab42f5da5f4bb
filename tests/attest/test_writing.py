"""A model that changed under its name writes nothing; one that did not writes as ever."""

import pytest

from tests.attest.conftest import Become, add, attestations, configure, vectors
from tests.conftest import MakeProject, page
from vector_pipeline.build import attesting
from vector_pipeline.build.attesting import Attestor
from vector_pipeline.errors import ConfigError, RefusedError
from vector_pipeline.lake.golden import GoldenTables, read_golden
from vector_pipeline.project import Project


def golden_rows(project: Project) -> list[tuple[object, ...]]:
    names = GoldenTables.of(project.tables("handbook"))
    return project.lake().rows(f"SELECT kind, name, origin, vector, made_at FROM {names.golden} ORDER BY ALL")


@pytest.mark.slow
def test_golden_texts_stand_before_the_first_vector_and_stay(project: Project) -> None:
    project.build("handbook")
    before = golden_rows(project)
    assert len({row[1] for row in before}) >= 30
    assert {row[0] for row in before} == {"document", "query"}
    assert attestations(project)[-1] == ("whole", True)
    add(project, "new.md", page(77))
    project.build("handbook")
    assert golden_rows(project) == before
    assert attestations(project)[-1] == ("whole", True)
    lake, tables = project.lake(), project.tables("handbook")
    written = lake.row(f"SELECT min(snapshot_id) FROM {tables.embeddings}")[0]
    assert lake.row(f"SELECT max(snapshot_id) FROM {GoldenTables.of(tables).golden}")[0] < written


@pytest.mark.slow
@pytest.mark.parametrize("what", ["weights", "nudged", "scaled", "int8", "stripped"])
def test_a_model_that_changed_writes_nothing(project: Project, become: Become, what: str) -> None:
    project.build("handbook")
    before = vectors(project)
    add(project, "new.md", page(77))
    become(what)
    with pytest.raises(RefusedError, match=r"golden text '.+' \(as a .+\) moved by .*nothing was written") as caught:
        project.build("handbook")
    assert "vector-pipeline attest handbook" in str(caught.value)
    assert "deterministic seed" in str(caught.value)
    assert vectors(project) == before
    assert attestations(project)[-1] == ("whole", False)
    become("")
    assert project.build("handbook").made
    assert attestations(project)[-1] == ("whole", True)


@pytest.mark.slow
def test_a_halved_truncation_shows_on_long_texts(make_project: MakeProject, become: Become) -> None:
    project = make_project(seed="cuts, max_tokens: 256")
    project.build("handbook")
    add(project, "new.md", page(77))
    become("halved")
    with pytest.raises(RefusedError, match=r"golden text '\d+ words'"):
        project.build("handbook")


def test_swapped_prompts_show(make_project: MakeProject, become: Become) -> None:
    project = make_project(seed='asks, query_prompt: "query: ", document_prompt: "passage: "')
    project.build("handbook")
    add(project, "new.md", page(77))
    become("prompts")
    with pytest.raises(RefusedError, match="moved by"):
        project.build("handbook")


@pytest.mark.slow
def test_a_long_run_asks_before_it_embeds(project: Project, become: Become, monkeypatch: pytest.MonkeyPatch) -> None:
    project.build("handbook")
    monkeypatch.setattr(attesting, "LONG_RUN", 1)
    add(project, "new.md", page(77))
    become("weights")
    asked: list[int] = []
    monkeypatch.setattr(Attestor, "attest", lambda self, last: asked.append(1))
    with pytest.raises(RefusedError, match="moved by"):
        project.build("handbook")
    assert not asked


def test_what_was_killed_between_attesting_and_committing_goes_on(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("vector_pipeline.lake.embeddings.store_vectors", killed)
        with pytest.raises(KeyboardInterrupt):
            project.build("handbook")
    # Golden texts stand, nothing else: no attestation of what was not written.
    before = golden_rows(project)
    assert before
    assert attestations(project) == []
    assert vectors(project) == {}
    made = project.build("handbook")
    assert made.made
    assert golden_rows(project) == before


@pytest.mark.slow
def test_an_old_lake_is_believed_where_a_sample_of_it_agrees(make_project: MakeProject, become: Become) -> None:
    project = configure(make_project(gates="modes: {attestation: 'off'}"), "gates: {", "gates: { ")
    project.build("handbook")
    names = GoldenTables.of(project.tables("handbook"))
    assert not names.exist(project.lake())
    project = configure(project, "attestation: 'off'", "attestation: warn")
    add(project, "new.md", page(77))
    become("weights")
    with pytest.raises(RefusedError, match=r"did not make \d+ of \d+ vectors of handbook .*nothing was written"):
        project.build("handbook")
    assert read_golden(project.lake(), names) is None
    assert attestations(project) == [("sample", False)]
    become("")
    project.build("handbook")
    found = read_golden(project.lake(), names)
    assert found is not None
    assert found.declared is not None
    assert attestations(project)[-1] == ("whole", True)
    project.close()


@pytest.mark.slow
def test_own_texts_come_and_go_with_their_file(make_project: MakeProject, become: Become) -> None:
    project = make_project(gates="attestation: {golden: golden.txt}")
    file = project.base / "golden.txt"
    with pytest.raises(ConfigError, match=r"golden\.txt cannot be read"):
        project.build("handbook")
    file.write_text("our own words\n\nanother line\n", encoding="utf-8")
    project.build("handbook")
    first = {row[1]: row for row in golden_rows(project) if row[2] == "file"}
    assert len(first) == 2
    file.write_text("a third line\nour own words\n", encoding="utf-8")
    add(project, "new.md", page(77))
    become("weights")
    with pytest.raises(RefusedError, match="moved by"):
        project.build("handbook")
    assert {row[1] for row in golden_rows(project) if row[2] == "file"} == set(first)
    become("")
    project.build("handbook")
    after = {row[1]: row for row in golden_rows(project) if row[2] == "file"}
    assert len(after) == 2
    assert len(set(after) & set(first)) == 1


@pytest.mark.slow
def test_records_of_attestations_are_bounded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vector_pipeline.lake.golden.KEPT_RECORDS", 2)
    for number in range(5):
        add(project, f"new{number}.md", page(70 + number))
        project.build("handbook")
    assert len(attestations(project)) <= 5
    assert ("whole", True) in attestations(project)
