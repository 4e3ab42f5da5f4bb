"""Groups, samples and disputes: what is kept when an index holds the work of several hands."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.adopt.conftest import CONTENTS, PAGES, Source
from tests.adopt.grown import Grown
from tests.conftest import write_project
from vector_pipeline.adopt import AdoptionPlan
from vector_pipeline.adopt.comparing import Unseen, at_most_wrong
from vector_pipeline.adopt.inventory import take_inventory
from vector_pipeline.adopt.matching import match
from vector_pipeline.adopt.model_check import SAMPLE, _group, _judged
from vector_pipeline.hashing import content_hash
from vector_pipeline.project import Project


class Bench:
    """One project, chunked once, that looks at many grown namespaces."""

    def __init__(self, project: Project, root: Path) -> None:
        self.project, self.root, self.count = project, root, 0

    def look(self, grown: Grown, sample: int = 256) -> AdoptionPlan:
        self.count += 1
        name = f"grown-{self.count}"
        grown.write(self.root, name)
        return self.project._examined(self.project.lake(), "handbook", "local", name, sample, ())

    def usable(self) -> dict[str, str]:
        """Content → id of what the last look would keep."""
        return dict(self.project.lake().rows("SELECT content_hash, id FROM adopt_usable"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    config = write_project(tmp_path_factory.mktemp("bench"), PAGES)
    with Project.load(config) as project:
        project.sync("handbook")
        project.chunk("handbook")
        yield Bench(project, config.parent / ".vector_pipeline/index")


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(["right", "other", "zero", "long", "none"]), min_size=CONTENTS, max_size=CONTENTS)
)
def test_compared_whole_exactly_the_right_ones_are_kept(bench: Bench, source: Source, kinds: list[str]) -> None:
    grown = Grown()
    made = {"right": source.right, "other": source.other, "zero": 0 * source.right, "long": 7 * source.right}
    for n, kind in enumerate(kinds):
        if kind != "none":
            grown.add(f"doc-{n}", source.contents[n].embedded, made[kind][n])
    grown.add("foreign", "nothing of ours", source.right[0])
    plan = bench.look(grown)
    fit = [n for n, kind in enumerate(kinds) if kind in ("right", "long")]
    assert sorted(bench.usable().values()) == sorted(f"doc-{n}" for n in fit)
    assert plan.kept == len(fit) == plan.matched.contents - plan.to_embed
    assert plan.matched.foreign == 1
    assert plan.matched.unexplained == kinds.count("none")
    assert plan.inventory.zero_vectors == kinds.count("zero")


def test_a_group_that_does_not_agree_is_kept_only_where_it_was_compared(bench: Bench, source: Source) -> None:
    grown = Grown()
    for n, one in enumerate(source.contents):
        grown.add(f"doc-{n}", one.embedded, (source.other if n % 2 else source.right)[n])
    plan = bench.look(grown, sample=6)
    assert plan.model.verdict == "mixed"
    assert plan.model.compared == 6
    assert plan.model.usable == plan.model.agree < 6
    assert plan.model.at_most_wrong == 0
    assert all(int(name.removeprefix("doc-")) % 2 == 0 for name in bench.usable().values())


def test_groups_are_told_apart_by_who_wrote_them(bench: Bench, source: Source) -> None:
    grown = Grown()
    for n, one in enumerate(source.contents):
        old = n < 9
        about = {"model": "old"} if old else {"model": "new", "lang": "en"}
        grown.add(f"doc-{n}", one.embedded, (source.other if old else source.right)[n], metadata=about)
    plan = bench.look(grown, sample=48)
    assert sorted((group.records, group.kept) for group in plan.model.groups) == [(9, False), (9, True)]
    assert plan.model.usable == 9


def test_a_sample_that_agrees_vouches_for_its_group_and_says_how_far(bench: Bench, source: Source) -> None:
    grown = Grown()
    for n, one in enumerate(source.contents):
        grown.add(f"doc-{n}", one.embedded, source.right[n])
    plan = bench.look(grown, sample=5)
    assert (plan.model.compared, plan.model.usable, plan.model.verdict) == (5, CONTENTS, "same")
    assert plan.model.at_most_wrong == pytest.approx(3 / 5)
    assert bench.look(grown).model.at_most_wrong == 0


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 60), st.integers(1, 60), st.integers(0, 60)).map(
            lambda one: Unseen(max(one), min(one[:2]), 0, min(one[2], max(one) - min(one[:2])))
        ),
        max_size=5,
    ),
    st.data(),
)
def test_the_bound_is_the_worst_that_the_samples_leave_room_for(groups: list[Unseen], data: st.DataObject) -> None:
    most = at_most_wrong(groups)
    budget, wrong = 3.0, 0.0
    for one in groups:
        share = data.draw(st.floats(0, min(1.0, max(0.0, budget) / one.compared)))
        budget -= share * one.compared
        wrong += min(one.kept, share * one.records)
    assert wrong <= most + 1e-6
    assert most <= sum(min(one.kept, 3 * one.records / one.compared) for one in groups) + 1e-6


def test_a_large_group_is_not_vouched_for_by_small_ones(bench: Bench) -> None:
    lake = bench.project.lake()
    lake.run(
        """CREATE OR REPLACE TEMP TABLE adopt_records AS
           SELECT 'b' || i AS id, md5('v' || i) AS vector_hash, 1.0::DOUBLE AS norm, 'uuid' AS shape, 'k' AS keys_hash
           FROM range(20000) r(i) UNION ALL
           SELECT 's' || i || 'x' || j, md5('w' || i || '-' || j), 1.0, 'uuid', 'k' || i FROM range(14) a(i), range(16) b(j)"""
    )
    lake.run(
        "CREATE OR REPLACE TEMP TABLE adopt_matched AS SELECT id, 1 AS kind, md5(id) AS content_hash FROM adopt_records"
    )
    _group(lake, SAMPLE)
    taken = lake.row("SELECT count(*) FILTER (starts_with(id, 'b')), count(*) FROM adopt_sample")
    assert taken[1] <= SAMPLE
    assert taken[0] >= SAMPLE // 2
    broken = 0
    for turn in range(20):
        wrong = f"starts_with(id, 'b') AND hash(id || '{turn}') % 100 < 2"
        lake.run(
            f"""CREATE OR REPLACE TEMP TABLE adopt_compared AS
                SELECT id, 1.0::DOUBLE AS cosine, NOT ({wrong}) AS agrees FROM adopt_sample"""
        )
        found = _judged(lake, None, normalize=True)
        kept = lake.row(f"SELECT count(*) FROM adopt_usable WHERE {wrong}")[0]
        broken += kept > found.at_most_wrong * found.usable
    assert broken <= 3


def test_two_vectors_of_one_text_need_a_comparison(bench: Bench, source: Source) -> None:
    grown = Grown()
    noise = np.random.default_rng(0).normal(scale=1e-4, size=source.right.shape)
    for n, one in enumerate(source.contents):
        grown.add(f"doc-{n}", one.embedded, source.right[n])
        grown.add(f"doc-{n}-1", one.embedded, source.right[n] + noise[n])
    plan = bench.look(grown, sample=4)
    assert plan.model.verdict == "same"
    assert plan.model.usable + plan.model.disputed == CONTENTS
    assert 2 <= plan.model.usable <= 4
    whole = bench.look(grown)
    assert (whole.model.usable, whole.model.disputed) == (CONTENTS, 0)


def test_a_text_under_several_headings_explains_and_names_nothing(bench: Bench, source: Source) -> None:
    chunks = bench.project.lake().table(f"SELECT * FROM {bench.project.tables('handbook').chunks}")
    rows = chunks.to_pylist()[:2]
    for n, row in enumerate(rows):
        row.update(text="Shared.", context=f"Heading {n}\n\n", content_hash=content_hash(f"Heading {n}\n\nShared."))
    grown = Grown()
    grown.add("one", "Shared.", source.right[0])
    grown.write(bench.root, "shared")
    lake = bench.project.lake()
    take_inventory(lake, bench.project.target("handbook", read_only=True), "shared")
    with lake.registered("given_chunks", type(chunks).from_pylist(rows, schema=chunks.schema)):
        found = match(lake, "given_chunks")
    assert found.records == {"text alone": 1}
    assert (found.ambiguous, found.foreign, found.unexplained) == (1, 0, 0)
