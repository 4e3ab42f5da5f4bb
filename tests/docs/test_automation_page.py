"""The page on automation: its commands work, its configuration is read, and its numbers are those of the program."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from tests.docs.test_readme import MODEL, ROOT, commands
from tests.support.configuration import with_piece, yaml_blocks
from vector_pipeline.alerts import book, delivering
from vector_pipeline.assets.alerts import NAME
from vector_pipeline.assets.loading import project_definitions
from vector_pipeline.assets.owed import LONGEST_WAIT_S
from vector_pipeline.assets.steps import FIRST_WAIT_S, RETRIES
from vector_pipeline.cli import run
from vector_pipeline.config.automation import AlertEvent, Automatic

PAGE = "docs/automation.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
PLAIN = " ".join(TEXT.split())


@pytest.mark.slow
def test_every_command_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in commands(PAGE):
        words = shlex.split(line)
        if words[0] == "cd":
            monkeypatch.chdir(words[1])
        elif words[0] == "vector-pipeline":
            assert run(words[1:]) == 0, f"{line}\n{''.join(capfd.readouterr())}"
        else:
            subprocess.run(line, shell=True, check=True)
        if words[:2] == ["vector-pipeline", "init"]:
            # The commands are what is tried here, not the model.
            config = tmp_path / words[2] / "vector_pipeline.yaml"
            text = config.read_text()
            assert MODEL in text
            config.write_text(text.replace(MODEL, "kind: deterministic\n          model: seed"))


def test_every_block_is_a_configuration_or_says_what_it_is(tmp_path: Path) -> None:
    pieces = [one for one in yaml_blocks(TEXT) if not one.startswith("# run configuration")]
    assert len(pieces) == 2
    for piece in pieces:
        with_piece(piece, tmp_path)
    names = {one.name for one in project_definitions(tmp_path / "vector_pipeline.yaml").sensors or ()}
    assert NAME in names


def test_everything_that_can_be_turned_on_is_told_with_its_name_in_dagster(tmp_path: Path) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| \w+ `DATASET__(\w+)` \|", TEXT, re.MULTILINE))
    assert set(rows) == set(get_args(Automatic))
    with_piece("datasets: {handbook: {automation: {inbox: inbox}}}", tmp_path)
    found = project_definitions(tmp_path / "vector_pipeline.yaml")
    names = {one.name for one in (*(found.sensors or ()), *(found.schedules or ()))}
    assert {f"handbook__{name}" for name in rows.values()} == names


def test_every_event_is_told() -> None:
    assert set(re.findall(r"^\| `([\w-]+)` \| (?:a run|a gate|the audit|stored|a dataset)", TEXT, re.MULTILINE)) == set(
        get_args(AlertEvent)
    )


def test_the_numbers_are_those_of_the_program() -> None:
    assert (RETRIES, FIRST_WAIT_S, LONGEST_WAIT_S) == (3, 10.0, 6 * 3600)
    assert "three times, after 10, 20 and 40 seconds" in PLAIN
    assert "six hours at most" in PLAIN
    assert (delivering.TRIES, book.FIRST_WAIT_S, book.GIVE_UP_S, book.AGAIN_S) == (3, 30.0, 12 * 3600, 24 * 3600)
    assert "tried three times, then again after 30 seconds, a minute, two, for twelve hours" in PLAIN
    settings = (ROOT / "vector_pipeline/resources/dagster.yaml").read_text(encoding="utf-8")
    assert re.search(r"max_retries: 2\n", settings)
    assert "dequeue_interval_seconds: 1" in settings
    assert "max_concurrent_runs: 4" in settings
