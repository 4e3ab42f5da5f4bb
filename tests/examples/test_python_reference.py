"""The demo's project: what its documents are, what its canaries expect, and what its edits do to the folder."""

import os
import re
import subprocess
import sys
from pathlib import Path
from pydoc_data.topics import topics

import frontmatter
import pytest
from markdown_it import MarkdownIt

from examples.python_reference import edit_documents as edits
from examples.python_reference import write_documents as documents
from vector_pipeline.config import FileSourceConfig, load_config
from vector_pipeline.verify.canaries.file import Canary, load_canaries

PROJECT = Path(documents.__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    documents.write_documents(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*.md"))}


def canaries() -> tuple[Canary, ...]:
    return load_canaries(PROJECT / "canaries.yaml")


def words(text: str) -> list[str]:
    return sorted(re.findall(r"\w+", text))


def test_the_configuration_loads() -> None:
    dataset = load_config(PROJECT / "vector_pipeline.yaml").datasets["python_reference"]
    assert isinstance(dataset.source, FileSourceConfig)
    assert dataset.source.root == Path("documents") or dataset.source.root == PROJECT / "documents"
    assert dataset.shards == 16
    assert dataset.serving_space == "minilm"
    assert dataset.promotion.policy == "manual"
    assert dataset.gates.canaries is not None
    assert (PROJECT / dataset.gates.canaries).is_file()


def test_every_topic_is_one_document(folder: Path) -> None:
    written = contents(folder)
    assert len(written) == len(topics) >= 79
    assert "statements/assert.md" in written
    assert list(written) == list(documents.reference_documents())


def test_a_topic_that_is_not_known_has_a_category_too() -> None:
    assert documents.document_path("walrus") == "reference/walrus.md"


def test_equal_interpreters_write_equal_bytes(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other") / "new" / "folder"
    script = [sys.executable, documents.__file__, str(other)]
    for seed in ("1", "2"):
        subprocess.run(script, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed})
        assert contents(other) == contents(folder)


def test_a_second_writing_touches_nothing_and_repairs_what_differs(folder: Path) -> None:
    stamp = 1_000_000_000_000_000_000
    for file in folder.rglob("*.md"):
        os.utime(file, ns=(stamp, stamp))
    (folder / "notes.md").write_text("mine", encoding="utf-8")
    (folder / "statements/pass.md").write_text("changed", encoding="utf-8")
    assert documents.write_documents(folder) == len(topics)
    touched = {file.name for file in folder.rglob("*.md") if file.stat().st_mtime_ns != stamp}
    assert touched == {"notes.md", "pass.md"}
    assert (folder / "notes.md").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("topic", sorted(topics))
def test_no_word_of_a_topic_is_changed(topic: str) -> None:
    document = frontmatter.loads(documents.reference_documents()[documents.document_path(topic)])
    assert set(document.metadata) == {"title", "topic", "category", "python_version"}
    assert document["topic"] == topic
    assert document["python_version"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert document.content.startswith(f"# {document['title']}\n")
    text = re.sub(r"^ *````?\w*$", "", document.content, flags=re.MULTILINE)
    # A table's cells are joined again, so that words which the grid had cut stand elsewhere; they are the same words.
    assert words(text.replace("\\|", "|")) == words(topics[topic])


def test_markup_becomes_markdown(folder: Path) -> None:
    for path, data in contents(folder).items():
        body = frontmatter.loads(data.decode("utf-8")).content
        tokens = MarkdownIt("commonmark").enable("table").parse(body)
        headings = [token.tag for token in tokens if token.type == "heading_open"]
        assert headings.count("h1") == 1, path
        assert headings[0] == "h1"
        assert not re.search(r"^(\*{4,}|={4,}|\+[-=]{3,})", body, re.MULTILINE), path
        # Literal blocks are fences: an indented one would have been taken for a list's continuation or lost its indent.
        assert not [token for token in tokens if token.type == "code_block"], path
        assert body.count("```") % 2 == 0, path
    compound = (folder / "statements/compound.md").read_text(encoding="utf-8")
    assert '\n## The "if" statement\n' in compound
    assert '\n```text\nif_stmt ::= "if"' in compound
    assert "\n| --- | --- |\n" in (folder / "expressions/operator-summary.md").read_text(encoding="utf-8")
    assert "\n`object.__new__(cls[, ...])`\n" in (folder / "data-model/customization.md").read_text(encoding="utf-8")


def test_grammar_as_newer_interpreters_print_it_is_a_fence_too() -> None:
    text = (
        'Walrus\n******\n\n   assignment_expression: [identifier ":="] expression\n\n'
        "f(x)\n\n   Return x.\n\n   Note: x is returned as it is.\n"
    )
    body = frontmatter.loads(documents.topic_document("assignment-expressions", text)).content
    assert body.split("\n\n") == [
        "# Walrus",
        '```text\nassignment_expression: [identifier ":="] expression\n```',
        "`f(x)`",
        "Return x.",
        "Note: x is returned as it is.",
    ]


def test_canaries_are_many_different_and_answerable() -> None:
    known, listed = set(documents.reference_documents()), canaries()
    assert len(listed) >= 44
    assert len({canary.query.casefold() for canary in listed}) == len(listed)
    for canary in listed:
        assert canary.expect, canary
        assert set(canary.expect) <= known, canary
        assert canary.k == 5
        assert canary.tags, canary


def test_the_second_release_edits_two_adds_two_and_removes_one(folder: Path) -> None:
    before = contents(folder)
    changes = edits.edit_documents(folder)
    after = contents(folder)
    assert str(changes) == "2 edited, 2 added, 1 removed"
    assert {path for path in before if path in after and before[path] != after[path]} == set(changes.edited)
    assert set(after) - set(before) == set(changes.added)
    assert set(before) - set(after) == set(changes.removed)
    for path in changes.edited:
        old, new = before[path].decode().split("\n\n"), after[path].decode().split("\n\n")
        assert old[:-1] == new[:-1], "only the last paragraph changes"
        assert new[-1].startswith(old[-1].rstrip())
    assert edits.edit_documents(folder) == edits.Changes()
    assert {path: text.encode("utf-8") for path, text in edits.second_release().items()} == after


def test_no_canary_expects_what_the_second_release_removes() -> None:
    expected = {path for canary in canaries() for path in canary.expect}
    assert not expected & set(edits.REMOVED)


@pytest.mark.parametrize("release", ["first", "second"])
def test_the_accident_can_be_undone(folder: Path, release: str) -> None:
    if release == "second":
        edits.edit_documents(folder)
    before = contents(folder)
    broken = edits.break_documents(folder)
    after = contents(folder)
    assert set(after) == set(before), "the accident removes nothing: only a question finds it"
    assert len({after[path] for path in broken.edited}) == 1
    assert {path for path in before if before[path] != after[path]} == set(broken.edited)
    assert edits.break_documents(folder) == edits.Changes()
    assert edits.restore_documents(folder) == edits.Changes(edited=tuple(sorted(broken.edited)))
    assert contents(folder) == before
    assert edits.restore_documents(folder) == edits.Changes()


def test_the_accident_takes_the_answers_of_far_more_canaries_than_the_gate_forgives() -> None:
    broken = {path for path in documents.reference_documents() if path.startswith("statements/")} - set(edits.SPARED)
    lost = [canary for canary in canaries() if set(canary.expect) <= broken]
    assert len(lost) > 0.25 * len(canaries())


def test_the_edits_run_as_a_script(folder: Path) -> None:
    script = [sys.executable, edits.__file__]
    done = subprocess.run([*script, "edit", str(folder)], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("edit: 2 edited, 2 added, 1 removed in ")
    wrong = subprocess.run([*script, "mend"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("usage: ")
