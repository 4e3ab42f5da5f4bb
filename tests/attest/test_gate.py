"""The gate: what it stops, and what it lets through."""

import json
import math
from collections.abc import Callable

import pytest

from tests.attest.conftest import Become, add, configure, vectors
from tests.conftest import MakeProject, page
from vector_pipeline.lake.golden import GoldenTables
from vector_pipeline.project import Project
from vector_pipeline.verify.outcome import CheckResult, Status


def judged(project: Project, version: int | None = None) -> CheckResult:
    _, results = project.verify("handbook", only=["attestation"], version=version)
    return results[0]


def released(project: Project) -> Project:
    project.build("handbook")
    project.push("handbook")
    return project


def served(project: Project) -> Project:
    released(project)
    project.verify("handbook")
    project.promote("handbook", by="test")
    return project


@pytest.mark.slow
def test_what_the_model_makes_again_passes(project: Project) -> None:
    result = judged(released(project))
    assert result.status is Status.PASSED
    assert result.detail["sampled"] == result.detail["vectors"]
    assert result.detail["golden"] >= 30
    assert result.detail["worst"] < 1e-12
    assert "all 36 vectors" in result.summary or result.detail["at_most_wrong"] == 0


@pytest.mark.slow
def test_a_sample_says_how_much_may_be_wrong(make_project: MakeProject) -> None:
    project = released(make_project(40, gates="attestation: {sample: 20}, max_removed_share: 1"))
    result = judged(project)
    assert result.detail["sampled"] == 20
    assert result.detail["at_most_wrong"] == pytest.approx(math.log(20) / 20)
    assert "at most 15.0% of all are wrong (95% certain)" in result.summary
    assert judged(project).detail == result.detail


@pytest.mark.slow
def test_half_of_the_sample_is_new_and_the_verdict_counts_it_apart(make_project: MakeProject) -> None:
    project = served(make_project(40, gates="attestation: {sample: 20}, max_removed_share: 1"))
    old = len(vectors(project))
    for number in range(10):
        add(project, f"new{number}.md", page(70 + number))
    released(project)
    result = judged(project)
    assert result.status is Status.PASSED, result.summary
    assert (result.detail["sampled"], result.detail["sampled_new"]) == (20, 10)
    # Ten draws of the old ones, which are the most, say no more of them for ten draws of what is new.
    assert result.detail["at_most_wrong"] == pytest.approx(math.log(20) / 10 * old / result.detail["vectors"])


Spoil = Callable[[str], str]
SPOILS: dict[str, str] = {
    "scaled": "list_transform(vector, x -> (x * 1.01)::FLOAT)",
    "int8": "list_transform(vector, x -> (round(x * 127 / list_max(vector)) / 127 * list_max(vector) + 0.004)::FLOAT)",
    "another dimension": "vector[:64]",
    "zeros": "list_transform(vector, x -> 0::FLOAT)",
    "reversed": "list_reverse(vector)",
}


@pytest.mark.slow
@pytest.mark.parametrize("how", sorted(SPOILS))
def test_wrong_vectors_are_stopped_and_named(project: Project, how: str) -> None:
    released(project)
    lake, tables = project.lake(), project.tables("handbook")
    shard = lake.row(f"SELECT min(shard) FROM {tables.embeddings}")[0]
    lake.transaction(
        lambda: lake.run(f"UPDATE {tables.embeddings} SET vector = {SPOILS[how]} WHERE shard = {shard}"), "another hand"
    )
    result = judged(project)
    assert result.status is Status.FAILED
    assert result.detail["shards"] == [shard]
    assert {one["shard"] for one in result.examples} == {shard}
    assert all(str(one["document"]).endswith(".md") for one in result.examples)
    assert "vector-pipeline attest handbook --space tiny --quarantine" in result.summary


@pytest.mark.slow
def test_permuted_vectors_are_stopped(project: Project) -> None:
    released(project)
    lake, tables = project.lake(), project.tables("handbook")
    lake.run(
        f"""CREATE TEMP TABLE turned AS SELECT shard, content_hash,
            lag(vector, 1, (SELECT arg_max(vector, content_hash) FROM {tables.embeddings})) OVER (ORDER BY content_hash) AS v
            FROM {tables.embeddings}"""
    )
    lake.transaction(
        lambda: lake.run(
            f"""UPDATE {tables.embeddings} e SET vector = t.v FROM turned t
                WHERE e.shard = t.shard AND e.content_hash = t.content_hash"""
        ),
        "another hand",
    )
    result = judged(project)
    assert result.status is Status.FAILED
    assert result.detail["wrong"] > result.detail["sampled"] // 2


@pytest.mark.slow
@pytest.mark.parametrize("what", ["weights", "nudged", "scaled", "stripped", "int8"])
def test_a_model_that_changed_after_the_build_is_stopped(project: Project, become: Become, what: str) -> None:
    released(project)
    become(what)
    result = judged(project)
    assert result.status is Status.FAILED
    assert "golden text" in result.summary
    assert result.detail["golden_moved"] > 0


@pytest.mark.slow
def test_vectors_in_quarantine_are_missed(project: Project) -> None:
    released(project)
    project.attest("handbook", everything=True, quarantine=True)
    result = judged(project)
    assert result.status is Status.FAILED
    assert "quarantine" in result.summary or "golden" in result.summary


@pytest.mark.slow
def test_another_model_under_the_same_configuration_is_stopped(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the weights in a folder were replaced: the fingerprint is another one, and nobody said so."""
    from vector_pipeline.embedding import deterministic, factory

    project = served(make_project())
    path = project.base / "vector_pipeline.yaml"
    project.close()
    of = deterministic.fingerprint
    monkeypatch.setattr(deterministic, "fingerprint", lambda parts: of({**parts, "weights": "replaced"}))
    monkeypatch.setattr(factory, "_open", {})
    with Project.load(path) as other:
        released(other)
        result = judged(other)
        assert result.status is Status.FAILED
        assert "changed under its name" in result.summary
        # Production's own version cannot be embedded here any more.
        first = judged(other, version=1)
        assert first.status is Status.UNKNOWN
        assert "the model changed under its name" in first.summary


Change = Callable[[dict[str, object]], None]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("then", "what", "status", "said"),
    [
        # Options that the release had not which made production, and what it dumped though nobody had said it.
        (lambda one: one.update(normalize=True), "weights", Status.FAILED, "changed under its name"),
        (lambda one: one.update(model="other"), "weights", Status.PASSED, "are what the model makes"),
        # An option that this release knows no more.
        (lambda one: one.update(pooling="mean"), "weights", Status.UNKNOWN, "nobody knows whether another model"),
        (lambda one: one.update(pooling="mean"), "", Status.PASSED, "for the model of production is not known"),
    ],
)
def test_a_model_that_changed_with_the_software_is_stopped(
    make_project: MakeProject, become: Become, monkeypatch: pytest.MonkeyPatch, then: Change, what: str, status: Status, said: str
) -> None:  # fmt: skip
    from vector_pipeline.embedding import deterministic, factory

    project = served(make_project())
    names, lake = GoldenTables.of(project.tables("handbook")), project.lake()
    written = json.loads(lake.row(f"SELECT any_value(declared) FROM {names.golden}")[0])
    assert written.keys() == {"kind", "model", "dimension"}  # As it stands in the file: no default of this release.
    then(written)
    lake.transaction(lambda: lake.run(f"UPDATE {names.golden} SET declared = ?", [json.dumps(written)]), "then")
    path = project.base / "vector_pipeline.yaml"
    project.close()
    of = deterministic.fingerprint
    monkeypatch.setattr(deterministic, "fingerprint", lambda parts: of({**parts, "library": "upgraded"}))
    monkeypatch.setattr(factory, "_open", {})
    become(what)
    with Project.load(path) as other:
        result = judged(released(other))
    assert result.status is status, result.summary
    assert said in result.summary


@pytest.mark.slow
def test_a_declared_model_passes(make_project: MakeProject) -> None:
    project = configure(served(make_project()), "model: seed", "model: another")
    result = judged(released(project))
    assert result.status is Status.PASSED
    other = judged(project, version=1)
    assert other.status is Status.UNKNOWN
    assert "configured, or installed, otherwise" in other.summary
    project.close()
