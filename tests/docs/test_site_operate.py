"""The page for whoever is on call: everything that the system can say is on it, and its commands exist."""

import re
import shlex
from typing import get_args

import click
import pytest
import typer

from tests.docs.test_readme import ROOT, commands
from vector_pipeline.cli import FAILED, INTERRUPTED, OK, USAGE
from vector_pipeline.cli.verbs import app
from vector_pipeline.config.automation import AlertEvent
from vector_pipeline.release.belonging import FOREIGN, SEALED
from vector_pipeline.release.preview_ending import UNREACHED
from vector_pipeline.release.spacefill import OVER_BUDGET

PAGE = "docs/operate.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
CONSTANTS = {"FOREIGN": FOREIGN, "SEALED": SEALED, "OVER_BUDGET": OVER_BUDGET, "UNREACHED": UNREACHED}
FIRST = set(re.findall(r"(?m)^\| `([\w-]+)` \|", TEXT))


def codes() -> set[str]:
    """Every code that an error is made with, from the source."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "vector_pipeline").rglob("*.py")]
    errors = (ROOT / "vector_pipeline/errors.py").read_text(encoding="utf-8")
    found = set(re.findall(r'(?m)^    kind(?:: ClassVar\[str\])? = "([\w-]+)"', errors))
    for text in texts:
        # In a call of an error or of an HTTP problem: anything else that is called kind is something else.
        for call in re.findall(r"(?:Error|problem)\((?:[^()]|\([^()]*\))*?kind=([\w\"-]+)", text):
            found.add(call.strip('"'))
    return {CONSTANTS.get(one, one) for one in found - {"kind"}}


def test_every_alert_has_its_row() -> None:
    assert set(get_args(AlertEvent)) <= FIRST


def test_every_code_of_an_error_has_its_row() -> None:
    found = codes()
    assert {"config", "corrupt", "over-budget", "sealed", "foreign"} <= found
    assert found <= FIRST


def test_every_exit_code_has_its_row() -> None:
    assert {str(code) for code in (OK, FAILED, USAGE, INTERRUPTED)} <= FIRST


def test_every_command_that_is_named_exists_with_its_options() -> None:
    named = [*commands(PAGE), *re.findall(r"`(vector-pipeline [^`]+)`", TEXT)]
    assert len(named) > 30
    root = typer.main.get_command(app)
    for line in named:
        command: click.Command = root
        words = shlex.split(line)[1:]
        while isinstance(command, click.Group):
            known = command.get_command(click.Context(command), words.pop(0))
            assert known is not None, line
            command = known
        options = {word for one in command.get_params(click.Context(command)) for word in one.opts}
        assert {word for word in words if word.startswith("--")} <= options, line
        # A missing option is an error of the parser; a document or a version in the dataset's place is not.
        asked = ["2" if word in ("VERSION", "N", "A", "B") else word for word in words]
        given = command.make_context(line, asked).params
        assert given.get("dataset") in (None, "DATASET"), line
        assert len(given.get("words") or ()) <= 2, line


def test_every_schedule_and_sensor_has_its_name() -> None:
    told = set(re.findall(r"`DATASET__(\w+)`", TEXT))
    known = (ROOT / "docs/automation.md").read_text(encoding="utf-8")
    assert told <= set(re.findall(r"`DATASET__(\w+)`", known))


@pytest.mark.parametrize("option", re.findall(r"`(--[\w-]+)", TEXT))
def test_every_option_that_stands_alone_is_one(option: str) -> None:
    assert f"`{option}`" in (ROOT / "docs/commands.md").read_text(encoding="utf-8")
