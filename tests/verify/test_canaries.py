from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_pipeline.errors import ConfigError, UnavailableError
from vector_pipeline.targets.base import LIVE, Filter, Match
from vector_pipeline.verify.canaries.file import read_canaries
from vector_pipeline.verify.canaries.gate import Canary, load_canaries, run_canaries
from vector_pipeline.verify.outcome import Status

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return to


class Index:
    """A ranking by hand: query -> chunks as document ids, best first. Keeps what it was asked."""

    def __init__(self, ranking: dict[str, list[str]]) -> None:
        self.ranking = ranking
        self.calls: list[tuple[list[str], int, Filter | None]] = []

    def __call__(self, queries: Sequence[str], k: int, filter: Filter | None, /) -> list[list[Match]]:
        self.calls.append((list(queries), k, filter))
        return [
            [Match(f"{doc}#{i}", 1 - i / 10_000, doc, "h", 1, LIVE) for i, doc in enumerate(self.ranking[query][:k])]
            for query in queries
        ]


FULL = """
# people write comments
canaries:
  - query: How do I make coffee?
    expect: [drinks/*.md, tea.md]
    match: all
    k: 3
    forbid: soup.md
    filter: {lang: en}
    tags: [kitchen, smoke]
    id: coffee
  - query: How do I make coffee?
    expect: coffee.md
"""


def test_yaml_and_jsonl_read_alike(write: Write) -> None:
    full, short = load_canaries(write("c.yaml", FULL))
    assert full == Canary(
        "coffee",
        "How do I make coffee?",
        ("drinks/*.md", "tea.md"),
        "all",
        3,
        ("soup.md",),
        {"lang": "en"},
        ("kitchen", "smoke"),
    )
    assert short == Canary(short.id, "How do I make coffee?", ("coffee.md",))
    assert short.id.startswith("how-do-i-make-coffee-")
    lines = '\n{"query": "How do I make coffee?", "expect": ["coffee.md"]}\n\n'
    assert load_canaries(write("c.jsonl", lines)) == (short,)


def test_a_mark_at_the_begin_of_a_file_is_no_part_of_it(write: Write) -> None:
    line = '{"query": "q", "expect": ["a"]}\n'
    assert load_canaries(write("c.jsonl", "\ufeff" + line)) == load_canaries(write("d.jsonl", line))
    assert load_canaries(write("c.yaml", "\ufeff" + ONE)) == load_canaries(write("d.yaml", ONE))


ONE = "canaries:\n - {query: q, expect: [a]}\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.yaml", "", ":1: the file must hold a mapping"),
        ("c.yaml", "- query: q\n", ":1: the file must hold a mapping"),
        ("c.yaml", "canaries: []\n", ":1: the file holds no canary"),
        ("c.yaml", "canaries:\n", ":1: canaries must be a list"),
        ("c.yaml", "\ncanary: []\n", ":2: unknown key canary; known here: canaries"),
        ("c.yaml", "canaries:\n - query: q\n   expect: [a\n", ":4: not YAML"),
        ("c.yaml", "canaries:\n - just text\n", ":2: a canary must be a mapping"),
        ("c.yaml", "canaries:\n - expect: [a]\n", ":2: query: missing key: add it"),
        ("c.yaml", "canaries:\n - query: q\n   expect: [a]\n - query: q2\n", ":4: a canary needs `expect:`"),
        ("c.yaml", "canaries:\n - query: q\n   expect: []\n", ":2: a canary needs `expect:`"),
        (
            "c.yaml",
            "canaries:\n - query: q\n   expect: [a]\n   wants: 1\n",
            ":4: wants: unknown key; known here: query",
        ),
        ("c.yaml", "canaries:\n - query: q\n   expect: [a]\n   k: 0\n", ":4: k: "),
        ("c.yaml", "canaries:\n - query: q\n   expect: [a]\n   match: some\n", ":4: match: "),
        ("c.yaml", "canaries:\n - query: q\n   expect: [1]\n", ":3: expect: write a document's id"),
        ("c.yaml", "canaries:\n - query: q\n   expect: [{document: a, within: 0}]\n", ":3: expect: "),
        (
            "c.yaml",
            "canaries:\n - query: q\n   expect: [{document: a, rank: 1}]\n",
            ":3: expect: rank: unknown key; known here: document, within",
        ),
        (
            "c.yaml",
            "pass_rates: {a: 0.9}\ncanaries:\n - {query: q, expect: [a]}\n",
            ":1: pass_rates: no canary has the tag a",
        ),
        (
            "c.yaml",
            "canaries:\n - {query: q, expect: [a], tags: a}\npass_rates:\n  a: 90%\n",
            ":4: pass_rates: a must be a number from 0 to 1",
        ),
        (
            "c.yaml",
            "canaries:\n - {query: q, expect: [a]}\npass_rates: 0.9\n",
            ":3: pass_rates must be a mapping of tags",
        ),
        ("c.yaml", "canaries:\n - query: ' '\n   expect: [a]\n", ":2: query: a query must not be blank"),
        ("c.yaml", "canaries:\n - query: q\n   expect: [a]\n   filter: {d: 2024-01-01}\n", ":4: filter: "),
        ("c.yaml", "canaries:\n - {query: q, expect: [a]}\n - {query: q, expect: [a]}\n", ":3: canary q-"),
        ("c.jsonl", '{"query": "q", "expect": ["a"]}\n{"query": \n', ":2: not JSON"),
        ("c.jsonl", '\n["q"]\n', ":2: a canary must be a mapping"),
        ("c.jsonl", '{"query": "q", "expects": ["a"]}\n', ":1: expects: unknown key"),
        ("c.jsonl", "\n", ":1: the file holds no canary"),
        ("c.yaml", f"{ONE}canaries:\n - {{query: r, expect: [a]}}\n", ":3: canaries stands twice in one mapping"),
        ("c.yaml", "canaries:\n - query: q\n   query: r\n   expect: [a]\n", ":3: query stands twice in one mapping"),
        ("c.yaml", "canaries: &c\n - *c\n", ":1: a canary must be a mapping"),
        ("c.yaml", "? [a]\n: 1\ncanaries: []\n", ":1: not YAML"),
        ("c.yaml", "canaries: " + "[" * 5_000, ":1: not YAML: it is nested too deeply"),
        ("c.jsonl", "\n" + "[" * 100_000, ":2: not JSON: it is nested too deeply"),
    ],
)
def test_mistakes_name_file_and_line(write: Write, name: str, text: str, message: str) -> None:
    path = write(name, text)
    with pytest.raises(ConfigError) as caught:
        load_canaries(path)
    assert str(caught.value).startswith(f"{path}{message}")
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"canaries: [\xe9]")
    for name, reason in (("absent.yaml", "No such file"), ("latin.yaml", "not UTF-8"), (".", "directory")):
        with pytest.raises(ConfigError, match=reason):
            load_canaries(tmp_path / name)


def one(canary: Canary, ranking: list[str]) -> bool:
    return run_canaries([canary], Index({canary.query: ranking}), 1.0).status is Status.PASSED


def test_chunks_of_one_document_count_once() -> None:
    ranking = ["a", "a", "a", "b", "a", "c"]
    assert one(Canary("x", "q", ("c",), k=3), ranking)
    assert not one(Canary("x", "q", ("c",), k=2), ranking)


def test_the_search_widens_until_k_documents_are_seen() -> None:
    index = Index({"q": ["long"] * 5000 + ["a", "b"], "r": ["a", "b"]})
    canaries = [Canary("x", "q", ("b",), k=3), Canary("y", "r", ("b",), k=3)]
    assert run_canaries(canaries, index, 1.0).status is Status.PASSED
    assert [len(queries) for queries, _, _ in index.calls] == [2] + [1] * (len(index.calls) - 1)
    assert index.calls[-1][1] > 5000
    endless = Index({"q": ["long"] * 30_000})
    assert run_canaries([Canary("x", "q", ("b",))], endless, 1.0).status is Status.FAILED
    assert endless.calls[-1][1] == 10_000


def test_match_forbid_and_patterns() -> None:
    ranking = ["guide/a.md", "b[1].md", "c.md"]
    assert one(Canary("x", "q", ("none", "guide/*"), "any"), ranking)
    assert not one(Canary("x", "q", ("none", "guide/*"), "all"), ranking)
    assert one(Canary("x", "q", ("*.md", "b[1].md"), "all"), ranking)
    assert not one(Canary("x", "q", ("GUIDE/*",)), ranking)
    assert not one(Canary("x", "q", ("c.md",), forbid=("guide/?.md",)), ranking)
    assert one(Canary("x", "q", (), forbid=("d.md",)), ranking)
    assert one(Canary("x", "q", ("guide/a.md",), forbid=("c.md",), k=2), ranking)


def test_an_expectation_may_have_a_rank_of_its_own(write: Write) -> None:
    (canary,) = load_canaries(
        write(
            "c.yaml", "canaries:\n - {query: q, expect: [a.md, {document: b.md, within: 8}], match: all, k: 2, id: x}\n"
        )
    )
    assert (canary.expect, canary.within, canary.depth) == (("a.md", "b.md"), (None, 8), 8)
    rest = [f"{n}.md" for n in range(6)]
    assert one(canary, ["a.md", *rest, "b.md"])
    assert not one(canary, [rest[0], rest[1], "a.md", "b.md"]), "a.md must be among the first k"
    late = run_canaries([canary], Index({"q": ["b.md", "0.md", "a.md"]}), 1.0)
    assert late.examples[0]["why"] == "must find a.md among the first 2 (it came as number 3); found b.md, 0.md, a.md"
    assert late.examples[0]["ranks"] == [3, 1]
    far = Canary("x", "q", ("b.md",), k=1, within=(3,), forbid=("c.md",))
    assert one(far, ["a.md", "c.md", "b.md"]), "what is forbidden is so among the first k"


def test_names_of_canaries_stay_what_they_were(write: Write) -> None:
    (old,) = load_canaries(write("c.yaml", 'canaries:\n - {query: "How do I make coffee?", expect: [coffee.md]}\n'))
    assert old.id == "how-do-i-make-coffee-2d2f55"
    (noted,) = load_canaries(
        write(
            "d.yaml", 'canaries:\n - {query: "How do I make coffee?", expect: [coffee.md], critical: true, notes: n}\n'
        )
    )
    assert noted.id == old.id
    assert (noted.critical, noted.notes) == (True, "n")


def test_a_critical_one_must_pass_whatever_the_rate(write: Write) -> None:
    canaries = [Canary(f"c{n}", f"q{n}", ("d",), critical=n == 7) for n in range(10)]
    ranking = {f"q{n}": ["d"] if n not in (3, 7) else ["e"] for n in range(10)}
    result = run_canaries(canaries, Index(ranking), 0.5)
    assert result.status is Status.FAILED
    assert result.summary.endswith("required 50%; critical ones fail: c7")
    assert [example["id"] for example in result.examples] == ["c7", "c3"], "critical ones first"
    assert result.detail["critical_failing"] == 1


def test_a_tag_may_have_a_rate_of_its_own(write: Write) -> None:
    text = "pass_rates: {legal: 0.9}\ncanaries:\n" + "".join(
        f" - {{query: q{n}, expect: [d], tags: {'legal' if n < 4 else 'other'}}}\n" for n in range(20)
    )
    file = read_canaries(write("c.yaml", text))
    assert file.pass_rates == {"legal": 0.9}
    assert file.lines[:2] == (3, 4)
    lines = '{"pass_rates": {"legal": 0.9}}\n{"query": "q0", "expect": ["d"], "tags": ["legal"]}\n'
    assert read_canaries(write("c.jsonl", lines)).pass_rates == {"legal": 0.9}
    ranking = {f"q{n}": ["d"] if n else ["e"] for n in range(20)}
    result = run_canaries(file.canaries, Index(ranking), 0.9, pass_rates=file.pass_rates)
    assert result.status is Status.FAILED
    assert "3/4 of tag legal, required 90%" in result.summary
    assert result.detail["tags"]["legal"]["required"] == 0.9
    other = run_canaries(
        file.canaries, Index({name: ["d"] for name in ranking} | {"q9": ["e"]}), 0.9, pass_rates=file.pass_rates
    )
    assert other.status is Status.PASSED


def test_a_document_that_is_not_there_is_told_as_such() -> None:
    canaries = [
        Canary("a", "q", ("gone.md",)),
        Canary("b", "r", ("here.md",)),
        Canary("c", "s", ("gone.md", "here.md")),
    ]
    asked: list[Sequence[str]] = []

    def absent(patterns: Sequence[str]) -> set[str]:
        asked.append(patterns)
        return {"gone.md"}

    result = run_canaries(canaries, Index({"q": ["x"], "r": ["x"], "s": ["here.md"]}), 0.1, version=7, absent=absent)
    assert [example["why"] for example in result.examples] == [
        "expects gone.md, which version 7 does not have; found x",
        "must find here.md; found x",
    ]
    assert result.examples[0]["absent"] == ["gone.md"]
    assert asked == [["gone.md", "here.md"]], "only what is missing is asked for"


def test_queries_of_one_k_and_filter_are_searched_together() -> None:
    canaries = [
        Canary("a", "q1", ("d",)),
        Canary("b", "q2", ("d",), filter={"x": 1, "y": 2}),
        Canary("c", "q3", ("d",)),
        Canary("d", "q4", ("d",), filter={"y": 2, "x": 1}),
        Canary("e", "q5", ("d",), k=1),
    ]
    index = Index({canary.query: ["d"] for canary in canaries})
    result = run_canaries(canaries, index, 1.0)
    assert [(queries, k) for queries, k, _ in index.calls] == [(["q1", "q3"], 20), (["q2", "q4"], 20), (["q5"], 4)]
    assert [item["id"] for item in result.detail["canaries"]] == list("abcde")


def test_rate_interval_tags_and_what_came_instead() -> None:
    canaries = [Canary(f"c{i}", f"q{i}", ("good",), tags=("odd",) if i % 2 else ()) for i in range(40)]
    ranking = {f"q{i}": ["bad", "good"] if i not in (1, 2) else ["bad", "worse"] for i in range(40)}
    result = run_canaries(canaries, Index(ranking), 0.9)
    assert result.summary == "38/40 canary queries passed (95.0%, 95% interval 83.5 to 98.6), required 90%"
    assert result.status is Status.PASSED
    assert result.detail["tags"]["odd"]["passed"] == 19
    assert [example["id"] for example in result.examples] == ["c1", "c2"]
    assert result.examples[0]["missing"] == ["good"]
    assert result.examples[0]["got"][0] == {"document_id": "bad", "score": 1.0}
    assert run_canaries(canaries, Index(ranking), 0.95).status is Status.PASSED
    assert run_canaries(canaries, Index(ranking), 0.951).status is Status.FAILED


def test_no_canaries_warn_and_a_broken_search_is_unknown() -> None:
    nothing = run_canaries([], Index({}), 0.9)
    assert (nothing.status, nothing.blocks) == (Status.WARNED, False)
    assert "no canary queries are configured" in nothing.summary

    def down(queries: Sequence[str], k: int, filter: Filter | None, /) -> list[list[Match]]:
        raise UnavailableError("the target does not answer")

    result = run_canaries([Canary("x", "q", ("a",))], down, 0.0)
    assert result.status is Status.UNKNOWN
    assert "does not answer" in result.summary
    assert run_canaries([Canary("x", "q", ("a",))], lambda q, k, f, /: [], 0.0).status is Status.UNKNOWN


@given(
    st.lists(st.sampled_from("abcdefg"), max_size=60),
    st.sets(st.sampled_from("abcdefg"), min_size=1),
    st.sets(st.sampled_from("abcdefg")),
    st.sampled_from(["any", "all"]),
    st.integers(1, 8),
)
def test_verdicts_agree_with_sets(ranking: list[str], expect: set[str], forbid: set[str], match: str, k: int) -> None:
    top = set(list(dict.fromkeys(ranking))[:k])
    found = bool(expect & top) if match == "any" else expect <= top
    canary = Canary("x", "q", tuple(sorted(expect)), match, k, tuple(sorted(forbid)))  # type: ignore[arg-type]
    assert one(canary, ranking) == (found and not forbid & top)
