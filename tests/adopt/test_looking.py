"""What is found, to the record; and that looking writes nothing."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.adopt.conftest import PAGES, Source, grow
from tests.adopt.grown import NAMESPACE, Grown, state_of
from tests.conftest import write_project
from vector_pipeline.adopt import AdoptionPlan
from vector_pipeline.adopt.reading import prepare, take
from vector_pipeline.errors import NotFoundError, RefusedError
from vector_pipeline.project import Project
from vector_pipeline.targets.base import record_schema


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, source: Source) -> AdoptionPlan:
    """Of the grown index, beside a project that was never built."""
    config = write_project(tmp_path_factory.mktemp("looked"), PAGES)
    grow(source).write(config.parent / ".vector_pipeline/index")
    with Project.load(config) as project:
        return project.plan_adoption("handbook", namespace=NAMESPACE)


def test_the_inventory_counts_every_record(plan: AdoptionPlan) -> None:
    found = plan.inventory
    assert (found.dimension, found.metric, found.records, found.documents) == (128, "cosine", 18, 3)
    assert found.text_from == {"text": 16, "metadata page_content": 1}
    assert found.without_text == 1
    assert found.duplicate_texts == 1
    assert found.duplicate_vectors == 1
    assert (found.zero_vectors, found.not_finite) == (1, 0)
    assert (found.norms.normalised, found.norms.others, found.norms.mixed) == (16, 1, True)
    assert found.norms.median == pytest.approx(1)
    assert found.norms.most == pytest.approx(3)
    assert found.metadata["n"] == {"number": 9}
    assert found.metadata["source"] == {"text": 9}
    assert found.metadata["model"] == {"text": 3}
    assert found.id_shapes == {"name and number": 15, "other": 2, "uuid": 1}
    assert (found.ours, found.changed) == (0, False)


def test_every_record_is_explained_or_foreign(plan: AdoptionPlan) -> None:
    found = plan.matched
    assert (found.contents, found.documents) == (18, PAGES)
    assert found.records == {"text as embedded": 14, "as embedded, other blanks": 1}
    assert found.foreign == 3
    assert found.foreign_without_text == 1
    assert found.unexplained == 4
    assert found.keys_lost == ("model", "n", "source")
    assert {row["id"]: row["why"] for row in plan.foreign.to_pylist()} == {
        "about-us": "its text is not in the source",
        "5f0c6bde-4f6b-4c4e-8a53-9f0f5f3d2a11": "its text is not in the source",
        "silent": "it has no text",
    }


def test_vectors_count_only_where_text_and_model_match(plan: AdoptionPlan) -> None:
    assert plan.model.verdict == "mixed"
    assert (plan.model.compared, plan.model.agree) == (14, 11)
    assert plan.model.usable == 10
    assert plan.model.normalise == 1
    assert (plan.known, plan.kept, plan.to_embed) == (0, 10, 8)
    assert plan.message == "adopted from local/old-docs: 10 vectors kept, 3 foreign"
    assert any("normalised" in note for note in plan.notes)


def test_looking_writes_nothing_beside_an_index_alone(project: Project, unbuilt: Path) -> None:
    before = state_of(unbuilt.parent)
    assert [one.namespace for one in project.adoptable("handbook")] == [NAMESPACE]
    project.plan_adoption("handbook", namespace=NAMESPACE)
    project.close()
    assert state_of(unbuilt.parent) == before
    assert [path.name for path in (unbuilt.parent / ".vector_pipeline").iterdir()] == ["index"]


@pytest.mark.slow
def test_looking_writes_nothing_into_what_is_there(project: Project) -> None:
    project.build("handbook")
    target = project.target("handbook", read_only=True)
    before = (
        project.lake().snapshot_id(),
        project.versions("handbook"),
        target.describe(NAMESPACE),
        target.namespaces(),
    )
    plan = project.plan_adoption("handbook", namespace=NAMESPACE)
    assert (plan.known, plan.kept, plan.to_embed) == (18, 0, 0)
    assert (
        project.lake().snapshot_id(),
        project.versions("handbook"),
        target.describe(NAMESPACE),
        target.namespaces(),
    ) == before
    assert project.registry().audits("handbook") == []


@pytest.mark.slow
def test_what_is_managed_is_listed_and_refused(project: Project) -> None:
    version = project.build("handbook").version
    line = project.push("handbook").deployment.namespace
    assert {one.namespace: one.dataset for one in project.adoptable("handbook")} == {NAMESPACE: None, line: "handbook"}
    with pytest.raises(RefusedError, match="managed already"):
        project.plan_adoption("handbook", namespace=line)
    with pytest.raises(RefusedError, match="managed already"):
        project.adopt("handbook", namespace=line)
    assert [one.number for one in project.versions("handbook")] == [version.number]


def test_what_is_not_there_is_said(project: Project, unbuilt: Path) -> None:
    with pytest.raises(NotFoundError, match="no namespace nowhere"):
        project.plan_adoption("handbook", namespace="nowhere")
    with pytest.raises(NotFoundError, match="no target 'elsewhere'"):
        project.adoptable("handbook", target="elsewhere")
    Grown().write(unbuilt.parent / ".vector_pipeline/index", "hollow")
    with pytest.raises(RefusedError, match="is empty"):
        project.adopt("handbook", namespace="hollow")


def test_a_text_without_its_headings_explains_but_its_vector_is_another(
    project: Project, unbuilt: Path, source: Source
) -> None:
    grown = Grown()
    for n, one in enumerate(source.contents):
        if one.embedded != one.alone:
            (vector,) = project.embedder("handbook").embed_documents([one.alone])
            grown.add(f"bare-{n}", one.alone, vector)
    assert grown.rows
    grown.write(unbuilt.parent / ".vector_pipeline/index", "bare")
    plan = project.plan_adoption("handbook", namespace="bare")
    assert plan.matched.records == {"text alone": len(grown.rows)}
    assert plan.matched.foreign == 0
    assert (plan.model.verdict, plan.kept) == ("other", 0)


@pytest.mark.slow
def test_another_dimension_keeps_nothing(project: Project, unbuilt: Path, source: Source) -> None:
    grown = Grown(dimension=64)
    for n, one in enumerate(source.contents):
        grown.add(f"short-{n}", one.embedded, source.right[n, :64])
    grown.write(unbuilt.parent / ".vector_pipeline/index", "short")
    adopted = project.adopt("handbook", namespace="short")
    plan = adopted.plan
    assert plan.model.verdict == "dimension"
    assert "64 dimensions" in plan.model.why
    assert (plan.kept, plan.to_embed, plan.matched.unexplained) == (0, 18, 0)
    assert (adopted.stored, adopted.embedded) == (0, 18)


def test_whatever_a_target_lets_in_is_read(project: Project) -> None:
    """Other targets than ours hold vectors that are no numbers, metadata that is no object, and keys with odd names."""
    grown = Grown(dimension=2)
    about = [None, "[1, 2]", "no json", '{"a\\"b": 1, "$.x": "y", "content": "said"}', '{"content": 5}']
    for n, (vector, metadata) in enumerate(
        zip([[np.nan, 1], [np.inf, 1], [3e38, 3e38], [1, 0], [0, 0]], about, strict=True)
    ):
        grown.add(f"odd-{n}", "" if n > 2 else "text", np.array(vector))
        grown.rows[-1]["metadata"] = metadata
    prepare(project.lake())
    take(project.lake(), pa.Table.from_pylist(grown.rows, schema=record_schema(2)), ("content", 'odd"key', "it's"))
    rows = project.lake().rows("SELECT norm IS NULL, norm > 1e38, text_from FROM adopt_records ORDER BY id")
    assert rows == [
        (True, None, "text"), (True, None, "text"), (False, True, "text"), (False, False, "metadata content"),
        (False, False, "metadata content"),
    ]  # fmt: skip
    keys = project.lake().rows("SELECT key, sum(records) FROM adopt_keys GROUP BY key ORDER BY key")
    assert keys == [("$.x", 1), ('a"b', 1), ("content", 2)]
