"""Taking over: what fits is kept, the rest is embedded, the old index stays, and the baseline is released as any version."""

import numpy as np
import pyarrow as pa
import pytest

from tests.adopt.conftest import CONTENTS, Source
from tests.adopt.grown import NAMESPACE, SPACE
from vector_pipeline.adopt import keep_vectors
from vector_pipeline.hashing import content_hash
from vector_pipeline.project import Project
from vector_pipeline.report.progress import reporting_to
from vector_pipeline.targets.base import record_schema
from vector_pipeline.targets.duckdb import DuckDBTarget


class Steps:
    """The largest total that each step reported."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}

    def update(self, step: str, done: int, total: int, *, unit: str = "", note: str = "") -> None:
        self.totals[step] = max(total, self.totals.get(step, 0))


def held(project: Project) -> dict[str, list[float]]:
    """Content → vector of the lake."""
    rows = project.lake().rows(f"SELECT content_hash, vector FROM {project.tables('handbook').embeddings}")
    return {name: list(vector) for name, vector in rows}


def whole(project: Project) -> tuple[object, list[dict[str, object]]]:
    """Everything that the old namespace is."""
    target = project.target("handbook", read_only=True)
    ids = [name for batch in target.scan(NAMESPACE) for name in batch.column("id").to_pylist()]
    return target.describe(NAMESPACE), sorted(target.fetch(NAMESPACE, ids).to_pylist(), key=lambda row: row["id"])


@pytest.mark.slow
def test_only_the_rest_is_embedded_and_the_baseline_is_released(project: Project, source: Source) -> None:
    before, steps = whole(project), Steps()
    with reporting_to(steps):
        adopted = project.adopt("handbook", namespace=NAMESPACE, by="tester", run_id="run 1")
    assert (adopted.version, adopted.made, adopted.stored, adopted.embedded) == (1, True, 10, 8)
    assert (steps.totals["keep vectors"], steps.totals["embed"]) == (10, 8)
    assert steps.totals["compare vectors"] == 13, "14 records of 13 texts"
    vectors = held(project)
    assert len(vectors) == CONTENTS
    for n, one in enumerate(source.contents):
        np.testing.assert_allclose(vectors[content_hash(one.embedded)], source.right[n], atol=1e-6)
    (version,) = project.versions("handbook")
    assert version.message == "adopted from local/old-docs: 10 vectors kept, 3 foreign"

    pushed = project.push("handbook", by="tester")
    assert pushed.deployment.namespace != NAMESPACE
    _, gates = project.verify("handbook")
    assert [gate.name for gate in gates if gate.blocks] == []
    _, moved = project.promote("handbook", by="tester")
    assert moved
    assert whole(project) == before


@pytest.mark.slow
def test_the_adoption_is_remembered_once_and_without_texts(project: Project, source: Source) -> None:
    first = project.adopt("handbook", namespace=NAMESPACE, by="tester", run_id="run 1")
    snapshot = project.lake().snapshot_id()
    again = project.adopt("handbook", namespace=NAMESPACE, by="tester", run_id="run 2")
    assert (again.version, again.made, again.stored, again.embedded) == (first.version, False, 0, 0)
    assert project.lake().snapshot_id() == snapshot
    assert again.plan.message == first.plan.message
    (audit,) = project.registry().audits("handbook")
    assert (audit.level, audit.by, audit.run_id, audit.drifted) == ("adopt", "tester", "run 1", False)
    assert audit.counts == {"records": 18, "foreign": 3, "usable": 10, "kept": 10, "embedded": 8}
    said = str(audit.detail)
    assert not any(one.embedded in said or repr(one.embedded)[1:-1] in said for one in source.contents)


@pytest.mark.slow
def test_an_adoption_that_was_cut_off_is_finished_by_the_next(project: Project) -> None:
    project.sync("handbook")
    project.chunk("handbook")
    target = project.target("handbook", read_only=True)
    project._examined(project.lake(), "handbook", "local", NAMESPACE, 256, ())
    assert keep_vectors(project.lake(), project.tables("handbook"), target, NAMESPACE, normalize=True) == 9
    adopted = project.adopt("handbook", namespace=NAMESPACE)
    assert (adopted.plan.known, adopted.stored, adopted.embedded, adopted.made) == (9, 1, 8, True)
    assert project.versions("handbook")[0].message == "adopted from local/old-docs: 10 vectors kept, 3 foreign"


def test_a_vector_that_changed_after_it_was_compared_is_not_kept(project: Project, source: Source) -> None:
    project.sync("handbook")
    project.chunk("handbook")
    plan = project._examined(project.lake(), "handbook", "local", NAMESPACE, 256, ())
    assert plan.kept == 9, "without text keys, the record that keeps its text in metadata is silent"
    target = project.target("handbook", read_only=True)
    rows = target.fetch(NAMESPACE, ["doc-3"]).to_pylist()
    rows[0]["vector"] = source.other[3].tolist()
    writer = DuckDBTarget("local", target.root)  # type: ignore[attr-defined]
    writer.upsert(NAMESPACE, pa.Table.from_pylist(rows, schema=record_schema(128)))
    writer.delete(NAMESPACE, pa.array(["doc-4"]))
    writer.close()
    assert keep_vectors(project.lake(), project.tables("handbook"), target, NAMESPACE, normalize=True) == 7
    assert not {content_hash(source.contents[n].embedded) for n in (3, 4)} & set(held(project))
    assert rows[0]["space"] == SPACE


@pytest.mark.slow
def test_what_the_lake_has_already_is_not_replaced(project: Project) -> None:
    project.build("handbook", message="before")
    before = held(project)
    adopted = project.adopt("handbook", namespace=NAMESPACE)
    assert (adopted.version, adopted.made, adopted.stored, adopted.embedded) == (1, False, 0, 0)
    assert held(project) == before
    assert [audit.level for audit in project.registry().audits("handbook")] == ["adopt"]


@pytest.mark.parametrize("normalize", [True, False])
def test_lengths_matter_only_where_the_space_keeps_them(unbuilt: object, project: Project, normalize: bool) -> None:
    project.sync("handbook")
    project.chunk("handbook")
    project._normalized = lambda *_: normalize  # type: ignore[method-assign]
    plan = project._examined(project.lake(), "handbook", "local", NAMESPACE, 256, ())
    assert (plan.model.usable, plan.model.normalise) == ((9, 1) if normalize else (8, 0))
