"""``canary suggest``, ``accept`` and ``check``: on what is served, and on what is only built."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import RunCommand
from tests.conftest import page, write_project
from vector_pipeline.project import Project
from vector_pipeline.verify.canaries.file import load_canaries

OWN = """# ours
canaries:
  - query: Paragraph 2 of page 3 speaks of item3x2
    expect: [page3.md]
"""


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A project with a version that stands in the lake alone, and one canary."""
    config = write_project(tmp_path / "built", 8, gates="canaries: canaries.yaml")
    (config.parent / "canaries.yaml").write_text(OWN, encoding="utf-8")
    with Project.load(config) as project:
        project.build("handbook")
    return config


def test_suggestions_of_what_is_only_built(vp: RunCommand, built: Path) -> None:
    file = built.parent / "canaries.suggested.yaml"
    shown = vp("canary", "suggest", "--count", 4, "--project", built)
    assert shown.code == 0, shown.err
    assert "4 canaries suggested, from version 1 in the lake." in shown.out
    assert f"Next: vector-pipeline canary accept {file} --project {built}" in shown.out
    assert "of the document; score " in file.read_text(encoding="utf-8")
    suggested = load_canaries(file)
    assert len({one.expect for one in suggested}) == 4, "documents of their own"
    again = vp("canary", "suggest", "--project", built)
    assert again.code == 1
    assert "exists already" in again.err
    taken = vp("canary", "accept", file, "--project", built)
    assert "4 added to" in taken.out
    own = (built.parent / "canaries.yaml").read_text(encoding="utf-8")
    assert own.startswith(OWN)
    assert load_canaries(built.parent / "canaries.yaml")[1:] == suggested
    assert vp("canary", "accept", "handbook", file, "--json", "--project", built).json["known"] == 4
    assert vp("canary", "check", "--json", "--project", built).json["errors"] == 0


def test_suggestions_are_taken_unseen_when_that_is_meant(vp: RunCommand, built: Path) -> None:
    log = built.parent / "log.txt"
    log.write_text("item5x3 of page 5\nItem5x3 of page 5?\nitem2x1 of page 2\n", encoding="utf-8")
    found = vp("canary", "suggest", "--log", log, "--count", 3, "--accept", "--json", "--project", built).json
    assert found["asked"] == {"alias": None, "version": 1, "target": None}
    first = found["suggestions"][0]
    assert (first["query"], first["document"], first["source"]) == ("item5x3 of page 5", "page5.md", "log")
    assert first["why"] == "asked 2 times in the log"
    assert found["added"] == 3
    assert len(load_canaries(built.parent / "canaries.yaml")) == 4
    assert not (built.parent / "canaries.suggested.yaml").exists()


def test_suggestions_of_what_is_served(vp: RunCommand, released: Path, tmp_path: Path) -> None:
    out = tmp_path / "some.yaml"
    found = vp("canary", "suggest", "--count", 2, "--out", out, "--json", "--project", released).json
    assert found["asked"] == {"alias": "production", "version": 1, "target": "local"}
    assert found["file"] == str(out)
    assert all(one["documents"][0]["document"] == one["document"] for one in found["suggestions"])
    assert all(one["margin"] > 0 for one in found["suggestions"])


def test_a_project_without_canaries_is_told_what_to_write(vp: RunCommand, fresh: Path) -> None:
    checked = vp("canary", "check", "--project", fresh)
    assert checked.code == 1
    assert "vector-pipeline --project" in checked.err
    assert "canary suggest handbook" in checked.err
    shown = vp("canary", "suggest", "--count", 2, "--accept", "--project", fresh)
    assert "2 added to" in shown.out
    assert "under `datasets: handbook:` write `gates: {canaries: canaries.yaml}`" in shown.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("suggest", "--log", "none.txt"), "none.txt"),
        (("suggest", "--out", "/no/such/folder.yaml"), "is no folder"),
        (("accept", "none.yaml"), "No such file"),
        (("check", "handbok"), "no dataset 'handbok'"),
    ],
)
def test_bad_input_is_one_line(vp: RunCommand, released: Path, words: tuple[str, ...], said: str) -> None:
    shown = vp("canary", *words, "--project", released)
    assert shown.code == 1
    assert len(shown.err.splitlines()) == 1
    assert said in shown.err


CHECKED = """canaries:
  - {query: one, expect: [page3.md], filter: {titel: Page 3}}
  - {query: two, expect: [pag3.md]}
  - {query: three, expect: [nothing.md, page1.md]}
  - {query: four, expect: ["page*.md"], filter: {title: No such title}}
  - {query: five, expect: [page3.md], filter: {title: Page 4}}
  - {query: "Five?", expect: [page3.md], filter: {title: Page 4}}
  - {query: six, expect: [page3.md], forbid: [page3.md, drafts/*]}
  - {query: seven, expect: [page3.md], filter: {title: {$like: x}}}
"""


def test_check_says_what_can_never_pass(vp: RunCommand, built: Path) -> None:
    (built.parent / "canaries.yaml").write_text(CHECKED, encoding="utf-8")
    shown = vp("canary", "check", "--project", built)
    assert shown.code == 1
    lines = shown.out.splitlines()
    for said in (
        'canaries.yaml:2: "one" its filter asks for titel, which no record has: is title meant?',
        'canaries.yaml:3: "two" expects pag3.md, which version 1 does not have: is page3.md meant?',
        'canaries.yaml:4: "three" expects nothing.md, which version 1 does not have',
        'canaries.yaml:5: "four" no record of version 1 passes its filter',
        'canaries.yaml:6: "five" expects page3.md, which its own filter shuts out',
        'canaries.yaml:7: "Five?" asks the same as the canary on line 6',
        'canaries.yaml:8: "six" both expects and forbids page3.md',
        'canaries.yaml:8: "six" forbids drafts/*: version 1 has no such document, so it cannot come',
        'canaries.yaml:9: "seven" filter.title.$like: unknown operator',
    ):
        assert any(said in line for line in lines), (said, shown.out)
    assert lines[-1] == "8 canaries held against version 1: 7 errors and 4 warnings."
    found = vp("canary", "check", "--json", "--project", built)
    assert found.code == 1
    assert (found.json["errors"], found.json["warnings"]) == (7, 4)


def test_the_check_of_everything_names_a_document_that_is_not_there(vp: RunCommand, built: Path) -> None:
    (built.parent / "canaries.yaml").write_text("canaries:\n  - {query: two, expect: [pag3.md]}\n", encoding="utf-8")
    shown = vp("check", "--project", built)
    assert shown.code == 1
    assert (
        "✗ handbook: canaries: canaries.yaml:2: a canary expects pag3.md, which the source does not have" in shown.out
    )
    (built.parent / "documents/pag3.md").write_text(page(3), encoding="utf-8")
    assert vp("check", "--project", built).code == 0, "the next build will have it"


@pytest.mark.slow
def test_each_is_shown_to_a_person_at_a_terminal(built: Path) -> None:
    with Project.load(built) as project:
        second = project.suggest_canaries("handbook", count=4).suggestions[1].document
    other = next(n for n in range(8) if f"page{n}.md" not in (second, "page3.md"))
    ours, theirs = pty.openpty()
    words = ["canary", "suggest", "--count", "4", "--project", str(built)]
    process = subprocess.Popen(
        [sys.executable, "-m", "vector_pipeline.cli", *words], stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, "COLUMNS": "100", "TERM": "dumb"},
    )  # fmt: skip
    os.close(theirs)
    # Taken; asked otherwise, taken with what comes now; dropped; left.
    os.write(ours, f"y\ne\nitem{other}x4 of page {other}\ny\ny\nn\nq\n".encode())
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:
        pass  # Linux says so when the other side has closed.
    assert process.wait(timeout=60) == 0, shown.decode()
    os.close(ours)
    assert b"[1 of 4]" in shown
    assert f"Expect page{other}.md instead?".encode() in shown
    assert b"2 added to" in shown
    assert b"1 not decided" in shown
    taken = load_canaries(built.parent / "canaries.yaml")
    assert (taken[2].query, taken[2].expect) == (f"item{other}x4 of page {other}", (f"page{other}.md",))
    assert len(load_canaries(built.parent / "canaries.suggested.yaml")) == 1
