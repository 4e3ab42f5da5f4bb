"""A small production, whole: a document dropped into S3 is served, a broken one is stopped, and production goes back.

Everything is a process of its own, configured by the files in ``deploy/dagster``. Prints what was proved, and its seconds.
"""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.production.asking import Plant, tags
from tests.production.plant import missing, plant
from tests.registry.conftest import postgres
from vector_pipeline.serving import Index, open_index

__all__ = ["postgres"]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(missing() is not None, reason=missing() or "")]
CONFIG = """
datasets:
  handbook:
    source: {{kind: s3, bucket: {bucket}, prefix: documents}}
    shards: 4
    spaces:
      words:
        embedder: {{kind: static, model: wordllama}}
        chunker: {{max_tokens: 120, overlap_tokens: 10, min_tokens: 10}}
    target: pinecone
    gates: {{canaries: canaries.yaml}}
    promotion: {{policy: automatic}}
environments:
  prod:
    lake: {{catalog: '{url}', data: 's3://{bucket}/lake'}}
    registry: '{url}'
    targets:
      pinecone: {{kind: pinecone, index: company, host: '{pinecone}', deletion_protection: false}}
    automation: {{enabled: [changes], every_s: 2}}
"""
PAGES = {
    "holidays.md": "# Holidays\n\nEvery employee has 28 days of paid holiday a year. Ask for them two weeks before.\n",
    "travel.md": "# Travel costs\n\nTrain tickets and hotels are paid back. Send the receipts within thirty days.\n",
    "remote.md": "# Working from home\n\nYou may work from home on two days a week, if your team agrees.\n",
    "sick.md": "# Sick leave\n\nCall your manager in the morning. From the third day on a doctor's note is needed.\n",
    "laptop.md": "# Laptops\n\nA laptop is replaced after four years, or when it breaks. Ask the service desk.\n",
    "door.md": "# Door codes\n\nThe code of the front door changes every month; it is sent by mail on the first.\n",
}
CANARIES = """
canaries:
  - {query: "How many days of paid holiday do I have?", expect: [holidays.md], k: 1}
  - {query: "Are hotels and train tickets paid back?", expect: [travel.md], k: 1}
"""
DROPPED = "# Parental leave\n\nParents have fourteen months of paid leave after the birth of a child.\n"
HOLIDAYS = "How many days of paid holiday do I have?"
QUESTION = "How many months of paid leave do parents have after the birth of a child?"


@dataclass
class Proved:
    """What the test has shown, and how long each part took."""

    rows: list[tuple[str, str, float]] = field(default_factory=list)

    @contextmanager
    def part(self, name: str) -> Iterator[list[str]]:
        """Times a part; what is appended says what was seen."""
        begun, seen = time.monotonic(), list[str]()
        yield seen
        self.rows.append((name, "; ".join(seen), time.monotonic() - begun))

    @property
    def seconds(self) -> float:
        return sum(seconds for *_, seconds in self.rows)

    def table(self) -> str:
        rows = [(name, f"{seconds:6.1f}", seen) for name, seen, seconds in self.rows]
        rows = [("part", "s".rjust(6), "what was seen"), *rows, ("all of it", f"{self.seconds:6.1f}", "")]
        width = max(len(name) for name, *_ in rows)
        return "\n".join(f"{name:<{width}}  {seconds}  {seen}".rstrip() for name, seconds, seen in rows)


def top(index: Index, question: str) -> tuple[str, int]:
    """The first document of an answer, and the version that gave it."""
    index.refresh()
    return index.query(question, top_k=1)[0].document, index.version


def checks_that_failed(made: Plant, run_id: str) -> list[str]:
    """Asset checks that did not pass in a run, as Dagster's page of the run shows them."""
    query = """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
        ... on AssetCheckEvaluationEvent { evaluation { checkName success } } } } } }"""
    events = made.ui.ask(query, id=run_id)["logsForRun"]["events"]
    return [one["evaluation"]["checkName"] for one in events if one and not one["evaluation"]["success"]]


@pytest.mark.timeout(1800)
def test_a_small_production(tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    proved = Proved()
    with ExitStack() as stack:
        with proved.part("everything is up") as seen:
            made = stack.enter_context(_started(tmp_path, postgres, monkeypatch))
            seen.append("PostgreSQL, S3, Pinecone protocol, Redis, webserver, daemon, code server, 2 workers")
        known = _the_first_release(made, proved)
        index = stack.enter_context(open_index("handbook", project=made.config, max_staleness_s=0, timeout_s=None))
        known = _a_document_is_dropped(made, index, proved, known)
        known = _one_is_broken(made, index, proved, known)
        _back(made, index, proved, known)
        processes = made.processes
        begun = time.monotonic()
    assert processes.left() == []
    proved.rows.append(("everything has ended", "no process is left", time.monotonic() - begun))
    sys.stdout.write(f"\n{proved.table()}\n")


@contextmanager
def _started(folder: Path, postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    (folder / "canaries.yaml").write_text(CANARIES)
    with plant(folder, postgres, CONFIG, workers=("worker1", "worker2"), before=_fill) as made:
        monkeypatch.setenv("PINECONE_API_KEY", made.processes.environment["PINECONE_API_KEY"])
        yield made


def _fill(made: Plant) -> None:
    for name, text in PAGES.items():
        made.bucket.put(f"documents/{name}", text)


def _released(made: Plant, known: set[str], status: str) -> dict[str, Any]:
    run = made.wait_for_run("handbook__release", known)
    assert run["status"] == status, made.story(run["id"])
    return run


def _the_first_release(made: Plant, proved: Proved) -> set[str]:
    with proved.part("first release, by the sensor") as seen:
        run = _released(made, set(), "SUCCESS")
        seen.append(f"6 documents from S3, gates passed, on {worker_of(run)}")
    return made.known()


def _a_document_is_dropped(made: Plant, index: Index, proved: Proved, known: set[str]) -> set[str]:
    with proved.part("a document is dropped into S3") as seen:
        before, version = top(index, QUESTION)
        assert before != "parents.md"
        made.bucket.put("documents/parents.md", DROPPED)
        run = _released(made, known, "SUCCESS")
        assert top(index, QUESTION) == ("parents.md", version + 1)
        seen.append(f"asked: {before} before (v{version}), parents.md after (v{version + 1}), on {worker_of(run)}")
    return made.known()


def _one_is_broken(made: Plant, index: Index, proved: Proved, known: set[str]) -> set[str]:
    with proved.part("one is broken on purpose") as seen:
        live = index.version
        made.bucket.put("documents/holidays.md", "# Moved\n\nThis page has moved. Look for it in the archive.\n")
        run = _released(made, known, "FAILURE")
        failed = checks_that_failed(made, run["id"])
        assert failed, made.story(run["id"])
        assert top(index, HOLIDAYS) == ("holidays.md", live)
        assert "28 days" in index.query(HOLIDAYS, top_k=1)[0].text
        said = made.command("status")
        assert said.returncode == 0, said.stderr
        assert re.search(rf"^production\s+v{live}:", said.stdout, re.MULTILINE), said.stdout
        assert re.search(r"^✗\s+canary retrieval\s+failed", said.stdout, re.MULTILINE), said.stdout
        seen.append(f"stopped by {', '.join(failed)} in Dagster and in `status`; production stays v{live}")
    return made.known()


def _back(made: Plant, index: Index, proved: Proved, known: set[str]) -> None:
    with proved.part("production is rolled back") as seen:
        live = index.version
        made.launch("handbook__promote", handbook__production_index={"verb": "rollback", "reason": "the former answer"})
        run = made.wait_for_run("handbook__promote", known)
        assert run["status"] == "SUCCESS", made.story(run["id"])
        document, version = top(index, QUESTION)
        assert document != "parents.md"
        assert version < live
        seen.append(f"by a run in Dagster, on {worker_of(run)}: v{version} answers as before ({document})")


def worker_of(run: dict[str, Any]) -> str:
    return tags(run).get("vector_pipeline/worker", "nobody").partition("@")[0]
