"""``report`` on a real project: from the registry's verdicts, the plan and the lake to a file; and its end with an erasure."""

import shutil
import webbrowser
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from tests.cli.conftest import RunCommand, fresh, released, unbuilt, vp
from tests.conftest import page
from vector_pipeline.cli.app import app
from vector_pipeline.project import Project
from vector_pipeline.report.page.facts import Missing, Outlook
from vector_pipeline.report.page.writing import write_page
from vector_pipeline.verify.expectations.datadocs import DATA_DOCS

__all__ = ["fresh", "released", "unbuilt", "vp"]
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def text_of(file: Path, part: str) -> str:
    found = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser").find(id=part)
    assert found is not None
    return " ".join(found.get_text(" ").split())


def test_the_report_of_what_staging_holds(released: Path, vp: RunCommand) -> None:
    ran = vp("report", "--project", released)
    assert ran.code == 0
    file = released.parent / ".vector_pipeline/reports/handbook/dev/v2.html"
    assert str(file) in ran.out
    assert "1 added 1 changed 1 removed" in text_of(file, "changes")
    assert "has not run" not in text_of(file, "gates")
    assert "Pushed" in text_of(file, "push")
    assert "1/1" in text_of(file, "canaries")
    assert "second" in text_of(file, "history")
    assert "push (staging) v1 v2" in text_of(file, "history")


def test_a_version_may_be_named_with_or_without_its_dataset(released: Path, vp: RunCommand, tmp_path: Path) -> None:
    file = tmp_path / "deep/report.html"
    for words in (("1",), ("v1",), ("handbook", "1")):
        ran = vp("report", *words, "--project", released, "--out", file, "--json")
        assert (ran.code, ran.json["version"], ran.json["outlook"]) == (0, 1, "serving")
        assert ran.json["file"] == str(file)
    assert "In production" in file.read_text(encoding="utf-8")
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (("9",), "no version v9", 1),
        (("nothing",), "nothing", 1),
        (("handbook", "x"), "no version", 2),
        (("a", "b", "c"), "expected [DATASET] [N]", 2),
    ],
)
def test_errors_are_one_line(released: Path, vp: RunCommand, words: tuple[str, ...], said: str, code: int) -> None:
    ran = vp("report", *words, "--project", released)
    assert ran.code == code
    assert said in ran.err
    if code == 1:
        assert ran.err.count("\n") == 1


def test_a_file_that_cannot_be_written_is_one_line(released: Path, vp: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for name in ("file/report.html", "n" * 300):
        ran = vp("report", "--project", released, "--out", tmp_path / name)
        assert (ran.code, ran.err.count("\n")) == (1, 1)
        assert "--out FILE" in ran.err


def test_a_folder_is_no_file_for_a_report(released: Path, vp: RunCommand, tmp_path: Path) -> None:
    for name in (".", "/", tmp_path):
        ran = vp("report", "--project", released, "--out", name)
        assert (ran.code, ran.err.count("\n")) == (1, 1)
        assert "it is a folder" in ran.err
        assert "--out FILE" in ran.err
    assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.parent.glob("*.part")) == []


def test_several_write_one_page_at_a_time(tmp_path: Path) -> None:
    file, pages = tmp_path / "v1.html", [letter * 300_000 for letter in "abcd"]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write_page, file, pages[number % 4]) for number in range(80)]:
            done.result()
            assert file.read_text(encoding="utf-8") in pages
    assert list(tmp_path.iterdir()) == [file]


def test_open_shows_it_or_says_that_nothing_could(
    released: Path, vp: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A browser as webbrowser knows them: a command line.
    seen = tmp_path / "seen"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}\n', encoding="utf-8")
    browser.chmod(0o755)
    monkeypatch.setattr(webbrowser, "_tryorder", None)
    monkeypatch.setattr(webbrowser, "_browsers", {})
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    assert vp("report", "--project", released, "--open").code == 0
    assert seen.read_text(encoding="utf-8").strip().endswith("/v2.html")
    monkeypatch.setattr(webbrowser, "_tryorder", [])
    ran = vp("report", "--project", released, "--open")
    assert ran.code == 0
    assert "open" in ran.err
    assert ran.err.count("\n") == 1


def test_a_version_that_was_not_pushed_has_the_plan_of_its_push(fresh: Path, vp: RunCommand) -> None:
    ran = vp("report", "--project", fresh, "--json")
    assert ran.json["outlook"] == "not pushed"
    assert ran.json["commands"][1] == "vector-pipeline push --version 1"
    text = text_of(Path(ran.json["file"]), "push")
    assert "Not pushed: this is what a push would do now" in text


def test_no_version_at_all(unbuilt: Path, vp: RunCommand) -> None:
    ran = vp("report", "--project", unbuilt)
    assert (ran.code, ran.err.count("\n")) == (1, 1)


def test_reading_alone_gives_the_same_bytes_again(released: Path, tmp_path: Path) -> None:
    pages = []
    for number in range(2):
        with Project.load(released) as project:
            _, file = project.write_report("handbook", 2, out=tmp_path / f"{number}.html", now=NOW)
            pages.append(file.read_bytes())
    assert pages[0] == pages[1]


def copied(released: Path, tmp_path: Path) -> Path:
    """The project, to be changed."""
    shutil.copytree(released.parent, tmp_path / "copy")
    return tmp_path / "copy/vector_pipeline.yaml"


def test_verdicts_that_do_not_count_any_more_are_said_to(released: Path, tmp_path: Path) -> None:
    config = copied(released, tmp_path)
    with Project.load(config) as project:
        assert {one.outdated for one in project.report_facts("handbook", 2).gates} == {""}
    config.write_text(config.read_text().replace("canaries.yaml", "canaries.yaml, canary_pass_rate: 0.5"))
    with Project.load(config) as project:
        found = project.report_facts("handbook", 2)
        assert found.outlook is Outlook.UNPROVEN
        judged = [one for one in found.gates if one.outdated]
        assert {one.outdated for one in judged} == {"judged under other settings: verify again"}
        assert {"coverage", "canary retrieval"} <= {one.name for one in judged}
        assert all(one.summary != one.outdated for one in judged)


def test_what_is_gone_costs_its_own_parts_only(released: Path, tmp_path: Path) -> None:
    config = copied(released, tmp_path)
    shutil.rmtree(config.parent / ".vector_pipeline/index")
    shutil.rmtree(config.parent / ".vector_pipeline/lake")
    with Project.load(config) as project:
        found, file = project.write_report("handbook", 2)
    assert found.outlook is Outlook.UNPROVEN
    assert isinstance(found.changes, Missing)
    assert "Not here:" in text_of(file, "changes")
    assert "judged before the index changed" in text_of(file, "gates")
    assert "Pushed" in text_of(file, "push")
    assert "second" in text_of(file, "history")


@pytest.mark.slow
def test_an_erasure_deletes_the_reports(tmp_path: Path, released: Path) -> None:
    with Project.load(copied(released, tmp_path)) as project:
        _, file = project.write_report("handbook", 2)
        assert "page9.md" in file.read_text(encoding="utf-8")
        docs = project.base / DATA_DOCS / "handbook" / "v2" / "validations" / "page.html"
        docs.parent.mkdir(parents=True)
        docs.write_text("page9.md and what it says", encoding="utf-8")
        other = project.base / DATA_DOCS / "another dataset" / "page.html"
        other.parent.mkdir()
        other.touch()
        where = ("reports", "data_docs")
        would = project.erase("handbook", document="page9.md", dry_run=True)
        assert [(one.where, one.before) for one in would.places if one.where in where] == [
            ("data_docs", 1),
            ("reports", 1),
        ]
        assert file.exists()
        done = project.erase("handbook", document="page9.md", reason="asked for")
        assert [(one.before, one.remaining) for one in done.places if one.where in where] == [(1, 0), (1, 0)]
        assert done.gone
        assert [one.exists() for one in (file, docs, other)] == [False, False, True]
        _, again = project.write_report("handbook", 2)
        assert "page9.md" not in again.read_text(encoding="utf-8")


def test_the_command_is_listed_after_verify() -> None:
    names = [one.name or getattr(one.callback, "__name__", "") for one in app.registered_commands]
    assert names.index("report") == names.index("verify") + 1


@pytest.mark.slow
def test_titles_that_are_markup_are_inert(tmp_path: Path) -> None:
    from tests.conftest import write_project

    bad = "<script>document.title='pwned'</script>"
    config = write_project(tmp_path, {"a.md": page(1), "b.md": f"# {bad}\n\n{bad} and more words.\n"})
    with Project.load(config) as project:
        project.build("handbook", message=bad)
        project.push("handbook", by=bad)
        _, file = project.write_report("handbook")
    html = file.read_text(encoding="utf-8")
    assert BeautifulSoup(html, "html.parser").find_all("script") == []
    assert "&lt;script&gt;document.title" in html
