"""Facts of a version with everything that a report can show, nasty texts among them; and a way to change a few of them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from vector_pipeline.lake.diff import VersionDiff
from vector_pipeline.release.past import Event
from vector_pipeline.release.plan import Action, Cost, Plan, Preconditions, Stage, StageKind, Strategy
from vector_pipeline.release.registry import Version
from vector_pipeline.report.page.facts import Facts, GateSaid, Outlook, Pushed
from vector_pipeline.verify.outcome import Status

AT = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
NASTY = "<script>document.title='pwned'</script><img src=x onerror=alert(1)>\"'&amp; ‮gnp.exe"
LONG = "documents/" + "a-very-long-folder-name/" * 6 + "and-a-file-without-any-space-in-its-name-at-all.md"


def version(number: int = 7, **fields: Any) -> Version:
    """A version as the registry has it."""
    known: dict[str, Any] = {
        "dataset": "handbook", "space": "minilm", "fingerprint": "f" * 16, "embedder_fingerprint": "e" * 16,
        "dimension": 384, "metric": "cosine", "lake_snapshot": 70, "digest": "d" * 64, "documents": 12_480,
        "records": 48_211, "run_id": "run-7", "code_revision": "c" * 40, "message": f"autumn {NASTY}", "number": number,
        "parent": number - 1, "created_at": AT, "model": "sentence-transformers/all-MiniLM-L6-v2",
        "chunk_table": "chunks", "embedding_table": "embeddings",
    }  # fmt: skip
    names = Version.__dataclass_fields__
    return Version(**{name: value for name, value in (known | fields).items() if name in names})


def plan() -> Plan:
    """A push of a small change."""
    stages = (
        Stage(StageKind.ENSURE_NAMESPACE),
        Stage(StageKind.UPSERT, 1_204, 2_100_000, 13, 1.2),
        Stage(StageKind.CLOSE, 310, 18_600, 4, 0.3),
        Stage(StageKind.MOVE_ALIAS, where="staging"),
    )
    actions = {action.value: 0 for action in Action} | {"add": 1_204, "remove": 310, "unchanged": 47_007}
    return Plan(
        "handbook", "prod", "main", "handbook--minilm--ffffffff", "minilm", "f" * 16, 384, "cosine", 7, "staging",
        Strategy.VERSIONED, "cheaper: 0.04 USD against 1.60 USD", actions, {"added": 40, "removed": 12, "changed": 230},
        {}, stages, Preconditions(70, "d" * 64, "mark", "a"), Cost(1_514, 1_204, 2_118_600, 17, 1.5, 0.04, "USD"),
        notes=(f"{NASTY} is refused by a guard",),
    )  # fmt: skip


def gates() -> tuple[GateSaid, ...]:
    """One gate of each status, with every kind of chart."""
    random = np.random.default_rng(7)
    edges = [round(0.3 + 0.02 * n, 2) for n in range(31)]
    histogram = {
        "kind": "histogram", "title": "Score of the best answer", "edges": edges,
        "series": {
            "production": np.histogram(random.normal(0.62, 0.08, 400), edges)[0].tolist(),
            "candidate": np.histogram(random.normal(0.57, 0.09, 390), edges)[0].tolist(),
        },
    }  # fmt: skip
    bars = {
        "kind": "bars", "title": "Documents that answers lean on", "labels": [LONG, "holidays.md", NASTY],
        "series": {"production": [14, 3, None], "candidate": [2, 41.5, 7]},
    }  # fmt: skip
    table = {
        "kind": "table",
        "title": "Lost documents",
        "columns": ["document", "chunks"],
        "rows": [[LONG, 12], [NASTY, 1]],
    }
    answers = [
        {
            "query": "How many days of holiday do I have?", "overlap": 0.2, "why": "the model changed",
            "production": [["holidays.md", 0.81], ["travel.md", 0.6], [LONG, 0.5]],
            "candidate": [[NASTY, 0.7], ["travel.md", 0.61], ["holidays.md", 0.4]],
        },
        {"query": NASTY, "overlap": 0, "why": "", "production": [["a.md", 1]], "candidate": []},
    ]  # fmt: skip
    canaries = [
        {
            "id": f"c{n}", "query": f"{NASTY if n == 0 else 'Question'} {n}?", "status": "failed" if n < 2 else "passed",
            "expect": [LONG], "missing": [LONG] if n < 2 else [], "forbidden": ["old.md"] if n == 1 else [],
            "got": [{"document_id": NASTY, "score": 0.5}], "tags": ["travel"], "critical": n == 1, "before": "passed",
        }
        for n in range(12)
    ]  # fmt: skip
    rate = {"passed": 10, "total": 12, "rate": 10 / 12, "low": 0.552, "high": 0.953}
    return (
        GateSaid("documents expectations", Status.PASSED, "documents: 8 expectations hold", "Every document is sound.", at=AT),
        GateSaid(
            "lost content", Status.FAILED, f"12 documents are lost: {NASTY}", "Nothing is lost.", at=AT,
            detail={"lost": 12, "share": 0.01234, "charts": [table, bars], "against": {"version": 6}, "nested": {"a": [1]}},
            examples=({"document": NASTY, "chunks": 3}, {"document": LONG, "why": ["gone", "moved"]}),
        ),
        GateSaid(
            "embedding shift", Status.WARNED, "centroids moved by 0.31 (warns only)", "Vectors stay where they were.",
            mode="warn", at=AT, detail={"charts": [histogram, {"kind": "pie", "title": "unheard of"}]},
        ),
        GateSaid("answers", Status.PASSED, "answers overlap by 82%", "Answers stay.", at=AT, detail={"answers": answers}),
        GateSaid("coverage", Status.UNKNOWN, "all there", at=AT, outdated="judged before the index changed: verify again"),
        GateSaid("index recall", Status.UNKNOWN, "has not run"),
        GateSaid(
            "canary retrieval", Status.FAILED, "10/12 canary queries passed", "Canaries are found.", at=AT,
            detail={**rate, "pass_rate": 0.9, "tags": {"travel": rate}, "canaries": canaries},
        ),
    )  # fmt: skip


def scatter(points: int = 1_200) -> dict[str, Any]:
    """A map with every group."""
    random = np.random.default_rng(3)
    groups = ["unchanged"] * 8 + ["added", "removed"]
    made = []
    for n in range(points):
        group = groups[n % 10]
        centre = random.normal(0, 1, 2) + (n % 3) * 4 + (2 if group == "added" else 0)
        made.append([float(centre[0]), float(centre[1]), NASTY if n == 0 else f"doc{n}.md", group])
    return {"kind": "scatter", "title": "Two directions", "points": made}


FactsOf = Callable[..., Facts]


@pytest.fixture(scope="session")
def facts_of() -> FactsOf:
    """Facts of everything; fields may be given."""
    change = VersionDiff(
        1_204, 310, 3, 46_994, 40, 12, 230, 12_210, 2, {"added": [NASTY, LONG], "changed": ["b.md"], "removed": []}
    )
    events = (
        Event(AT + timedelta(minutes=5), "push", "staging", 6, 7, "ann@host", "pushed", changes=change),
        Event(AT, "promote", "production", 6, 7, NASTY, LONG),
    )
    whole = Facts(
        version=version(), environment="prod", places=("main/handbook--minilm--ffffffff",), aliases=("staging",),
        served=version(6, digest="b" * 64), outlook=Outlook.BLOCKED, gates=gates(),
        pushed=Pushed(plan(), True, AT, 1.9, {"429": 14}), changes=change, map=scatter(), history=events, spaces={},
        policy="A person promotes in environment prod.",
        commands=(("Run the gates again", "vector-pipeline verify --version 7"), (NASTY, NASTY)), made_at=AT,
    )  # fmt: skip

    def make(**fields: Any) -> Facts:
        return replace(whole, **fields)

    return make
