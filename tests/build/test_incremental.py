"""The left half is incremental by content: cost follows what changed, and the lake is not touched where nothing did."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from tests.conftest import MakeProject, page
from vector_pipeline.errors import RefusedError
from vector_pipeline.lake.tables import at
from vector_pipeline.project import Project, VersionMade


def lake_files(project: Project) -> dict[str, int]:
    """Every file of the lake's data with its size."""
    root = project.base / ".vector_pipeline" / "lake" / "data"
    return {str(path.relative_to(root)): path.stat().st_size for path in root.rglob("*") if path.is_file()}


def write(project: Project, name: str, text: str) -> None:
    (project.base / "documents" / name).write_text(text, encoding="utf-8")


def test_a_second_build_does_nothing_at_all(project: Project) -> None:
    first = project.build("handbook")
    snapshot, files = project.lake().snapshot_id(), lake_files(project)
    counts = project.sync("handbook")
    assert (counts.read, counts.touched, counts.unchanged) == (0, 0, 12)
    assert project.chunk("handbook").documents_chunked == 0
    assert project.embed("handbook").embedded == 0
    again = project.snapshot("handbook")
    assert (again.made, again.version) == (False, first.version)
    assert (project.lake().snapshot_id(), lake_files(project)) == (snapshot, files)


def test_a_touched_file_is_read_and_not_parsed_again(project: Project) -> None:
    project.build("handbook")
    path = project.base / "documents" / "page3.md"
    os.utime(path, ns=(1, 1))
    counts = project.sync("handbook")
    assert (counts.read, counts.touched) == (1, 0)
    assert project.sync("handbook").read == 0
    assert project.snapshot("handbook").made is False


def test_one_changed_paragraph_embeds_and_plans_only_its_chunk(project: Project) -> None:
    project.build("handbook")
    project.push("handbook")
    write(project, "page5.md", page(5).replace("item5x3 and more", "something else entirely"))
    project.sync("handbook")
    assert project.chunk("handbook").documents_chunked == 1
    embedded = project.embed("handbook").embedded
    made = project.snapshot("handbook")
    assert made.diff is not None
    assert (made.diff.documents_changed, made.diff.documents_unchanged) == (1, 11)
    assert embedded == made.diff.records_added == 1
    plan = project.plan("handbook")
    assert (plan.actions["add"], plan.actions["remove"], plan.actions["metadata"]) == (1, 1, 0)
    assert plan.documents == {"added": 0, "removed": 0, "changed": 1}
    assert plan.examples == {"add": ["page5.md"], "remove": ["page5.md"]}


def test_an_inserted_paragraph_does_not_renumber_the_document(make_project: MakeProject) -> None:
    project = make_project({"a.md": page(1, paragraphs=30)})
    project.build("handbook")
    text = page(1, paragraphs=30)
    write(project, "a.md", text.replace("# Page 1\n", "# Page 1\n\nA new beginning.\n"))
    made = project.build("handbook")
    assert made.diff is not None
    assert made.diff.records_unchanged >= made.version.records - 2


def test_a_changed_front_matter_is_metadata_only(make_project: MakeProject) -> None:
    text = "---\nlevel: {}\n---\n\n# A\n\nWords.\n"
    project = make_project({"a.md": text.format("easy"), "b.md": page(2)})
    project.build("handbook")
    project.push("handbook")
    write(project, "a.md", text.format("hard"))
    project.sync("handbook")
    project.chunk("handbook")
    assert project.embed("handbook").embedded == 0
    made = project.snapshot("handbook")
    assert made.diff is not None
    assert (made.diff.records_metadata, made.diff.records_added, made.diff.documents_changed) == (1, 0, 1)
    assert project.plan("handbook").actions["metadata"] == 1


def test_the_same_text_in_another_document_is_not_embedded_again(project: Project) -> None:
    project.build("handbook")
    (project.base / "documents" / "page1.md").rename(project.base / "documents" / "moved.md")
    project.sync("handbook")
    project.chunk("handbook")
    counts = project.embed("handbook")
    assert counts.embedded == 0
    made = project.snapshot("handbook")
    assert made.diff is not None
    assert made.diff.documents_moved == 1


def test_deletion_propagates_and_old_versions_read_back(project: Project) -> None:
    first = project.build("handbook")
    (project.base / "documents" / "page0.md").unlink()
    second = project.build("handbook")
    assert (first.version.documents, second.version.documents) == (12, 11)
    assert {row["document"] for row in project.documents("handbook", version=1)} - {
        row["document"] for row in project.documents("handbook", version=2)
    } == {"page0.md"}


def test_a_source_that_lists_nothing_is_an_error(project: Project) -> None:
    project.build("handbook")
    for path in (project.base / "documents").iterdir():
        path.unlink()
    with pytest.raises(RefusedError, match="lists nothing; it listed 12 items before"):
        project.sync("handbook")
    assert len(project.documents("handbook")) == 12


def test_quarantine_never_stops_the_others(project: Project) -> None:
    (project.base / "documents" / "bad.md").write_bytes(b"\x00\x01\x02")
    write(project, "empty.md", "\n\n")
    counts = project.sync("handbook")
    assert (counts.added, counts.quarantined, counts.newly_quarantined) == (12, 2, 2)
    assert [(row["document"], row["reason"]) for row in project.quarantined("handbook")] == [
        ("bad.md", "not-text"), ("empty.md", "empty"),
    ]  # fmt: skip
    assert project.sync("handbook").newly_quarantined == 0
    write(project, "empty.md", "# Not empty\n\nany more\n")
    counts = project.sync("handbook")
    assert (counts.added, counts.quarantined) == (1, 1)


def test_a_document_that_becomes_unparsable_leaves(project: Project) -> None:
    project.build("handbook")
    (project.base / "documents" / "page2.md").write_bytes(b"\x00" * 20)
    counts = project.sync("handbook")
    assert (counts.deleted, counts.quarantined) == (1, 1)


def test_shards_are_synced_apart_and_end_in_the_same_version(make_project: MakeProject) -> None:
    whole, apart = make_project(), make_project()
    expected = whole.build("handbook").version.digest
    for shard in (3, 0, 2, 1):
        apart.sync("handbook", shards=[shard])
        apart.chunk("handbook", shards=[shard])
        apart.embed("handbook", shards=[shard])
        if shard != 1:
            assert apart.snapshot("handbook").version.documents < 12
    assert apart.snapshot("handbook").version.digest == expected


def test_an_incomplete_state_makes_no_version(project: Project) -> None:
    project.sync("handbook")
    project.chunk("handbook")
    with pytest.raises(RefusedError, match="chunks without a vector"):
        project.snapshot("handbook")


def test_a_changed_chunker_is_another_space_that_reuses_vectors(make_project: MakeProject) -> None:
    project = make_project({"a.md": "# A\n\nOne short page.\n"})
    first = project.build("handbook")
    path = project.base / "vector_pipeline.yaml"
    path.write_text(path.read_text().replace("max_tokens: 60", "max_tokens: 50"))
    with Project.load(path) as changed:
        changed.sync("handbook")
        changed.chunk("handbook")
        assert changed.embed("handbook").embedded == 0
        second = changed.snapshot("handbook")
    assert second.version.fingerprint != first.version.fingerprint
    assert (second.version.number, second.version.parent) == (2, None)


def test_records_become_documents(make_project: MakeProject, tmp_path: Path) -> None:
    project = make_project()
    rows = [{"id": n, "title": f"Title {n}", "body": f"Body of {n}.", "year": 2000 + n} for n in range(5)]
    path = project.base / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"id": 9, "title"\n', encoding="utf-8")
    config = project.base / "vector_pipeline.yaml"
    source = "{kind: jsonl, path: rows.jsonl, title: title, text: body, metadata: [year]}"
    config.write_text(config.read_text().replace('{root: documents, include: ["**/*.md"]}', source))
    with Project.load(config) as records:
        counts = records.sync("handbook")
        assert (counts.added, counts.quarantined) == (5, 1)
        made: VersionMade = records.build("handbook")
        assert made.version.documents == 5
        unread = records.sync("handbook")
        assert (unread.read, unread.unchanged, unread.quarantined) == (0, 5, 1)
        rows[2]["body"] = "Another body."
        path.write_text("".join(json.dumps(row) + "\n" for row in rows[:4]), encoding="utf-8")
        counts = records.sync("handbook")
        assert (counts.changed, counts.deleted, counts.quarantined) == (1, 1, 0)


def test_an_item_is_added_changed_unchanged_or_in_quarantine(make_project: MakeProject) -> None:
    project = make_project()
    path = project.base / "rows.jsonl"
    config = project.base / "vector_pipeline.yaml"
    source = '{root: documents, include: ["**/*.md"]}'
    config.write_text(config.read_text().replace(source, "{kind: jsonl, path: rows.jsonl}"))

    def synced(**texts: str) -> tuple[int, ...]:
        path.write_text("".join(json.dumps({"id": id, "text": text}) + "\n" for id, text in texts.items()))
        counts = records.sync("handbook")
        assert counts.listed == counts.added + counts.changed + counts.unchanged + counts.quarantined == len(texts)
        return counts.added, counts.changed, counts.deleted, counts.unchanged, counts.quarantined

    with Project.load(config) as records:
        assert synced(a="A", b="B", c="C", d="", e="") == (3, 0, 0, 0, 2)
        assert synced(a="A", b="B", c="C", d="D", e="") == (1, 0, 0, 3, 1)
        assert synced(a="A", b="", c="c", d="D", e="") == (0, 1, 1, 2, 2)
        assert synced(a="A", b="", c="c", d="D") == (0, 0, 0, 3, 1)
        assert synced(a="A", b="", c="c", d="D") == (0, 0, 0, 3, 1)


def test_expire_and_collect_keep_every_version(project: Project) -> None:
    for number in range(3):
        write(project, "page1.md", page(100 + number, paragraphs=40))
        project.build("handbook")
    before = [project.documents("handbook", version=number) for number in (1, 2, 3)]
    assert project.expire(dry_run=True).snapshots == ()  # all of them are young
    told = project.expire(dry_run=True, grace_s=0)
    assert told.snapshots
    assert project.expire(dry_run=True, grace_s=0) == told
    assert project.expire(dry_run=False, grace_s=0).snapshots == told.snapshots
    assert project.expire(dry_run=True, grace_s=0).snapshots == ()
    project.collect(dry_run=False)
    assert [project.documents("handbook", version=number) for number in (1, 2, 3)] == before
    lake = project.lake()
    for version in project.versions("handbook"):
        tables = project.tables("handbook")
        lacking = lake.row(
            f"""SELECT count(*) FROM {at(tables.chunks, version.lake_snapshot)} c
                ANTI JOIN {tables.embeddings} e USING (shard, content_hash)"""
        )
        assert lacking == (0,)


def test_settings_of_a_record_source_are_part_of_its_revision(make_project: MakeProject) -> None:
    project = make_project()
    rows = [{"id": n, "text": f"Text {n}.", "more": f"More of {n}.", "year": 2000 + n} for n in range(6)]
    (project.base / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = project.base / "vector_pipeline.yaml"
    text = config.read_text().replace('{root: documents, include: ["**/*.md"]}', "{kind: jsonl, path: rows.jsonl}")
    config.write_text(text)
    with Project.load(config) as first:
        assert first.build("handbook").version.documents == 6
        assert first.pending("handbook") == set()
    config.write_text(text.replace("path: rows.jsonl", "path: rows.jsonl, text: [text, more], metadata: [year]"))
    with Project.load(config) as second:
        assert second.pending("handbook") == {0, 1, 2, 3}
        assert second.sync("handbook").changed == 6


def test_a_partial_sync_does_not_hide_what_the_other_shards_missed(make_project: MakeProject) -> None:
    project = make_project()
    path = project.base / "rows.jsonl"

    def write_rows(word: str) -> None:
        rows = [{"id": n, "text": f"{word} text of {n}."} for n in range(12)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        # As a backup is restored: with the time that the file had.
        os.utime(path, ns=(10**18, 10**18 if word == "first" else 2 * 10**18))

    config = project.base / "vector_pipeline.yaml"
    source = "{kind: jsonl, path: rows.jsonl}"
    config.write_text(config.read_text().replace('{root: documents, include: ["**/*.md"]}', source))
    with Project.load(config) as records:
        write_rows("first")
        digest = records.build("handbook").version.digest
        write_rows("other")
        assert records.sync("handbook", shards=[0, 1]).changed > 0
        write_rows("first")
        assert records.sync("handbook").changed > 0
        assert records.build("handbook").version.digest == digest


def test_another_number_of_shards_is_refused(project: Project) -> None:
    project.build("handbook")
    path = project.base / "vector_pipeline.yaml"
    path.write_text(path.read_text().replace("shards: 4", "shards: 8"))
    with Project.load(path) as changed:
        for verb in (changed.sync, changed.pending):
            with pytest.raises(RefusedError, match="was built with 4 shards, the configuration says 8"):
                verb("handbook")


def test_a_nul_in_a_record_is_quarantined(make_project: MakeProject) -> None:
    project = make_project()
    rows = [{"id": "a", "text": "Good."}, {"id": "b\0c", "text": "Bad id."}, {"id": "d", "text": "Bad\0text."}]
    (project.base / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = project.base / "vector_pipeline.yaml"
    source = "{kind: jsonl, path: rows.jsonl}"
    config.write_text(config.read_text().replace('{root: documents, include: ["**/*.md"]}', source))
    with Project.load(config) as records:
        made = records.build("handbook")
        assert made.version.documents == 1
        assert {row["reason"] for row in records.quarantined("handbook")} == {"bad-id", "not-text"}


def build_whole(config: Path) -> None:
    with Project.load(config) as project:
        project.build("handbook")


def test_builds_at_once_write_everything_once(make_project: MakeProject) -> None:
    project = make_project(24)
    config = project.base / "vector_pipeline.yaml"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.process.work"])
    processes = [context.Process(target=build_whole, args=(config,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    calm = make_project(24).build("handbook").version
    (version,) = project.versions("handbook")
    assert (version.digest, version.records) == (calm.digest, calm.records)
    tables = project.tables("handbook")
    for table, key in (("documents", "document_id"), ("chunks", "record_id")):
        name = tables.dataset.documents if table == "documents" else tables.chunks
        total, distinct = project.lake().row(f"SELECT count(*), count(DISTINCT {key}) FROM {name}")
        assert total == distinct
    assert project.push("handbook").applied.upserted == version.records
