"""Data Docs show what documents and suites say, and never run it."""

from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_pipeline.verify.expectations.datadocs import _ENTITIES, _HIDDEN, _hide, build
from vector_pipeline.verify.expectations.finding import Finding, map_result
from vector_pipeline.verify.expectations.gate import Evaluated
from vector_pipeline.verify.expectations.suite import Expectation, Suite

EVIL = "<img src=x onerror=alert(1)> $column ${mostly} & \"it\" `is` 'so'"


class Page(HTMLParser):
    """The elements of a page, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def finding(type_: str, kwargs: dict[str, Any], result: dict[str, Any], error: str | None = None) -> Finding:
    return Finding(Expectation(type_, kwargs, {"says": EVIL, "notes": EVIL}), False, result, (), error)


FINDINGS = (
    finding("expect_column_values_to_not_match_regex", {"column": "text", "regex": EVIL}, map_result(3, 3, 1, [EVIL])),
    finding(
        "expect_column_values_to_be_in_set",
        {"column": f"metadata.{EVIL}", "value_set": [EVIL], "row_condition": "chars > 9", "condition_parser": "pandas"},
        map_result(3, 3, 3, [EVIL, [EVIL], {EVIL: EVIL}]),
    ),
    finding(
        "expect_column_distinct_values_to_be_in_set",
        {"column": "title", "value_set": [EVIL]},
        {"observed_value": [EVIL], "details": {"value_counts": [{"value": EVIL, "count": 1}]}},
    ),
    finding("expect_column_values_to_be_increasing", {"column": "chars"}, {}, EVIL),
)


@given(
    st.text(st.sampled_from("<>&\"'$`ab\\ \n") | st.characters(exclude_characters=map(chr, range(0x14400, 0x14410))))
)
def test_no_sign_of_markup_reaches_great_expectations_and_the_page_holds_what_was_said(text: str) -> None:
    hidden = _hide({text: [text, 1, None]})
    assert not set(map(chr, _HIDDEN)) & set("".join((*hidden, hidden[_hide(text)][0])))
    page = _hide(text).translate(_ENTITIES)
    assert not set("<>\"'$`") & set(page)
    # An HTML parser reads carriage returns and NUL its own way, whoever wrote them.
    assert unescape(page) == text


@pytest.mark.slow
def test_nothing_of_a_document_or_a_suite_is_an_element_of_a_page(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    one = Evaluated(Suite("documents", tuple(found.expectation for found in FINDINGS)), 3, FINDINGS)
    build(folder, "handbook", "lake", [one])
    (folder / "of-before.html").write_text("a document that was erased since", encoding="utf-8")
    build(folder, "handbook", "lake", [one])
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}
    assert sorted(path.relative_to(folder).parts[0] for path in pages) == ["expectations", "index.html", "validations"]
    for path, page in pages.items():
        pictures = [attributes for tag, attributes in page.elements if tag == "img"]
        assert [one for one in pictures if "NO-CACHE" not in (one.get("class") or "")] == [], path
        assert [attributes for _, attributes in page.elements if {"onerror", "src=x"} & attributes.keys()] == [], path
    shown = next(page for path, page in pages.items() if "validations" in path.parts)
    assert shown.words.count(EVIL) >= 6
    assert "raised an exception" in shown.words
    assert "chars > 9" in shown.words
