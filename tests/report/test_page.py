"""The page: everything that it must show, for every outlook; nothing in a document becomes anything but text."""

import base64
import hashlib
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from bs4 import BeautifulSoup

from tests.report.conftest import AT, LONG, NASTY, FactsOf, gates
from vector_pipeline.report.page.facts import GateSaid, Missing, Outlook, outlook_of
from vector_pipeline.report.page.render import render
from vector_pipeline.report.page.shapes import facts_json
from vector_pipeline.report.page.style import stylesheet
from vector_pipeline.report.page.summary import pictures, summary
from vector_pipeline.report.page.svg import KNOWN
from vector_pipeline.verify.outcome import Status

SEEN = NASTY.replace("‮", "�")
VOID = {"meta", "link", "br", "img", "hr", "input"}


def page(facts_of: FactsOf, **fields: object) -> BeautifulSoup:
    return BeautifulSoup(render(facts_of(**fields)), "html.parser")


def words(soup: BeautifulSoup, part: str) -> str:
    found = soup.find(id=part)
    assert found is not None
    return " ".join(found.get_text(" ").split())


def test_everything_is_told(facts_of: FactsOf) -> None:
    soup = page(facts_of)
    assert soup.title is not None
    assert soup.title.string == "handbook v7: Would not be promoted"
    assert "4 gates stop it" in soup.find(class_="outlook").get_text(" ")
    assert [one.get_text() for one in soup.find_all("h2")] == [
        "Gates", "What changed against v6", "Plan and cost", "Canaries", "Answers, side by side",
        "What the gates measured", "Map of what moved", "History", "Next",
    ]  # fmt: skip
    assert "judged before the index changed: verify again. It said: all there" in words(soup, "gates")
    assert "index recall stops a release has not run" in words(soup, "gates")
    assert "warns only" in words(soup, "gates")
    assert "40 added 230 changed 12 removed 2 moved" in words(soup, "changes")
    assert "1,514 records, 1,204 vectors, 2.1 MB" in words(soup, "push")
    assert "retried: 14 × 429" in words(soup, "push")
    assert "10 questions answered as expected" in words(soup, "canaries")
    assert "must not come: old.md" in words(soup, "canaries")
    assert "20% the same" in words(soup, "answers")
    assert "holidays.md 0.4 ▼2" in words(soup, "answers")
    assert "travel.md 0.61" in words(soup, "answers")
    assert "unheard of cannot be drawn" in words(soup, "charts")
    assert "unchanged 960" in words(soup, "map")
    assert "vector-pipeline verify --version 7" in words(soup, "next")
    assert soup.find(id="map").find("svg", role="img") is not None


def test_nothing_of_a_document_is_more_than_text(facts_of: FactsOf) -> None:
    html = render(facts_of())
    soup = BeautifulSoup(html, "html.parser")
    assert soup.find_all(["script", "img", "iframe", "object", "embed", "form", "base"]) == []
    assert not [name for tag in soup.find_all(True) for name in tag.attrs if name.startswith("on") or name == "style"]
    assert "‮" not in html
    for part in ("gates", "changes", "push", "canaries", "answers", "charts", "history", "next"):
        assert SEEN in " ".join(soup.find(id=part).get_text().split()), part
    assert NASTY not in html


def test_it_asks_for_nothing_and_allows_nothing(facts_of: FactsOf) -> None:
    html = render(facts_of())
    soup = BeautifulSoup(html, "html.parser")
    policy = soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    addresses = [tag.get(name) for tag in soup.find_all(True) for name in ("src", "href", "action") if tag.get(name)]
    assert all(one.startswith("#") or one == "data:," for one in addresses)
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_every_link_leads_to_a_part_of_the_page(facts_of: FactsOf) -> None:
    soup = page(facts_of)
    ids = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(ids) == len(set(ids))
    assert {tag["href"][1:] for tag in soup.find_all("a")} <= set(ids)


class Nesting(HTMLParser):
    """Every tag is closed where it was opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()


def test_the_page_is_well_formed_and_its_tables_have_headers(facts_of: FactsOf) -> None:
    parser = Nesting()
    parser.feed(render(facts_of()))
    assert parser.open == []
    soup = page(facts_of)
    assert soup.html["lang"] == "en"
    levels = [int(one.name[1]) for one in soup.find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for table in soup.find_all("table"):
        assert table.find("thead") is not None
        assert all(one.get("scope") in ("col", "row") for one in table.find_all("th"))
    assert all(one.get("aria-label") for one in soup.find_all("svg", role="img"))


def test_the_same_facts_are_the_same_page_but_for_when_it_was_written(facts_of: FactsOf) -> None:
    assert render(facts_of()) == render(facts_of())
    later = render(facts_of(made_at=AT + timedelta(hours=1)))
    different = [
        one for one in zip(render(facts_of()).splitlines(), later.splitlines(), strict=True) if one[0] != one[1]
    ]
    assert len(different) == 1
    assert "Written 2026-11-21 13:30 UTC" in different[0][1]


@pytest.mark.parametrize("outlook", list(Outlook), ids=str)
def test_every_outlook_has_its_words(facts_of: FactsOf, outlook: Outlook) -> None:
    found = facts_of(outlook=outlook, gates=() if outlook is Outlook.NOT_PUSHED else gates())
    assert BeautifulSoup(render(found), "html.parser").find(class_="outlook").strong.get_text()
    assert facts_json(found)["outlook"] == outlook.value


def test_what_is_missing_is_said(facts_of: FactsOf) -> None:
    soup = page(
        facts_of, gates=(), places=(), aliases=(), served=None, outlook=Outlook.NOT_PUSHED, history=(),
        pushed=Missing("the target does not answer"), changes=Missing("nothing else is served"), map=Missing("no map"),
    )  # fmt: skip
    assert "No gate has run" in words(soup, "gates")
    assert "Not here: nothing else is served." in words(soup, "changes")
    assert "Not here: the target does not answer." in words(soup, "push")
    assert "Canary retrieval has not run." in words(soup, "canaries")
    assert "nothing else is served, so there is nothing to compare with" in words(soup, "answers")
    assert "No gate has left a chart." in words(soup, "charts")
    assert "Not here: no map." in words(soup, "map")
    assert "Nothing has happened to it yet." in words(soup, "history")
    assert "on no target" in soup.find(class_="where").get_text()


def test_a_move_into_another_space_counts_no_records(facts_of: FactsOf) -> None:
    told = words(page(facts_of, spaces={6: "minilm", 7: "words"}), "history")
    assert "space minilm → words" in told
    assert "records" not in told
    assert "records" in words(page(facts_of, spaces={}), "history")


def test_what_a_gate_was_let_past_is_said_and_stops_nothing(facts_of: FactsOf) -> None:
    past = replace(gates()[1], override="ann@host, 2026-11-21: the folder was closed", in_force=True)
    assert not past.blocks
    soup = page(facts_of, gates=(past,), outlook=Outlook.SERVING)
    assert "Let through: ann@host, 2026-11-21: the folder was closed" in words(soup, "gates")
    assert soup.find("li", class_="stops") is None


def test_what_it_was_let_past_earlier_stops_it_again(facts_of: FactsOf) -> None:
    past = replace(gates()[1], override="ann@host, 2026-11-21: the folder was closed")
    outdated = replace(past, status=Status.UNKNOWN, outdated="judged under other settings: verify again")
    assert [past.blocks, outdated.blocks] == [True, True]
    soup = page(facts_of, gates=(past,), outlook=outlook_of([past], pushed=True, serving=False))
    assert "Was let past earlier: ann@host, 2026-11-21: the folder was closed" in words(soup, "gates")
    assert "Would not be promoted" in soup.find(class_="outlook").get_text()


def test_each_place_has_its_canaries_and_the_worst_stands_first(facts_of: FactsOf) -> None:
    (gate,) = (one for one in gates() if one.name == "canary retrieval")
    canary = {"query": "Where is it?", "expect": ["a.md"], "got": []}
    good = {"total": 1, "passed": 1, "rate": 1.0, "low": 0.2, "high": 1.0, "canaries": [{**canary, "status": "passed"}]}
    bad = {**good, "passed": 0, "rate": 0.0, "low": 0.0, "high": 0.8, "canaries": [{**canary, "status": "failed"}]}
    found = (
        replace(gate, place="main", status=Status.PASSED, summary="1/1 canary queries passed", detail=good),
        replace(gate, place="second", summary="0/1 canary queries passed", detail=bad),
    )
    soup = page(facts_of, gates=found)
    assert "main 1/1 canary queries passed" in words(soup, "canaries")
    assert "second 0/1 canary queries passed" in words(soup, "canaries")
    assert words(soup, "canaries").count("Where is it?") == 2
    assert {one["href"] for one in soup.find_all("a") if one.get_text() == "Every canary"} == {
        "#canaries-main",
        "#canaries-second",
    }
    assert {"canaries-main", "canaries-second"} <= {one["id"] for one in soup.find_all(id=True)}
    assert "Canaries (second) 0 of 1 0% to 80%" in " ".join(soup.find(class_="tiles").get_text(" ").split())
    assert "![Canaries second: " in summary(facts_of(gates=found))


def test_an_outdated_verdict_is_outdated_wherever_it_is_shown(facts_of: FactsOf) -> None:
    why = "judged before the index changed: verify again"
    found = tuple(replace(one, status=Status.UNKNOWN, outdated=why) for one in gates())
    soup = page(facts_of, gates=found)
    assert f"{why}. It said: 10/12 canary queries passed." in words(soup, "canaries")
    assert f"{why}. It said: answers overlap by 82%." in words(soup, "answers")
    assert "embedding shift, outdated" in words(soup, "charts")
    assert "55.2% to 95.3% outdated" in " ".join(soup.find(class_="tiles").get_text(" ").split())


def test_details_that_no_gate_of_this_release_writes_cost_nothing_but_themselves(facts_of: FactsOf) -> None:
    odd = {
        "charts": [1, None], "answers": [3, {"production": [[1]]}, {"query": "q"}], "canaries": [4, {}], "tags": [5],
        "total": 1, "passed": 1, "rate": None, "low": None, "high": None, "against": "v1", "numbers": {1: [2]},
    }  # fmt: skip
    found = [GateSaid(name, Status.PASSED, "", detail=odd, at=AT) for name in ("canary retrieval", "answers")]
    soup = page(facts_of, gates=tuple(found))
    assert "cannot be drawn" in words(soup, "charts")


def test_answers_that_are_alike_are_counted_not_listed(facts_of: FactsOf) -> None:
    alike = {"query": "q", "production": [["a.md", 0.5]], "candidate": [["a.md", 0.4]], "overlap": 1}
    gate = GateSaid("answers", Status.PASSED, "all come", detail={"answers": [alike]}, at=AT)
    soup = page(facts_of, gates=(gate,))
    assert "Both sides answer alike." in words(soup, "answers")
    assert soup.find(class_="answer") is None
    many = [{**alike, "query": f"q{n}", "candidate": [["b.md", 0.4]]} for n in range(6)]
    soup = page(facts_of, gates=(replace(gate, detail={"answers": many}),))
    assert "2 more questions" in words(soup, "answers")
    assert len(soup.find_all(class_="answer")) == 6


def test_outlooks() -> None:
    passed, warned, failed, unknown = (
        GateSaid("a", status, "") for status in (Status.PASSED, Status.WARNED, Status.FAILED, Status.UNKNOWN)
    )
    assert outlook_of([failed], pushed=True, serving=True) is Outlook.SERVING
    assert outlook_of([], pushed=False, serving=False) is Outlook.NOT_PUSHED
    assert outlook_of([], pushed=True, serving=False) is Outlook.UNPROVEN
    assert outlook_of([passed], pushed=True, serving=False) is Outlook.READY
    assert outlook_of([passed, warned], pushed=True, serving=False) is Outlook.WARNED
    assert outlook_of([warned, unknown], pushed=True, serving=False) is Outlook.UNPROVEN
    assert outlook_of([unknown, failed], pushed=True, serving=False) is Outlook.BLOCKED


def test_a_picture_is_whole_xml_whatever_its_labels_are() -> None:
    labels = [f"{chr(code)} label" for code in (0xFFFE, 0xFFFF, 0x1B, 0xD800, 0x9B)]
    chart = {"kind": "bars", "title": "\ufffe", "labels": labels, "series": {"x": [1] * len(labels)}}
    rows = [[f"tag {n}", 0.5, 0.2, 0.8, "1/2"] for n in range(200)]
    made = pictures({"charts": [chart, {"kind": "intervals", "title": "t", "rows": rows}]})
    drawn = re.findall(r"base64,([A-Za-z0-9+/=]+)\)", made)
    assert len(drawn) == 2
    whole = [ElementTree.fromstring(base64.b64decode(one)) for one in drawn]
    assert float(whole[1].get("viewBox", "").split()[3]) < 1_000


def test_every_colour_of_a_mark_has_its_rule_on_the_page_and_in_a_picture() -> None:
    for name in ("page", "picture"):
        style = stylesheet(name)
        for role in sorted({*KNOWN.values(), "other"}):
            assert style.count(f".f-{role} {{ fill: var(--{role}); }}") == 1
            assert style.count(f".s-{role} {{ stroke: var(--{role}); }}") == 1
            assert f"--{role}: " in style


def test_the_summary_is_a_table_with_pictures_and_no_markup_of_others(facts_of: FactsOf) -> None:
    text = summary(facts_of())
    assert text.startswith("**Would not be promoted.**")
    assert "| ✗ | lost content |" in text
    assert "<script" not in text
    images = re.findall(r"!\[[^]]*\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", text)
    assert len(images) == 3
    assert all(base64.b64decode(one).startswith(b"<svg") for one in images)
    assert len(text) < 100_000
    assert pictures({"charts": [{"kind": "table", "columns": ["a"], "rows": [[LONG]]}]}) == ""
