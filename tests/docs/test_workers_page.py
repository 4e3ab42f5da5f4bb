"""The page on several machines is true: its commands are those that the tests of a small production start its processes with."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from tests.docs.test_readme import ROOT, commands
from tests.production.asking import worker_command
from tests.production.plant import HOME_FILES
from tests.support.configuration import with_piece, yaml_blocks

PAGE = "docs/deployment-workers.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
DEPLOY = ROOT / "deploy" / "dagster"


def test_a_worker_is_started_as_the_tests_start_it() -> None:
    (shown,) = [line for line in commands(PAGE) if line.startswith("celery ")]
    assert shlex.split(shown) == worker_command("vector_pipeline.resources.workers", "worker1")
    assert shown in (DEPLOY / "run_launcher.yaml").read_text()


def test_a_home_is_made_as_the_tests_make_it() -> None:
    (shown,) = [line for line in commands(PAGE) if line.startswith("cat ")]
    assert [Path(word).name for word in shlex.split(shown)[1:3]] == list(HOME_FILES)
    assert shown in (DEPLOY / "run_launcher.yaml").read_text()


def test_the_variables_are_those_that_the_launcher_reads() -> None:
    exported = {line.split()[1].partition("=")[0] for line in commands(PAGE) if line.startswith("export ")}
    named = yaml.safe_load((DEPLOY / "run_launcher.yaml").read_text())["run_launcher"]["config"]
    assert exported == {one["env"] for one in named.values() if isinstance(one, dict)}


def test_what_the_page_says_of_the_files_stands_there() -> None:
    settings = yaml.safe_load("\n".join((DEPLOY / name).read_text() for name in HOME_FILES))
    assert settings["run_launcher"]["config"]["silence_s"] == 60
    assert settings["run_monitoring"]["start_timeout_seconds"] == 300, "five minutes"
    assert settings["run_monitoring"]["poll_interval_seconds"] == 60, "a minute at most"
    assert settings["run_retries"]["max_retries"] == 2, "twice at most"
    assert "max_concurrent_runs" in settings["concurrency"]["runs"]


@pytest.mark.parametrize("block", yaml_blocks(TEXT))
def test_every_block_is_a_configuration(block: str, tmp_path: Path) -> None:
    assert with_piece(block, tmp_path).datasets["handbook"].reembed.runs == 3


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT):
        assert (ROOT / PAGE).parent.joinpath(link).exists(), link
