"""What an erasure changes in the registry: mentions of the document, and nothing else, whatever word its id is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_pipeline.hashing import document_key
from vector_pipeline.release.registry.erasures import ERASED, _asked, _scrubbed

OTHER = document_key("other.md")


def scrubbed(value: Any, document: str, field: str = "plan") -> Any:
    return _scrubbed(value, [document, *_asked(value, document)], document_key(document), field)


def plan(document: str) -> dict[str, Any]:
    record = f"{document_key(document)}#{'0' * 24}"
    return {
        "dataset": "handbook", "strategy": "versioned", "goal": "staging", "version": 2, "records": 5,
        "why": "chosen: 12 of 40 records, v2 from v1", "actions": {"add": 1, "records": 2, "erased": 7},
        "examples": {"add": [document, "guide.md"], "missing": [f"{document} {record}", f"other.md {OTHER}#1"]},
        "stages": [{"kind": "move-alias", "where": "staging", "records": 0}], "cost": {"records": 4}, "first": record,
    }  # fmt: skip


@pytest.mark.parametrize(
    "document", ["versioned", "staging", "records", "12", "guide", "add", "v2", "move-alias", "a.md", "people/jane.md"]
)
def test_only_mentions_change(document: str) -> None:
    before, after = plan(document), scrubbed(plan(document), document)
    assert after["examples"] == {
        "add": [ERASED, "guide.md"],
        "missing": [f"{ERASED} {ERASED}#{'0' * 24}", f"other.md {OTHER}#1"],
    }
    assert after["first"] == f"{ERASED}#{'0' * 24}"
    told = {"examples", "first"}
    assert {name: one for name, one in after.items() if name not in told} == {
        name: one for name, one in before.items() if name not in told
    }


@pytest.mark.parametrize(
    ("document", "text", "clean"),
    [
        ("12", "removed 12 of 40 records", None),
        ("2", "v2 from v1, 2 documents", None),
        ("guide", "see guide.md", None),
        ("a.md", "see a.md.old and data.md", None),
        ("a.md", "asked for by a.md.", "asked for by erased."),
        ("guide", "take 'guide' out", "take 'erased' out"),
        ("guide", "3 rows, such as guide)", "3 rows, such as erased)"),
        ("people/jane.md", "jane wants people/jane.md gone", "jane wants erased gone"),
    ],
)
def test_words_for_people(document: str, text: str, clean: str | None) -> None:
    assert scrubbed(text, document, "reason") == (text if clean is None else clean)


def test_codes_among_examples_stay() -> None:
    canary = {"status": "passed", "match": "any", "expect": ["passed"], "got": [{"document_id": "any", "score": 1.0}]}
    detail = {"status": "passed", "examples": [canary], "detail": {"canaries": [canary]}}
    after = scrubbed(detail, "passed", "detail")
    assert after["status"] == after["examples"][0]["status"] == after["detail"]["canaries"][0]["status"] == "passed"
    assert after["examples"][0]["expect"] == [ERASED]
    assert scrubbed(detail, "any", "detail")["detail"]["canaries"][0] == canary | {
        "got": [{"document_id": ERASED, "score": 1.0}]
    }


@pytest.mark.parametrize("document", ["people/jane.md", "jane"])
def test_a_question_that_a_document_answers_may_be_a_sentence_of_it(document: str) -> None:
    query, name = "Where does Jane keep her ledger?", "where-does-jane-keep-her-ledger-0a1b2c"
    own = {
        "id": name,
        "query": query,
        "match": "all",
        "expect": [document],
        "got": [],
        "why": f"must find {document!r}",
    }
    other = own | {"id": "about-page-3", "query": "about page 3", "expect": ["page3.md"]}
    charts = [
        {"kind": "table", "title": "Canaries that fail", "columns": ["canary"], "rows": [[name], ["about-page-3"]]}
    ]
    answers = [{"query": query, "production": [[document, 0.9]]}, {"query": f"a text of {document}", "production": []}]
    detail = {
        "canaries": [own, other],
        "charts": charts,
        "answers": answers,
        "summary": f'"{query}" must find page3.md',
    }
    after = scrubbed(detail, document, "detail")
    assert not any(word in str(after) for word in (query, name, document))
    assert after["canaries"][1] == other | {"why": "must find 'erased'"}
    assert after["charts"][0]["rows"] == [[ERASED], ["about-page-3"]]
    assert after["answers"][1]["query"] == f"a text of {ERASED}"


@pytest.mark.parametrize("document", ["people/jane.md", "jane", "12"])
def test_every_field_that_names_documents_is_known(document: str) -> None:
    detail = {
        "hubs": [{"document_id": document, "before": 1}], "lost": 12, "documents": 12,
        "topics": [{"kind": "neighbours of", "topic": document, "documents": ["a.md", document]}],
        "doubted": {"document": document}, "why": f"vectors are wrong, such as one of {document}; shards 1",
    }  # fmt: skip
    after = scrubbed(detail, document, "detail")
    assert after == {
        "hubs": [{"document_id": ERASED, "before": 1}], "lost": 12, "documents": 12,
        "topics": [{"kind": "neighbours of", "topic": ERASED, "documents": ["a.md", ERASED]}],
        "doubted": {"document": ERASED}, "why": f"vectors are wrong, such as one of {ERASED}; shards 1",
    }  # fmt: skip


_json = st.recursive(
    st.integers() | st.sampled_from(["records", "versioned", "a records b"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["records", "examples", "why", "x"]), inner)
    ),
    max_leaves=8,
)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shape(one) for name, one in value.items()}
    return [_shape(one) for one in value] if isinstance(value, list) else type(value)


@given(_json)
def test_no_name_of_a_field_changes(value: Any) -> None:
    once = scrubbed(value, "records")
    assert _shape(once) == _shape(value)
    assert scrubbed(once, "records") == once
