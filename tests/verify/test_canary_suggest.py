"""Suggestions: the log, the spread over topics, and the way into a file that a person wrote."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vector_pipeline.errors import ConfigError
from vector_pipeline.targets.base import LIVE, Match
from vector_pipeline.verify.canaries.file import load_canaries, read_canaries
from vector_pipeline.verify.sidebyside import Found
from vector_pipeline.verify.suggest.documents import spread
from vector_pipeline.verify.suggest.file import Block, add, block_of, blocks_of
from vector_pipeline.verify.suggest.log import Logged, normal, read_log
from vector_pipeline.verify.suggest.suggestion import Suggestion, clear


def suggestion(query: str, document: str = "a.md") -> Suggestion:
    hits = (Found(1, document, 0.7, "", "", "text"), Found(2, "b.md", 0.4, "", "", "other"))
    return Suggestion(query, document, None, "log", "asked 3 times in the log", hits)


def blocks(*queries: str) -> list[Block]:
    return [block_of(suggestion(query)) for query in queries]


def test_a_log_counts_spellings_as_one(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(
        '{"query": "How much?", "user": 7}\n{"question": "how  much"}\n\n{"q": "how much", "count": 3}\n'
        '{"text": "How much?", "filter": {"year": 2024}}\n"a bare line"\n',
        encoding="utf-8",
    )
    assert read_log(log) == [
        Logged("how much", None, 5),
        Logged("How much?", {"year": 2024}, 1),
        Logged("a bare line", None, 1),
    ]
    text = tmp_path / "log.txt"
    text.write_text("How much?\nhow much\n  Why? \n", encoding="utf-8")
    assert [(one.query, one.count) for one in read_log(text)] == [("How much?", 2), ("Why?", 1)]
    assert normal("???") == "???"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"query": 3}\n', ":1: no question"),
        ("a.jsonl", '{"query": "q"}\n{"query"\n', ":2: not JSON"),
        ("a.jsonl", '{"query": "q", "count": 0}\n', ":1: count must be"),
        ("a.jsonl", '{"query": "q", "filter": {"$x": 1}}\n', ":1: filter"),
        ("a.jsonl", "[1]\n", ":1: not an object"),
        ("a.txt", "\n", ":1: the file holds no question"),
    ],
)
def test_a_log_that_is_none_is_told_with_its_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_log(path)
    assert str(caught.value).startswith(f"{path}{message}")
    with pytest.raises(ConfigError, match="No such file"):
        read_log(tmp_path / "none.txt")


@given(st.integers(0, 60), st.integers(1, 12), st.integers(0, 5))
@settings(deadline=None)
def test_every_document_has_its_turn_once(count: int, topics: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    order = spread(vectors, topics)
    assert sorted(order) == list(range(count))
    assert order == spread(vectors, topics)


def test_topics_take_turns() -> None:
    random = np.random.default_rng(1)
    middles = np.eye(3, 16, dtype=np.float32) * 10
    vectors = np.concatenate([middles[topic] + random.normal(size=(20, 16)) for topic in range(3)]).astype(np.float32)
    for start in range(0, 9, 3):
        assert {row // 20 for row in spread(vectors, 3)[start : start + 3]} == {0, 1, 2}
    odd = np.concatenate([vectors, np.full((1, 16), np.nan, dtype=np.float32), np.zeros((1, 16), dtype=np.float32)])
    assert len(spread(odd, 3)) == 62


def test_clear_is_a_lead_over_the_second() -> None:
    def hits(*scores: float) -> list[Match]:
        return [Match(str(n), score, str(n), "", 1, LIVE) for n, score in enumerate(scores)]

    assert clear(hits(0.9, 0.6, 0.5))
    assert not clear(hits(0.9, 0.89, 0.5))
    assert clear(hits(-0.1, -0.5, -0.6)), "distances are negative"
    assert not clear(hits(0.5, 0.5, 0.5))
    assert not clear(hits(0.9))


OWN = """# ours
canaries:
  - query: How much?   # the classic
    expect: [a.md]

  # about time
  - query: When?
    expect: [b.md]
"""


def test_what_stood_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(OWN, encoding="utf-8")
    done = add(path, blocks('Who: is "it" – #1?', "how much", 'Who: is "it" – #1?'))
    assert (done.added, done.known, done.made) == (1, 2, False)
    text = path.read_text(encoding="utf-8")
    assert text.startswith(OWN)
    assert text[len(OWN) :].startswith("  # asked 3 times in the log; score 0.700, 0.300 before b.md\n  - query: ")
    assert [one.query for one in load_canaries(path)] == ["How much?", "When?", 'Who: is "it" – #1?']
    assert add(path, blocks("When")).added == 0
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("tail", ["", "# about rates\npass_rates:\n  x: 0.5\n", "\n\n# the end\n"])
@pytest.mark.parametrize("indent", ["", "  ", "    "])
def test_it_goes_below_the_last_one(tmp_path: Path, end: str, tail: str, indent: str) -> None:
    path = tmp_path / "c.yaml"
    own = f"canaries:\n{indent}- query: How much?\n{indent}  expect: [a.md]\n{indent}  tags: [x]\n"
    before = (own + tail).replace("\n", end)
    path.write_bytes(before.encode())
    add(path, blocks("Who?", "When?"))
    after = path.read_bytes().decode()
    assert [one.query for one in load_canaries(path)] == ["How much?", "Who?", "When?"]
    kept = iter(after.split(end))
    assert all(line in kept for line in before.split(end) if line), "every line stands there, in its order"
    assert end == "\n" or "\n" not in after.replace("\r\n", "")
    assert read_canaries(path).pass_rates == ({"x": 0.5} if "pass_rates" in tail else {})
    if "pass_rates" in tail:
        assert after.index("Who?") < after.index("# about rates")


def test_a_file_is_made_and_lines_are_appended(tmp_path: Path) -> None:
    assert add(tmp_path / "new.yaml", blocks("Who?")).made
    assert [one.query for one in load_canaries(tmp_path / "new.yaml")] == ["Who?"]
    lines = tmp_path / "c.jsonl"
    lines.write_text('{"query": "How much?", "expect": ["a.md"]}', encoding="utf-8")
    add(lines, blocks("Who?"))
    assert [one.query for one in load_canaries(lines)] == ["How much?", "Who?"]


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("canaries: []  # none yet\n", "canaries:   # none yet\n  # asked"),
        ("# mine\ncanaries: [\n]\n# end\n", "# mine\ncanaries: \n# end\n  # asked"),
        ("canaries:\n", "canaries:\n  # asked"),
        ("canaries: null", "canaries: \n  # asked"),
        ("pass_rates: {}\n", "pass_rates: {}\ncanaries:\n  # asked"),
        ("\ufeffcanaries: []\npass_rates: {}\n", "\ufeffcanaries: \n  # asked"),
    ],
)
def test_an_empty_list_is_as_none(tmp_path: Path, text: str, after: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_canaries(path, may_be_empty=True) == ()
    add(path, blocks("Who?"))
    assert path.read_text(encoding="utf-8").startswith(after)
    assert [one.query for one in load_canaries(path)] == ["Who?"]


def test_brackets_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    text = "canaries: [{query: How much, expect: [a.md]}]\n"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="stand in brackets"):
        add(path, blocks("Who?"))
    assert path.read_text(encoding="utf-8") == text
    path.write_text("canaries:\n- query: q\n  expect: [a]\n...\n", encoding="utf-8")
    with pytest.raises(ConfigError):
        add(path, blocks("Who?"))
    assert "Who" not in path.read_text(encoding="utf-8")


def test_a_mended_file_of_suggestions_keeps_what_the_person_wrote(tmp_path: Path) -> None:
    mended = tmp_path / "suggested.yaml"
    mended.write_text(
        "# head\ncanaries:\n    # why so\n    # and so\n    - query: Who?\n      expect:\n        - a.md   # the one\n"
        "      critical: true\n\n    # another\n    - {query: Where, expect: [b.md]}\n",
        encoding="utf-8",
    )
    path = tmp_path / "c.yaml"
    path.write_text(OWN, encoding="utf-8")
    add(path, blocks_of(mended))
    assert path.read_text(encoding="utf-8") == OWN + (
        "  # why so\n  # and so\n  - query: Who?\n    expect:\n      - a.md   # the one\n    critical: true\n"
        "\n  # another\n  - {query: Where, expect: [b.md]}\n"
    )
    assert [one.critical for one in load_canaries(path)] == [False, False, True, False]


@given(st.lists(st.text(min_size=1, max_size=30).filter(lambda one: any(sign.isalnum() for sign in one)), max_size=6))
@settings(deadline=None, max_examples=60)
def test_any_question_can_be_added(tmp_path_factory: pytest.TempPathFactory, queries: list[str]) -> None:
    path = tmp_path_factory.mktemp("any") / "c.yaml"
    path.write_text(OWN, encoding="utf-8")
    done = add(path, blocks(*queries))
    assert path.read_text(encoding="utf-8").startswith(OWN)
    assert len(load_canaries(path)) == 2 + done.added
    assert done.added + done.known == len(queries)
