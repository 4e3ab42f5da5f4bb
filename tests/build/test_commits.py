"""How many commits a build takes, and what a process that makes one waits for."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.build.test_incremental import write
from tests.conftest import page
from vector_pipeline.build import embeddings
from vector_pipeline.build.attesting import Attestor
from vector_pipeline.embedding.base import Embedder, Vectors
from vector_pipeline.embedding.batches import embed_pending
from vector_pipeline.errors import RefusedError, UnavailableError
from vector_pipeline.lake import embeddings as store
from vector_pipeline.project import Project


def commits(project: Project) -> list[int]:
    """Texts of each commit of vectors, in order."""
    lake = project.lake()
    said = lake.rows(
        "SELECT commit_message FROM lake.snapshots() WHERE commit_message LIKE 'embed %' ORDER BY snapshot_id"
    )
    return [int(message.split()[1]) for (message,) in said]


def test_vectors_of_every_shard_share_a_commit(project: Project) -> None:
    project.build("handbook")
    (texts,) = commits(project)
    assert texts == project.lake().row(f"SELECT count(*) FROM {project.tables('handbook').embeddings}")[0]


@pytest.mark.parametrize(("bound", "value"), [("COMMIT_S", 0.0), ("COMMIT_BYTES", 1)])
def test_a_commit_is_due_by_time_and_by_bytes(
    project: Project, monkeypatch: pytest.MonkeyPatch, bound: str, value: float
) -> None:
    monkeypatch.setattr(embeddings, bound, value)
    monkeypatch.setattr(embeddings, "UNIT_ROWS", 1)
    project.build("handbook")
    made = commits(project)
    (texts,) = project.lake().row(f"SELECT count(*) FROM {project.tables('handbook').embeddings}")
    assert sum(made) == texts
    # A unit is a whole batch of the model.
    assert max(made) <= project.embedder("handbook").batch_size
    assert len(made) >= 4, "as many shards"


def test_a_commit_has_no_more_than_it_may(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where that is no multiple of what is made at a time."""
    monkeypatch.setattr(project.embedder("handbook"), "batch_size", 2)
    monkeypatch.setattr(embeddings, "UNIT_ROWS", 2)
    project.sync("handbook")
    project.chunk("handbook")
    shards = project.lake().rows(f"SELECT count(*) FROM {project.tables('handbook').chunks} GROUP BY shard")
    assert max(shards)[0] > 3, "more than one commit of a shard"
    project.embed("handbook", commit_rows=3)
    assert max(commits(project)) <= 3


class Interrupted(BaseException):
    """As whoever runs a step makes one: Dagster's is no ``KeyboardInterrupt``."""


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("the service is gone", fix="Wait"),
        KeyboardInterrupt(),
        Interrupted(),
        RuntimeError("Query interrupted"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_was_made_before_an_error_is_kept(
    project: Project, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    embedder = project.embedder("handbook")
    embed = type(embedder).embed_documents

    def fails(self: Embedder, texts: Sequence[str]) -> Vectors:
        if any(last in text for text in texts):
            raise error
        return embed(self, texts)

    monkeypatch.setattr(embedder, "batch_size", 2)
    monkeypatch.setattr(embeddings, "UNIT_ROWS", 2)
    project.sync("handbook")
    project.chunk("handbook")
    # Of the last shard; shards are embedded in order.
    (last, texts) = project.lake().row(
        f"SELECT max_by(text, (shard, content_hash)), count(DISTINCT content_hash) FROM {project.tables('handbook').chunks}"
    )
    with monkeypatch.context() as patched:
        patched.setattr(type(embedder), "embed_documents", fails)
        with pytest.raises(type(error)):
            project.embed("handbook")
    (kept,) = commits(project)
    assert 0 < kept < texts
    assert project.embed("handbook").embedded == texts - kept


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("place", "name", "error"),
    [
        (store, "pending_texts", KeyboardInterrupt()),
        (store, "pending_texts", RuntimeError("Query interrupted")),
        (store, "store_vectors", Interrupted()),
        (store, "store_vectors", UnavailableError("the storage is gone", fix="Wait")),
        (Attestor, "attest", KeyboardInterrupt()),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_what_waits_for_its_commit_is_kept(
    project: Project, monkeypatch: pytest.MonkeyPatch, place: object, name: str, error: BaseException, late: bool
) -> None:
    """Of two shards whose texts are read at once, the first one's commit is due by time, and the second one's vectors wait."""
    project.sync("handbook")
    project.chunk("handbook")
    table = project.tables("handbook")
    rows = project.lake().rows(f"SELECT count(DISTINCT content_hash) FROM {table.chunks} GROUP BY shard ORDER BY shard")
    sizes, made = [int(count) for (count,) in rows], []
    begin, embed, write_vectors = getattr(place, name), embed_pending, store.store_vectors
    calls = iter(range(1, 1_000))

    def counted(*args: Any, **more: Any) -> Iterator[pa.Table]:
        for unit in embed(*args, **more):
            made.append(unit.num_rows)
            yield unit

    def in_time(*args: Any, **more: Any) -> None:
        write_vectors(*args, **more)
        monkeypatch.setattr(embeddings, "COMMIT_S", 1e9)

    def fails(*args: Any, **more: Any) -> Any:
        second = next(calls) == 2
        if second and not late:
            raise error
        given = (in_time if begin is write_vectors else begin)(*args, **more)
        if second:
            raise error
        return given

    with monkeypatch.context() as patched:
        patched.setattr(embeddings, "COMMIT_S", 0.0)
        patched.setattr(embeddings, "embed_pending", counted)
        patched.setattr(store, "store_vectors", in_time)
        patched.setattr(place, name, fails)
        with pytest.raises(type(error)):
            project.embed("handbook", commit_rows=max(sizes[0] + sizes[1], sizes[1] + sizes[2]))
    (kept,) = project.lake().row(f"SELECT count(*) FROM {table.embeddings}")
    assert sum(sizes[:2]) <= kept == sum(made)
    assert project.embed("handbook").embedded == sum(sizes) - kept
    assert project.lake().row(f"SELECT count(*) FROM {table.embeddings}") == (sum(sizes),)


@pytest.mark.parametrize("refused", [True, False])
def test_what_cannot_be_attested_is_not(project: Project, monkeypatch: pytest.MonkeyPatch, refused: bool) -> None:
    """Nor is the model asked again, where it was another one."""
    asked = []

    def fails(*_: Any, **__: Any) -> None:
        asked.append(1)
        raise RefusedError("another model") if refused else UnavailableError("the service is gone")

    project.sync("handbook")
    project.chunk("handbook")
    monkeypatch.setattr(Attestor, "attest", fails)
    with pytest.raises(RefusedError if refused else UnavailableError):
        project.embed("handbook")
    assert commits(project) == []
    assert len(asked) == (1 if refused else 2)


def test_a_document_that_went_and_came_back_is_chunked_again(project: Project) -> None:
    """Its digest is the one of the last version again: that its chunks are another text's shows from them alone."""
    first = project.build("handbook").version
    write(project, "page5.md", "# Another\n\nQuite another text.\n")
    project.sync("handbook")
    project.chunk("handbook")
    write(project, "page5.md", page(5))
    project.sync("handbook")
    assert project.chunk("handbook").documents_chunked == 1
    project.embed("handbook")
    assert project.snapshot("handbook").version == first


_COMMITS = """
import sys
from pathlib import Path
from vector_pipeline.config import LakeConfig
from vector_pipeline.lake.connection import Lake
from vector_pipeline.lake.documents import LISTED, select_shards, stage
with Lake.open(LakeConfig(), Path(sys.argv[1])) as lake:
    stage(lake, "listed", LISTED, ())
    select_shards(lake, 4, None)
    lake.set_setting("it's", "said")
    lake.transaction(lambda: lake.run("CREATE TABLE lake.main.some AS SELECT 1 AS one"), "it's made")
    assert lake.setting("it's") == "said"
    (message,) = lake.row("SELECT commit_message FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1")
    assert message == "it's made"
print(sorted({"pandas", "pyarrow.dataset"} & set(sys.modules)))
"""


def test_what_every_commit_does_does_not_wait_for_pandas(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _COMMITS, str(tmp_path)], capture_output=True, text=True, check=False, env=os.environ
    )
    assert ended.stdout.split() == ["[]"], ended.stderr
