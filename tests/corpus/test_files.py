"""File sources: what is listed, what is read, and that one bad file never stops the others."""

import os
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from vector_pipeline.config import FileSourceConfig
from vector_pipeline.corpus import Document, FileSource, Item, Parsed, Quarantined, Seen
from vector_pipeline.errors import ConfigError, UnavailableError


def write(root: Path, files: dict[str, str | bytes]) -> None:
    for name, body in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body.encode() if isinstance(body, str) else body)


def source(base: Path, **config: Any) -> FileSource:
    return FileSource(FileSourceConfig(root=Path("docs"), **config), base)


def ids(base: Path, **config: Any) -> list[str]:
    return [item.id for item in source(base, **config).list()]


def outcomes(parsed: Iterable[Parsed]) -> dict[str, str]:
    return {
        one.id: one.outcome.reason if isinstance(one.outcome, Quarantined) else type(one.outcome).__name__
        for one in parsed
    }


def test_the_order_is_that_of_the_paths(tmp_path: Path) -> None:
    names = ["docs/a/b.md", "docs/a-b.md", "docs/a.md", "docs/B.md", "docs/a/c/d.md", "docs/z.md"]
    write(tmp_path, dict.fromkeys(names, "x"))
    assert ids(tmp_path) == sorted(name.removeprefix("docs/") for name in names)


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["**/*"], [], ["a.md", "deep/er/c.txt", "deep/b.md", "deep/er/d.MD"]),
        (["*.md"], [], ["a.md"]),
        (["**/*.md"], [], ["a.md", "deep/b.md"]),
        (["**/*.{md,txt}"], [], ["a.md", "deep/b.md", "deep/er/c.txt"]),
        (["deep"], [], ["deep/b.md", "deep/er/c.txt", "deep/er/d.MD"]),
        (["deep/**"], ["**/er/"], ["deep/b.md"]),
        (["**/*"], ["deep/*"], ["a.md"]),
        (["**/*"], ["**/.*", "*.md"], ["deep/b.md", "deep/er/c.txt", "deep/er/d.MD"]),
        (["**/.hidden/*.md"], [], [".hidden/h.md"]),
        (["**/*", ".h*/**"], [], [".hidden/h.md", "a.md", "deep/b.md", "deep/er/c.txt", "deep/er/d.MD"]),
        (["*/[a-b].md", "a.md"], [], ["a.md", "deep/b.md"]),
        (["./a.md", "gone.md"], [], ["a.md"]),
    ],
)
def test_globs(tmp_path: Path, include: list[str], exclude: list[str], expected: list[str]) -> None:
    files = ["a.md", "deep/b.md", "deep/er/c.txt", "deep/er/d.MD", ".hidden/h.md", "deep/.secret.md"]
    write(tmp_path / "docs", dict.fromkeys(files, "x"))
    assert sorted(ids(tmp_path, include=include, exclude=exclude)) == sorted(expected)


@pytest.mark.parametrize("pattern", ["/etc/*", "../*.md", "a/../../b", ""])
def test_patterns_stay_below_the_root(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(ConfigError, match="below the source's root"):
        source(tmp_path, include=[pattern])


def test_links(tmp_path: Path) -> None:
    write(tmp_path, {"docs/a/x.md": "x", "other/y.md": "y", "one.md": "z"})
    root = tmp_path / "docs"
    (root / "loop").symlink_to(root)
    (root / "a" / "self").symlink_to(root / "a" / "self")
    (root / "out").symlink_to(tmp_path / "other")
    (root / "one.md").symlink_to(tmp_path / "one.md")
    (root / "broken.md").symlink_to(tmp_path / "gone")
    assert ids(tmp_path) == ["a/x.md", "one.md"]
    assert ids(tmp_path, follow_links=True) == ["a/x.md", "one.md", "out/y.md"]


def test_a_root_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        ids(tmp_path)
    (tmp_path / "docs").write_text("x")
    with pytest.raises(ConfigError, match="is not a folder"):
        ids(tmp_path)


def test_an_unreadable_folder_is_no_deletion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"docs/a/x.md": "x", "docs/b.md": "x"})
    real = os.scandir

    def scandir(path: str) -> Any:  # Root may read anything, so permissions cannot show this.
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UnavailableError, match=r"docs/a cannot be read: Permission denied\. Allow it"):
        ids(tmp_path)
    assert ids(tmp_path, exclude=["a"]) == ["b.md"]


def test_every_quarantine_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path / "docs",
        {
            "good.md": "# Hi\n\nthere",
            "empty.md": b"",
            "blank.txt": " \n\t\n",
            "front-only.md": "---\na: 1\n---\n",
            "large.txt": "x" * 101,
            "binary.txt": b"abc\x00def",
            "broken.pdf": b"%PDF-1.4 nothing",
            "broken.docx": b"no zip",
            "picture.png": b"\x89PNG",
            "reserved.md": "---\nvp_x: 1\n---\ntext",
            "yaml.md": "---\na: [1\n---\ntext",
            "locked.md": "text",
        },
    )
    real = Path.open

    def open_(self: Path, *args: Any, **kwargs: Any) -> Any:  # Root may read anything, so permissions cannot show this.
        if self.name == "locked.md":
            raise PermissionError(13, "Permission denied")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", open_)
    files = source(tmp_path, max_file_size=100)
    parsed = list(files.read(files.list(), {}))
    assert outcomes(parsed) == {
        "good.md": "Document",
        "empty.md": "empty",
        "blank.txt": "empty",
        "front-only.md": "empty",
        "large.txt": "too-large",
        "binary.txt": "not-text",
        "broken.pdf": "unparsable",
        "broken.docx": "unparsable",
        "picture.png": "unsupported",
        "reserved.md": "bad-metadata",
        "yaml.md": "bad-metadata",
        "locked.md": "unreadable",
    }
    for one in parsed:
        if isinstance(one.outcome, Quarantined):
            assert one.outcome.detail
            assert "\n" not in one.outcome.detail
    pickle.loads(pickle.dumps(parsed))


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    write(tmp_path / "docs", {"a.md": "x"})
    Path(os.fsdecode(bytes(tmp_path / "docs") + b"/caf\xe9.md")).write_text("x")
    files = source(tmp_path)
    assert [item.id for item in files.list()] == ["a.md", "caf\\xe9.md"]
    assert outcomes(files.read(files.list(), {})) == {"a.md": "Document", "caf\\xe9.md": "bad-id"}


def test_unchanged_bytes_are_not_parsed(tmp_path: Path) -> None:
    write(tmp_path / "docs", {"a.md": "# One", "b.md": "# Two"})
    files = source(tmp_path)
    items = list(files.list())
    seen = {one.id: one.seen for one in files.read(items, {})}
    assert all(files.is_current(item, seen[item.id]) for item in items)
    os.utime(tmp_path / "docs" / "a.md", ns=(1, 1))
    (tmp_path / "docs" / "b.md").write_text("# Three")
    items = list(files.list())
    assert not any(files.is_current(item, seen[item.id]) for item in items)
    again = {one.id: one for one in files.read(items, seen)}
    assert again["a.md"].outcome is None
    assert again["a.md"].seen == Seen(items[0].revision, seen["a.md"].bytes_hash, seen["a.md"].parser)
    assert isinstance(again["b.md"].outcome, Document)


def test_another_parser_or_limit_reads_again(tmp_path: Path) -> None:
    write(tmp_path / "docs", {"a.md": "# One", "large.md": "x" * 50})
    files = source(tmp_path, max_file_size=20)
    items = list(files.list())
    seen = {one.id: one.seen for one in files.read(items, {})}
    old = Seen(seen["a.md"].revision, seen["a.md"].bytes_hash, "markdown/0")
    assert not files.is_current(items[0], old)
    assert isinstance(next(iter(files.read(items[:1], {"a.md": old}))).outcome, Document)
    assert files.is_current(items[1], seen["large.md"])
    larger = source(tmp_path, max_file_size=100)
    assert not larger.is_current(items[1], seen["large.md"])
    assert isinstance(next(iter(larger.read(items[1:], seen))).outcome, Document)


def test_a_vanished_file_yields_nothing(tmp_path: Path) -> None:
    write(tmp_path / "docs", {"a.md": "x", "b.md": "y"})
    files = source(tmp_path)
    items = [*files.list(), Item("never/was.md", "1-1")]
    (tmp_path / "docs" / "a.md").unlink()
    assert outcomes(files.read(items, {})) == {"b.md": "Document"}


def test_reading_is_lazy(tmp_path: Path) -> None:
    write(tmp_path / "docs", {"a.md": "x", "b.md": "y"})
    files = source(tmp_path)
    reading = files.read(files.list(), {})
    assert next(reading).id == "a.md"
    (tmp_path / "docs" / "b.md").write_text("later")
    second = next(reading).outcome
    assert isinstance(second, Document)
    assert second.text == "later"
