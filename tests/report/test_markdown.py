"""Texts from outside in Markdown: shown as they are, and nothing else."""

import html
import re

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from vector_pipeline.assets.checks import EXPECTATIONS_OF_VERSION, _worst, as_check
from vector_pipeline.assets.metadata import table
from vector_pipeline.report.words import legible
from vector_pipeline.verify.outcome import CheckResult, Status

RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
# What mdast-util-gfm-autolink-literal, which Dagster's pages render with, makes links of after escapes are resolved.
BARE = re.compile(r"(?:https?://|www(?=\.))[-.\w]+|[-.\w+]+@[-\w]+(?:\.[-\w]+)+", re.IGNORECASE | re.ASCII)
PIECES = [
    "![x](https://evil.example/b.png)", "[a](javascript:alert(1))", "<img src=x>", "<https://a.example>", "www.evil.example",
    "http://a.b/c", "me@evil.example", "`code`", "~~no~~", "**b**", "_i_", "# h", "a|b", "\\|", "\\", "&lt;", "&#33;", "[r]: http://x.y",
    "![x][r]", "$x$", "    indented", "- item", "1. one", "> quoted", "---", "\n", " ", "plain words, and more.",
]  # fmt: skip


def cell_of(text: str) -> str:
    """What a reader sees of a text in a table, with no mark-up left."""
    shown = RENDERER.render(table([{"text": text}]).md_str)
    found = re.search(r"<tbody>\s*<tr>\s*<td>(.*?)</td>\s*</tr>\s*</tbody>", shown, re.DOTALL)
    assert found is not None, shown
    assert "<" not in found[1], shown
    return html.unescape(found[1])


@given(st.lists(st.sampled_from(PIECES), max_size=3).map("".join) | st.text(max_size=40))
def test_a_text_is_shown_as_it_is_and_loads_nothing(text: str) -> None:
    seen = cell_of(text)
    assert not BARE.search(seen)
    assert seen.replace("\u2060", "") == legible(" ".join(text.split())).replace("\u2060", "")


def test_a_table_has_every_column_that_any_row_has_and_says_what_is_true() -> None:
    shown = table([{"a": 1_000, "b": True}, {"a": None, "c": False}, {"c": "x"}]).md_str
    assert shown.splitlines() == [
        "| a | b | c |",
        "| --- | --- | --- |",
        "| 1,000 | yes |  |",
        "|  |  | no |",
        "|  |  | x |",
    ]
    assert "<img" not in RENDERER.render(table([{"![x](http://e.example/i.png)": 1}]).md_str)


def test_a_check_of_several_gates_loses_nothing_that_an_example_says() -> None:
    results = [
        CheckResult("documents expectations", Status.FAILED, "d", {}, ({"document_id": "a.md", "title": "A"},)),
        CheckResult("embeddings expectations", Status.FAILED, "e", {}, ({"content_hash": "HASH", "norm": 7.0},)),
    ]
    shown = as_check(_worst(EXPECTATIONS_OF_VERSION, results)).metadata["examples"]
    assert all(word in str(shown.value) for word in ("a.md", "HASH", "7.0", "title", "content\\_hash"))
