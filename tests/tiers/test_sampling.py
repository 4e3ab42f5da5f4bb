"""A sample is a function of ids: equal everywhere, nested, and in Python what it is in SQL."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiers.conftest import Open, tier, write
from vector_pipeline.corpus.sampling import Sample
from vector_pipeline.errors import ConfigError, RefusedError

IDS = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=30, unique=True)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(IDS, st.floats(0.01, 0.99), st.lists(st.sampled_from(["a*", "?b", "[!c]*", "x", "*.md", "["]), max_size=3))
def test_sql_and_python_agree(ids: list[str], share: float, also: list[str]) -> None:
    sample = Sample(share, tuple(sorted(also)))
    pattern = sample.pattern()
    like = "OR regexp_full_match(id, $1, 's')" if pattern is not None else ""
    with duckdb.connect() as con:
        con.register("documents", pa.table({"id": ids}))
        con.register("named", pa.table({"name": pa.array(sample.also, pa.string())}))
        sql = f"SELECT id FROM documents WHERE {sample.hashed('id')} OR id IN (FROM named) {like}"
        found = con.execute(sql, [pattern] if pattern is not None else []).fetchall()
    assert {row[0] for row in found} == {one for one in ids if sample.keeps(one)}


@given(st.text(min_size=1), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_larger_sample_contains_the_smaller(document: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert Sample(large).keeps(document) or not Sample(small).keeps(document)


def test_a_tenth_is_a_tenth() -> None:
    ids = [f"guide/page-{number}.md" for number in range(20_000)]
    assert sum(map(Sample(0.1).keeps, ids)) == pytest.approx(2_000, rel=0.1)


def held(project_file: Path, opened: Open, environment: str) -> set[str]:
    project = opened(project_file, environment)
    project.build("handbook")
    assert project.pending("handbook") == set()
    version = project.versions("handbook")[-1].number
    return {one["document"] for one in project.documents("handbook", version=version)}


def test_staging_holds_the_sample_and_what_is_named(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "canaries.yaml").write_text("canaries: [{query: page three, expect: [page3.md]}]")
    environments = {
        "staging": tier(tmp_path / "staging", sample=0.3, sample_also=["page1?.md"]),
        "again": tier(tmp_path / "again", sample=0.3, sample_also=["page1?.md"]),
        "prod": tier(tmp_path / "prod"),
    }
    file = write(tmp_path, environments, pages=30, gates={"canaries": "canaries.yaml"})
    ids = {f"page{number}.md" for number in range(30)}
    wanted = {one for one in ids if Sample(0.3, ("page1?.md", "page3.md")).keeps(one)}
    assert {"page3.md", *(f"page1{number}.md" for number in range(10))} <= wanted < ids
    assert held(file, opened, "staging") == held(file, opened, "again") == wanted
    assert held(file, opened, "prod") == ids
    project = opened(file, "staging")
    project.push("handbook")
    _, results = project.verify("handbook", only=["source freshness"])
    assert [one.summary for one in results] == ["the version holds what its source lists now; no bound is set"]


@pytest.mark.slow
def test_records_are_sampled_too(tmp_path: Path, opened: Open) -> None:
    rows = "\n".join(f'{{"id": "r{number}", "text": "record number {number} speaks"}}' for number in range(40))
    (tmp_path / "records.jsonl").write_text(rows)
    source = {"kind": "jsonl", "path": "records.jsonl"}
    file = write(tmp_path, {"staging": tier(tmp_path / "s", sample=0.4)}, source=source)
    assert held(file, opened, "staging") == {f"r{n}" for n in range(40) if Sample(0.4).keeps(f"r{n}")}


def test_a_sample_of_nothing_is_an_error(tmp_path: Path, opened: Open) -> None:
    file = write(tmp_path, {"staging": tier(tmp_path / "s", sample=0.000001)})
    with pytest.raises(RefusedError, match=r"none of the 4 documents of the source is in the sample"):
        opened(file, "staging").build("handbook")


def test_mistakes_of_the_file(tmp_path: Path, opened: Open) -> None:
    for more, said in (
        ({"sample": 1.5}, "sample"),
        ({"sealed": "a secret written out"}, "a seal is a reference to one secret"),
        ({"reuse": "prdo"}, "prdo is not one of the other environments: prod"),
        ({"reuse": "staging"}, "in a circle: staging, staging"),
        ({"reuse": "prod"}, "environment prod lets nobody read its vectors"),
    ):
        environments = {"staging": tier(tmp_path / "s", **more), "prod": tier(tmp_path / "p", reusable=False)}
        with pytest.raises(ConfigError, match=said):
            opened(write(tmp_path, environments), "staging")
