"""``put``: files into the source, whole or not at all; and who takes them from there."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.dagster.conftest import make_config
from tests.support.gates import FEW
from vector_pipeline.cli import run
from vector_pipeline.config import FileSourceConfig
from vector_pipeline.corpus.inbox import ASIDE, TAKING, Inbox
from vector_pipeline.errors import ConfigError
from vector_pipeline.project import Project

Said = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = make_config(tmp_path / "project", policy="automatic", gates=FEW)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VECTOR_PIPELINE_CONFIG", str(path))
    return path


def drop(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_becomes_a_document_and_production_serves_it(config: Path, tmp_path: Path, capfd: Said) -> None:
    drop(tmp_path, "new.md", "# New\n\nItem99x1 is new.\n")
    assert run(["put", "handbook", "new.md", "--below", "teams", "--now"]) == 0
    said = capfd.readouterr().out
    assert "teams/new.md is in the source of handbook\n" in said
    assert "production serves v1 after" in said
    with Project.load(config) as project:
        assert "teams/new.md" in {one["document"] for one in project.documents("handbook", version=1)}
        (put,) = project.put("handbook", [tmp_path / "new.md"], below="teams")
        assert not put.changed
        assert project.held_by("handbook", {put.document: put.digest}) == (1, 1)
        assert project.held_by("handbook", {put.document: "another"}) == (None, None)
    # Following has nothing to wait for.
    assert run(["put", "new.md", "--below", "teams", "--wait"]) == 0
    said = capfd.readouterr().out
    assert "already, as it is" in said
    assert "production serves v1" in said


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("empty.md", "", "empty.md cannot become a document of handbook: the file is empty"),
        ("table.xlsx", "x", "leave it out"),
        (".hidden.md", "x", "leave it out"),
        ("big.md", "x" * 2_000, "max_file_size"),
    ],
)
def test_what_cannot_become_a_document_is_refused_whole(
    config: Path, tmp_path: Path, capfd: Said, name: str, text: str, said: str
) -> None:
    config.write_text(config.read_text().replace('"**/*.md"]', '"**/*.md"], max_file_size: 1 KB'))
    before = sorted((config.parent / "documents").rglob("*"))
    drop(tmp_path, "good.md", "# Good\n\nText.\n")
    drop(tmp_path, name, text)
    assert run(["put", "good.md", name]) == 1
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert sorted((config.parent / "documents").rglob("*")) == before


def test_it_is_told_who_takes_a_file_and_when_nobody_does(config: Path, tmp_path: Path, capfd: Said) -> None:
    drop(tmp_path, "new.md", "# New\n\nText.\n")
    assert run(["put", "new.md"]) == 0
    assert "--now" in capfd.readouterr().out
    config.write_text(config.read_text() + "    automation: {enabled: [changes]}\n")
    assert run(["put", "new.md"]) == 0
    assert "The sensor handbook__changes releases what changed" in capfd.readouterr().out
    assert run(["put", "new.md", "--wait"]) == 1
    assert "nobody takes it: Dagster's daemon does not run here" in capfd.readouterr().err
    assert run(["put", "missing.md"]) == 1
    assert "missing.md does not exist" in capfd.readouterr().err
    assert run(["put", "new.md", "--now", "--wait"]) == 2


@pytest.mark.slow
def test_a_gate_that_refuses_is_told(config: Path, tmp_path: Path, capfd: Said) -> None:
    drop(tmp_path, "page2.md", "# Moved\n\nThis page has moved.\n")
    config.write_text(config.read_text().replace("max_removed_share: 1", "max_removed_share: 1, canary_pass_rate: 1"))
    assert run(["put", "page2.md", "--now"]) == 1
    assert "did not pass" in capfd.readouterr().err


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    (tmp_path / "source").mkdir()
    (tmp_path / "inbox").mkdir()
    return Inbox(tmp_path / "inbox", FileSourceConfig(root=Path("source")), tmp_path / "source", settle_s=0)


def test_a_file_that_is_written_to_is_left_alone(inbox: Inbox) -> None:
    path = drop(inbox.folder, "a.md", "# A\n\nText.\n")
    for unfinished in ("b.md.part", ".c.md", "d.md~"):
        drop(inbox.folder, unfinished, "x")
    inbox.settle_s = 60
    assert inbox.waiting() == []
    # A copy that keeps its original's time is as young as its inode.
    import os

    os.utime(path, (0, 0))
    assert inbox.waiting() == []
    assert inbox.waiting(now=path.stat().st_ctime + 61) == ["a.md"]


def test_what_a_killed_process_left_is_taken_first(inbox: Inbox) -> None:
    drop(inbox.folder / TAKING, "a.md", "# A\n\nThe first text.\n")
    drop(inbox.folder, "a.md", "# A\n\nThe second text.\n")
    assert inbox.waiting() == ["a.md"]
    took = inbox.take()
    assert (took.moved, took.aside) == (("a.md",), ())
    assert "second" in (inbox.root / "a.md").read_text()
    assert [one.name for one in (inbox.folder / TAKING).iterdir() if one.name != ".lock"] == []


def test_nothing_is_overwritten_where_things_are_put_aside(inbox: Inbox) -> None:
    for text in ("", " "):
        drop(inbox.folder, "teams/a.md", text)
        assert [one.id for one in inbox.take().aside] == ["teams/a.md"]
    found = sorted(one.name for one in (inbox.folder / ASIDE / "teams").iterdir())
    assert found == ["a.2.md", "a.2.md.reason.txt", "a.md", "a.md.reason.txt"]
    # A document in the way of a folder: the file is kept, and said why.
    drop(inbox.root, "b", "x")
    drop(inbox.folder, "b/c.md", "# C\n\nText.\n")
    (aside,) = inbox.take().aside
    assert "the source has no place of that name" in aside.detail
    assert (inbox.folder / ASIDE / "b" / "c.md").is_file()


def test_a_file_that_is_there_is_replaced(inbox: Inbox) -> None:
    drop(inbox.root, "a.md", "# A\n\nOld.\n")
    drop(inbox.folder, "a.md", "# A\n\nNew.\n")
    assert inbox.take(lambda one: one != "a.md").moved == ()
    assert inbox.take().moved == ("a.md",)
    assert "New" in (inbox.root / "a.md").read_text()


def test_what_may_not_be_read_or_moved_stops_no_other_file(tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "inbox"
    source.mkdir()
    drop(folder, "a.md", "# A\n\nText.\n").chmod(0)
    for name in ("b.md", "theirs/c.md", "closed/d.md"):
        drop(folder, name, "# B\n\nText.\n")
    (folder / "theirs").chmod(0o555)
    (folder / "closed").chmod(0)
    try:
        took = json.loads(as_nobody(_TAKE, tmp_path))
    finally:
        (folder / "closed").chmod(0o755)
    assert took["moved"] == ["b.md"]
    assert took["aside"] == {
        "a.md": "it may not be read: Permission denied; allow it",
        "theirs/c.md": "it may not be moved, and stays in the inbox: Permission denied; allow it in its folder",
    }
    assert (folder / ASIDE / "a.md.reason.txt").is_file()
    assert sorted(one.name for one in folder.rglob("*.md")) == ["a.md", "c.md", "d.md"]


_TAKE = """
import json, os, sys
from pathlib import Path
from vector_pipeline.config import FileSourceConfig
from vector_pipeline.corpus.inbox import Inbox
from vector_pipeline.corpus.placing import judged
root, config = Path(sys.argv[1]), FileSourceConfig(root=Path("source"))
judged(config, "b.md", root / "inbox" / "b.md")  # What reads is imported: the interpreter may lie where only root reads.
if os.geteuid() == 0:
    os.setuid(65534)
took = Inbox(root / "inbox", config, root / "source", settle_s=0).take()
print(json.dumps({"moved": took.moved, "aside": {one.id: one.detail for one in took.aside}}))
"""


def as_nobody(program: str, folder: Path) -> str:
    """What a program says for which permissions hold: where root tests, ``folder`` becomes nobody's."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 65534, 65534)
        for path in folder.parents:
            if Path(tempfile.gettempdir()) in path.parents:  # pytest's own folders, which nobody else may pass through.
                path.chmod(path.stat().st_mode | 0o011)
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("folder", ["source", "source/inbox", "."])
def test_an_inbox_is_no_part_of_the_source(tmp_path: Path, folder: str) -> None:
    with pytest.raises(ConfigError, match="lie in each other"):
        Inbox(tmp_path / folder, FileSourceConfig(root=Path("source")), tmp_path / "source")
