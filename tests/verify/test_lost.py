"""What is lost, and what only lies elsewhere."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.given_texts import Doc, Docs, TextWorld, library, sentence, story
from vector_pipeline.hashing import shard_of
from vector_pipeline.verify.lost import gate as lost
from vector_pipeline.verify.lost.moved import LOST, find_lost
from vector_pipeline.verify.lost.topics import Group, Tolerance
from vector_pipeline.verify.outcome import CheckResult, Status

OLD = library(400)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextWorld]:
    made = TextWorld(tmp_path_factory.mktemp("lost"))
    yield made
    made.lake.close()


def judged(world: TextWorld, old: Docs, new: Docs, **limits: object) -> CheckResult:
    before, now = world.version(old), world.version(new)
    return lost.judge(world.context(now, before, lost_content=limits))


def without(docs: Docs, gone: set[str]) -> dict[str, str | Doc]:
    return {name: one for name, one in docs.items() if name not in gone}


def some(share: float, seed: int = 1) -> set[str]:
    return set(random.Random(seed).sample(sorted(OLD), round(share * len(OLD))))


def test_a_first_release_passes(world: TextWorld) -> None:
    result = lost.judge(world.context(world.version({"a": story(1)})))
    assert (result.status, result.summary) == (Status.PASSED, "no other version is served: nothing to compare with")


def test_a_twentieth_of_the_documents_is_missed_and_named(world: TextWorld) -> None:
    gone = some(0.05)
    old = OLD | {name: Doc(str(OLD[name]), title="The ledger of Jane") for name in gone}
    result = judged(world, old, without(OLD, gone))
    assert "ledger" not in str(result.to_json()), (
        "a verdict outlives the documents that it names, and says nothing of theirs"
    )
    assert result.status is Status.FAILED
    assert result.summary.startswith("20 of 400 documents that production serves are lost: more than 2.0%")
    assert {one["document"] for one in result.examples} <= gone
    assert result.detail["lost"] == 20
    assert result.detail["lost_share"] == 0.05
    table = result.detail["charts"][-1]
    assert {row[0] for row in table["rows"]} == gone


@pytest.mark.parametrize("seed", range(4))
def test_a_few_deletions_anywhere_pass(world: TextWorld, seed: int) -> None:
    assert judged(world, OLD, without(OLD, some(0.02, seed))).status is Status.PASSED


def test_few_documents_are_never_many(world: TextWorld) -> None:
    small = library(8)
    assert judged(world, small, without(small, {"doc1", "doc2"})).status is Status.PASSED
    assert judged(world, small, without(small, {"doc1", "doc2", "doc3"})).status is Status.FAILED
    assert judged(world, small, without(small, {"doc1", "doc2", "doc3"}), min_documents=4).status is Status.PASSED


def test_all_that_speaks_of_one_thing_is_missed(world: TextWorld) -> None:
    topic = {f"a{n}": story(9000 + n, "zirconium") for n in range(7)}
    result = judged(world, OLD | topic, OLD)
    assert result.status is Status.FAILED
    assert "7 of 407" in result.summary
    assert "'zirconium' lost 7 of 7" in str([*result.examples, result.summary])


def test_what_lies_together_is_missed_without_a_common_word(world: TextWorld) -> None:
    chance = random.Random(5)
    pool = [sentence(chance).rstrip(".") for _ in range(3)]
    near = {f"z{n}": f"{pool[0]} {pool[1]} {pool[2]} item{n}." for n in range(9)}
    result = judged(world, OLD | near, OLD)
    assert result.status is Status.FAILED
    assert any(topic["kind"] == "neighbours of" for topic in result.detail["topics"])


@pytest.mark.parametrize(
    ("kind", "name"),
    [("folder", lambda n: f"guides/{n}"), ("product", lambda n: f"k{n}"), ("shard", lambda n: f"s{n}")],
)
def test_a_group_that_is_gone_is_named(world: TextWorld, kind: str, name: Callable[[int], str]) -> None:
    if kind == "shard":
        part = {name for name in OLD if shard_of(name, world.shards) == 3}
        result = judged(world, OLD, without(OLD, part), max_documents=1)
    else:
        metadata = {"product": "lamp"} if kind == "product" else {}
        part = {name(n) for n in range(6)}
        docs = {key: Doc(story(5000 + n), metadata=metadata) for n, key in enumerate(sorted(part))}
        result = judged(
            world, {**{key: Doc(text, metadata={"product": "desk"}) for key, text in OLD.items()}, **docs}, OLD
        )
    assert result.status is Status.FAILED
    found = [topic for topic in result.detail["topics"] if topic["kind"] == kind]
    assert found
    assert found[0]["lost"] == found[0]["of"] == len(part)


@pytest.mark.slow
def test_half_of_a_folder_of_many_is_missed_and_a_tenth_is_not(world: TextWorld) -> None:
    folder = {f"guides/{n}": story(3000 + n) for n in range(40)}
    old = library(1000, 10_000) | folder
    assert judged(world, old, without(old, {f"guides/{n}" for n in range(20)})).status is Status.FAILED
    assert judged(world, old, without(old, {f"guides/{n}" for n in range(4)})).status is Status.PASSED


def edited(text: str) -> str:
    return text.replace(" the ", " The  ").replace(". ", ".\n", 1)


MOVES: dict[str, Callable[[dict[str, str]], dict[str, str]]] = {
    "renamed": lambda docs: {f"moved/{name}": text for name, text in docs.items()},
    "renamed and wrapped": lambda docs: {f"moved/{name}": edited(text) for name, text in docs.items()},
    "renamed, and a sentence written anew": lambda docs: {
        f"moved/{name}": text.rpartition(". ")[0] + ". Something else stands here now." for name, text in docs.items()
    },
    "merged": lambda docs: {
        f"all{n}": "\n\n".join(list(docs.values())[n : n + 5]) for n in range(0, len(docs), 5)
    },
    "split": lambda docs: {
        f"{name}/{n}": part for name, text in docs.items() for n, part in enumerate(text.split(". "))
    },
    "copied": lambda docs: docs | {f"copy/{name}": text for name, text in docs.items()},
}  # fmt: skip


@pytest.mark.parametrize("move", MOVES)
def test_what_was_moved_is_not_lost(world: TextWorld, move: str) -> None:
    result = judged(world, OLD, MOVES[move](dict(OLD)))
    assert result.status is Status.PASSED, result.summary
    assert result.detail["lost"] == 0


def test_one_of_several_equal_documents_is_no_loss_and_an_empty_text_saves_nobody(world: TextWorld) -> None:
    same = {f"copy{n}": story(1) for n in range(30)}
    assert judged(world, OLD | same, OLD).detail["lost"] == 0
    result = judged(world, {**OLD, **{f"e{n}": " " for n in range(4)}}, {**OLD, "e0": " "})
    assert result.detail["lost"] == 3


@pytest.mark.slow
def test_a_footer_that_lives_on_saves_no_document(world: TextWorld) -> None:
    footer = " ".join(sentence(random.Random(f"footer{n}")) for n in range(8))
    old = {name: f"{text} {footer}" for name, text in OLD.items()}
    gone = some(0.1)
    new = {name: f"{text} Seen." for name, text in old.items() if name not in gone}
    assert judged(world, old, new).detail["lost"] == len(gone)


SIBLINGS: dict[str, Callable[[str, str], tuple[str, str]]] = {
    "edited": lambda name, text: (name, f"{text} Seen in June."),
    "renamed": lambda name, text: (f"guide/{name}", text),
    "renamed and edited": lambda name, text: (f"guide/{name}", f"{text} Seen in June."),
}


@pytest.mark.parametrize("change", SIBLINGS)
def test_documents_that_stay_save_none_that_they_are_alike(world: TextWorld, change: str) -> None:
    """Of each product's two manuals, alike in six sentences of ten, the older one is dropped; the other one goes on."""
    old = {
        f"{year}/m{n}": f"{story(n, sentences=6)} {story(year * 1000 + n, sentences=4)}"
        for n in range(60)
        for year in (3, 4)
    }
    kept = dict(SIBLINGS[change](name, text) for name, text in old.items() if name.startswith("4/"))
    result = judged(world, old, kept)
    assert result.status is Status.FAILED, result.summary
    assert result.detail["lost"] == 60
    assert {one["document"][:2] for one in result.examples if one["fault"] == "lost"} == {"3/"}


def test_what_a_page_took_over_of_another_one_is_not_lost(world: TextWorld) -> None:
    old = library(100, 60_000)
    names = list(old)
    new = {name: f"{old[name]} {old[other]}" for name, other in zip(names[:50], names[50:], strict=True)}
    assert judged(world, old, new).detail["lost"] == 0


def test_chance_does_not_lose_a_topic() -> None:
    tolerance = Tolerance.of(0.3, 3, 1000, 20)
    assert tolerance.exceeded(Group("word", "w", 8, 8))
    assert not tolerance.exceeded(Group("word", "w", 8, 400)), "two hundredths are tolerated"
    assert not tolerance.exceeded(Group("word", "w", 7, 7)), "few"
    half = Tolerance.of(0.3, 3, 1000, 500)
    assert not half.exceeded(Group("word", "w", 12, 20)), "as everywhere"


NAMES = st.sampled_from([f"doc{n}" for n in range(30)])


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(gone=st.sets(NAMES), renamed=st.sets(NAMES), added=st.integers(0, 20), wrapped=st.booleans())
def test_exactly_what_is_nowhere_is_lost(
    world: TextWorld, gone: set[str], renamed: set[str], added: int, wrapped: bool
) -> None:
    """A rename is never a loss, whatever else is added; a loss is never a rename."""
    old = library(30)
    new: dict[str, str] = library(added, 500)
    for name, text in old.items():
        if name not in gone:
            new[f"x/{name}" if name in renamed else name] = edited(text) if wrapped else text
    new = new or {"other": story(900)}
    lake = world.lake
    with lake.registered("old_docs", world.documents(old)), lake.registered("new_docs", world.documents(new)):
        assert find_lost(lake, "old_docs", "new_docs") == len(gone | renamed)
    assert {row[0] for row in world.lake.rows(f"SELECT document_id FROM {LOST}")} == gone


def test_additions_never_fail(world: TextWorld) -> None:
    result = judged(world, OLD, OLD | library(800, 1000))
    assert (result.status, result.detail["gone"]) == (Status.PASSED, 0)


def test_large_versions_are_sampled(world: TextWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    from vector_pipeline.verify.lost import topics as lost_topics

    monkeypatch.setattr(lost_topics.draw, "__defaults__", (150,))
    topic = {f"a{n}": story(9000 + n, "zirconium") for n in range(40)}
    result = judged(world, library(400, 20_000) | topic, library(400, 20_000), max_documents=1)
    assert result.status is Status.FAILED
    assert "belong together" in result.summary


def test_a_spread_loss_in_another_space_is_counted_too(world: TextWorld, tmp_path: Path) -> None:
    before = world.version(OLD)
    now = world.version(without(OLD, some(0.05)), space="other")
    assert lost.judge(world.context(now, before)).status is Status.FAILED
