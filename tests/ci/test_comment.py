"""The comment on a pull request."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from vector_pipeline.corpus.sampling import Sample
from vector_pipeline.lake.diff import VersionDiff
from vector_pipeline.release.registry import PreviewRecord, Version
from vector_pipeline.report.page.facts import Facts, GateSaid, Missing, Outlook
from vector_pipeline.report.preview import LONGEST, comment, failed, marker
from vector_pipeline.verify.outcome import Status

AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
PREVIEW = PreviewRecord(
    id=1, origin="handbook", environment="staging", name="pr-1-abc", held_as="handbook--pr-1-abc--0011aabb",
    revision="4f2a9c1", begun_at=AT, begun_by="ann", expires_at=AT, detail={"texts": {"total": 9, "reused": 7, "embed": 2}},
)  # fmt: skip
CANDIDATE = Version(
    dataset=PREVIEW.held_as, space="tiny", fingerprint="f", embedder_fingerprint="e", dimension=2, metric="cosine", digest="d",
    lake_snapshot=1, documents=3, records=9, chunk_table="c", embedding_table="e", number=1, parent=None, created_at=AT,
)  # fmt: skip
CHANGES = VersionDiff(1, 1, 0, 7, 1, 0, 1, 1, 0, {"added": ["new.md"], "changed": ["other.md"], "removed": []})


def answer(query: str, production: list[str], candidate: list[str]) -> dict[str, Any]:
    sides = {"production": production, "candidate": candidate}
    return {"query": query, "overlap": 0.5, **{name: [[one, 0.5] for one in side] for name, side in sides.items()}}


def facts(*gates: GateSaid, changes: VersionDiff | Missing = CHANGES, outlook: Outlook = Outlook.READY) -> Facts:
    return Facts(
        version=CANDIDATE, environment="staging", places=(), aliases=(), served=replace(CANDIDATE, number=7), outlook=outlook,
        gates=gates, pushed=Missing(""), changes=changes, map=Missing(""), history=(), spaces={},
        policy="", commands=(), made_at=AT,
    )  # fmt: skip


def said(*gates: GateSaid, **named: Any) -> str:
    return comment(PREVIEW, facts(*gates, **named), Missing("not now"))


def test_its_first_line_is_the_same_for_every_commit_of_a_dataset_in_an_environment() -> None:
    first = said().splitlines()[0]
    later = comment(replace(PREVIEW, name="pr-1-def", revision="def"), facts(), Missing("")).splitlines()[0]
    assert first == later == marker("handbook", "staging")
    assert marker("handbook", "prod") != first != marker("faq", "staging")
    assert failed("pr-1-abc", "handbook", "staging", "why").splitlines()[0] == first


def test_it_tells_verdict_documents_gates_answers_and_what_it_took() -> None:
    answers = GateSaid(
        "answers", Status.PASSED, "fine",
        detail={"answers": [answer("holidays?", ["a.md", "b.md"], ["b.md", "c.md"]), answer("same", ["a.md"], ["a.md"])]},
    )  # fmt: skip
    blocked = GateSaid(
        "canary retrieval", Status.FAILED, "1 of 2", examples=({"query": "q", "missing": ["a.md"], "got": []},)
    )
    text = said(answers, blocked, outlook=Outlook.BLOCKED)
    for piece in (
        "### handbook: ❌ Would not be promoted", "against version 7", "| 1 | 1 | 0 | 0 | 1 |", "- + added: `new.md`",
        "holidays? (50% the same)", "| 1 | `a.md` (gone) | `b.md` |", "| 2 | `b.md` | `c.md` **(new)** |",
        "| ❌ | canary retrieval | 1 of 2 |", 'canary retrieval: "q" must find a.md; found nothing',
        "2 texts embedded, 7 taken over", "It could not be planned: not now",
    ):  # fmt: skip
        assert piece in text, piece
    assert "same</summary>" not in text


def test_texts_from_outside_are_words() -> None:
    query = "</summary> @everyone <img src=x onerror=1> [x](https://evil.example) ![y](http://evil.example/p.png)"
    document = "a`|b<script>.md"
    gate = GateSaid(
        "answers", Status.WARNED, "see @team | <b>now</b> https://evil.example",
        detail={"answers": [answer(query, [document], ["c.md"])]},
    )  # fmt: skip
    changes = replace(CHANGES, examples={"added": [document], "changed": [], "removed": []})
    text = said(gate, changes=changes)
    for wrong in ("</summary> @", "<img", "<script>.md |", "[x](", "![y]", "@team", "https://evil", "<b>"):
        assert wrong not in text.replace(f"`{document}`", ""), wrong
    table = [line for line in text.splitlines() if line.startswith("| 1 | `")]
    assert [line.count("|") for line in table] == [4]


@pytest.mark.parametrize("address", ["javascript:alert(1)", "https://x.example/)(", "https://x.example/ y"])
def test_only_addresses_are_links(address: str) -> None:
    text = comment(PREVIEW, facts(), Missing(""), links=[("Log", address), ("Page", "https://x.example/1")])
    assert address not in text
    assert "[Page](https://x.example/1)" in text


def test_it_fits_into_a_comment() -> None:
    long = "x" * 900
    many = [answer(f"{long} {number}", [f"{long}{n}.md" for n in range(9)], [f"{number}{long}{n}.md" for n in range(9)])
            for number in range(50)]  # fmt: skip
    text = said(
        *(GateSaid(f"answers {n}", Status.PASSED, long, detail={"answers": many if n < 2 else []}) for n in range(400))
    )
    assert len(text) <= LONGEST
    assert text.startswith(marker("handbook", "staging"))
    assert text.endswith("too long for a comment.\n")


def test_where_nothing_is_served_nothing_is_proved() -> None:
    alone = GateSaid("lost content", Status.PASSED, "nothing is served yet", detail={"against": {}})
    compared = GateSaid("answers", Status.PASSED, "the same", detail={"against": {"version": 7, "digest": "d"}})
    for outlook in (Outlook.READY, Outlook.WARNED):
        text = comment(PREVIEW, replace(facts(alone, outlook=outlook), served=None), Missing("not now"))
        assert "### handbook: ❓ Nothing to compare with" in text
        assert "judged alone: production of `staging` serves nothing" in text
        assert "✅" not in text
        assert "| ❓ | lost content |" in text
    blocked = comment(PREVIEW, replace(facts(alone, outlook=Outlook.BLOCKED), served=None), Missing("not now"))
    assert "### handbook: ❌ Would not be promoted" in blocked
    assert "| ✅ | answers |" in said(compared)


def test_a_sample_is_called_one() -> None:
    text = comment(PREVIEW, facts(), Missing("not now"), sample=Sample(0.15, ("new.md",)))
    assert "A sample of 15% of the documents was built" in text
    assert "A sample" not in said()
