"""What a bridge is measured on, chosen by and fitted on have nothing in common."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bridge.conftest import ALLOWED, release, write
from vector_pipeline.bridge.parting import key, parted, pieces
from vector_pipeline.bridge.texts import HELD, Texts
from vector_pipeline.errors import RefusedError
from vector_pipeline.project import Project

LINES = [f"line {number} is said on several of the pages" for number in range(6)]


def sample(texts: list[str], documents: list[tuple[str, ...]], above: str = "") -> Texts:
    count = len(texts)
    empty = np.zeros((count, 1), np.float32)
    names = tuple(f"{number:032x}" for number in range(count))
    full = tuple(above + one for one in texts)
    return Texts(names, tuple(documents), full, tuple(texts), empty, empty, np.zeros(count, np.bool_))


def of_pages(texts: list[str]) -> Texts:
    return sample(texts, [(f"page{number}",) for number in range(len(texts))])


def dressed(text: str, number: int) -> str:
    """The same to whoever reads."""
    return (text, text.upper(), f"## {text}!", "  ".join(text.split()))[number % 4]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 60), st.integers(0, 8))
def test_no_part_has_anything_of_another(seed: int, count: int, questions: int) -> None:
    luck = random.Random(seed)
    texts, documents = [], []
    for number in range(count):
        own = f"this here is the own sentence of text {number} alone"
        lines = [dressed(luck.choice(LINES), luck.randrange(4)) for _ in range(luck.randrange(3))]
        texts.append("\n".join(luck.sample([*lines, own], len(lines) + 1)))
        documents.append(tuple({f"page{luck.randrange(count)}" for _ in range(luck.choice((1, 1, 1, 2)))}))
    made = sample(texts, documents)
    asked = [
        dressed(luck.choice([*LINES, *pieces(luck.choice(texts)), "nowhere at all is this"]), 1)
        for _ in range(questions)
    ]
    parts = parted(made, asked)
    rows = [set(one.tolist()) for one in (parts.measure, parts.choose, parts.fit)]
    assert sum(map(len, rows)) == len(rows[0] | rows[1] | rows[2]) == count, "each is of one part"
    said = [{key(piece) for row in some for piece in (texts[row], *pieces(texts[row]))} for some in rows]
    measured, chosen = ({key(one) for one in some} for some in (parts.measured, parts.chosen))
    assert len(measured) == len(parts.measured), "each once"
    assert not measured & (said[1] | said[2])
    assert not chosen & (said[0] | said[2])
    assert not {key(one) for one in parts.beside} & (said[0] | said[1])
    assert parts.questions == len(parts.measured) + len(parts.chosen) + len(parts.beside)


def test_a_line_of_a_template_is_no_question() -> None:
    head = "welcome to the handbook of our company"
    made = of_pages([f"# {head}\n\nPage {number} tells of thing{number} and more." for number in range(40)])
    parts = parted(made, [head.upper(), "what is told of thing7"])
    assert parts.real == ("what is told of thing7",), "it would take every page along"
    assert key(head) not in {key(one) for one in (*parts.measured, *parts.chosen, *parts.beside)}
    assert (len(parts.measure), len(parts.choose), len(parts.fit)) == (10, 10, 20)
    assert len(parts.measured) == 11


def test_real_questions_take_the_documents_that_hold_them_along() -> None:
    texts = [
        f"How do I get thing{number} today?\nIt is told at place{number} of house{number}." for number in range(40)
    ]
    above = sample(texts, [(f"page{number}",) for number in range(40)], "Guide > Where to find it\n\n")
    parts = parted(above, [f"how do i get thing{number} today" for number in range(40)])
    assert len(parts.real) == 10, "a quarter of the documents, and no more"
    taken = {f"thing{key(one).split()[4][5:]}" for one in parts.real}
    assert taken == {texts[row].split()[4] for row in parts.measure.tolist()}
    assert not {key("Where to find it")} & {key(one) for one in parts.measured}


def test_texts_that_stand_in_many_documents_are_of_no_part() -> None:
    texts = [*(f"THE same words in every page{'!' * number}" for number in range(HELD + 1)), "words of this page alone"]
    parts = parted(of_pages(texts), [])
    assert {row for part in (parts.measure, parts.choose, parts.fit) for row in part.tolist()} == {HELD + 1}


def faq(folder: Path, titles: int) -> Path:
    """48 pages with words of their own, below one of some titles."""
    luck = random.Random(7)
    words = iter(luck.sample([f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in range(100)], 1_000))
    heads = [" ".join(next(words) for _ in range(6)) for _ in range(titles)]
    (folder / "documents").mkdir(parents=True)
    for number in range(48):
        text = f"{heads[number % titles]}.\n\n{' '.join(next(words) for _ in range(10))}.\n"
        (folder / "documents" / f"page{number}.md").write_text(text, encoding="utf-8")
    return write(folder, bridge=ALLOWED)


@pytest.mark.slow
def test_shared_first_lines_do_not_flatter(tmp_path: Path) -> None:
    """Of words that it never saw a map knows nothing, whatever it learnt of titles."""
    with Project.load(faq(tmp_path / "faq", 6)) as project:
        release(project)
        made = project.fit_bridge("handbook", "new", by="ann")
    assert made.detail["questions"] >= 10
    assert made.recall < 0.5
    assert not made.passed


@pytest.mark.slow
def test_nothing_to_measure_with_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "same"
    (folder / "documents").mkdir(parents=True)
    for number in range(60):
        text = "".join(f"{line}\n\n" for line in LINES) + "a b\n" * number
        (folder / "documents" / f"page{number}.md").write_text(text, encoding="utf-8")
    with Project.load(write(folder)) as project:
        release(project)
        with pytest.raises(RefusedError, match=r"no question is left|are too few to fit a bridge on"):
            project.fit_bridge("handbook", "new", by="ann")
