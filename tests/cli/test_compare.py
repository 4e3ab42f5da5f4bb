"""``compare``: two versions side by side."""

from pathlib import Path

import pytest

from tests.cli.conftest import RunCommand
from vector_pipeline.project import Project

QUESTION = "Paragraph 2 of page 1 speaks of item1x2"


def test_production_and_staging(vp: RunCommand, released: Path) -> None:
    shown = vp("compare", QUESTION, "-k", 4, "--project", released)
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert lines[0] == f'"{QUESTION}"'
    assert lines[1].startswith("3 of 4 documents on both sides (overlap 75%): 1 new, 1 gone")
    assert "production v1 on local" in lines[3]
    assert "staging v2 on local" in lines[3]
    assert "page1.md gone" in lines[4]
    assert "Paragraph 0 of page 1" in shown.out
    assert any(line.rstrip().endswith("new") for line in lines)
    assert lines[-1] == f"Next: vector-pipeline diff 1 2 --project {released}"


def test_json_keeps_ranks_of_both_sides(vp: RunCommand, released: Path) -> None:
    found = vp("compare", "handbook", QUESTION, "-k", 6, "--json", "--project", released).json
    assert found["left"] == {"alias": "production", "version": 1, "target": "local"}
    (answer,) = found["answers"]
    left = {one["document"]: one for one in answer["left"]}
    right = {one["document"]: one for one in answer["right"]}
    assert left["page1.md"]["rank_on_the_other_side"] is None
    assert all(one["rank_on_the_other_side"] == left[name]["rank"] for name, one in right.items() if name in left)
    assert [one["rank"] for one in answer["right"]] == list(range(1, len(right) + 1))
    assert answer["overlap"] == answer["shared"] / 6
    assert left["page1.md"]["title"] == "Page 1"


def test_named_versions_and_a_filter(vp: RunCommand, released: Path) -> None:
    same = vp("compare", QUESTION, "--versions", "v2", 2, "--project", released)
    assert "(overlap 100%), at the same ranks" in same.out
    one = vp("compare", QUESTION, "--filter", '{"title": "Page 3"}', "--json", "--project", released).json
    assert [hit["document"] for hit in one["answers"][0]["left"]] == ["page3.md"]
    none = vp("compare", QUESTION, "--filter", '{"title": "none"}', "--project", released)
    assert "Neither has an answer." in none.out


def test_what_is_deployed_nowhere_is_searched_in_the_lake(vp: RunCommand, fresh: Path) -> None:
    shown = vp("compare", QUESTION, "--project", fresh)
    assert shown.code == 1
    assert "nothing of handbook is in production yet" in shown.err
    found = vp("compare", QUESTION, "--versions", 1, 1, "--json", "--project", fresh).json
    assert found["left"] == {"alias": None, "version": 1, "target": None}
    assert found["answers"][0]["left"][0]["text"]


def test_it_is_the_answer_that_readers_get(vp: RunCommand, released: Path) -> None:
    hits = vp("query", QUESTION, "-k", 20, "--json", "--project", released).json
    documents = list(dict.fromkeys(hit["document"] for hit in hits))
    found = vp("compare", QUESTION, "-k", 3, "--json", "--project", released).json
    assert [one["document"] for one in found["answers"][0]["left"]] == documents[:3]
    with Project.load(released) as project:
        version = project.version("handbook", 1)
    assert found["left"]["version"] == version.number


def test_many_questions_those_that_differ_most_first(vp: RunCommand, released: Path, tmp_path: Path) -> None:
    file = tmp_path / "questions.txt"
    file.write_text(f"item4x1 of page 4\n{QUESTION}\n", encoding="utf-8")
    shown = vp("compare", "--queries", file, "-k", 2, "--project", released)
    lines = shown.out.splitlines()
    assert lines[0].split() == ["overlap", "new", "gone", "moved", "first", "question"]
    assert lines[1].endswith(QUESTION)
    assert "over 2 questions" in shown.out
    found = vp("compare", "handbook", "--queries", file, "--json", "--project", released).json
    assert [one["query"] for one in found["answers"]] == ["item4x1 of page 4", QUESTION]


@pytest.mark.parametrize("width", [60, 80, 120, 250])
def test_it_fits(vp: RunCommand, released: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    shown = vp("compare", QUESTION, "--project", released).out.splitlines()[2:-1]
    assert max(map(len, shown)) <= min(width, 160)
    assert any("page1.md" in line for line in shown)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "expected [DATASET]"),
        (("handbook",), 2, "the question is missing"),
        ((" ",), 1, "the question is empty"),
        (("handbok", "q"), 1, "no dataset 'handbok'"),
        (("q", "--versions", "1", "nine"), 2, "'nine' is no version"),
        (("q", "--versions", "1", "9"), 1, "no version v9"),
        (("q", "--filter", "{"), 1, "--filter is not JSON"),
        (("--queries", "none.txt"), 1, "none.txt"),
    ],
)
def test_bad_input_is_one_line(vp: RunCommand, released: Path, words: tuple[str, ...], code: int, said: str) -> None:
    shown = vp("compare", *words, "--project", released)
    assert shown.code == code, shown
    assert len(shown.err.splitlines()) == 1
    assert said in shown.err
