"""Every command on the page about serving works: those below the service's against it, while it runs."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.test_readme import MODEL, ROOT, commands
from tests.service.conftest import Running
from vector_pipeline.cli import run
from vector_pipeline.service.limits import MAX_QUERIES, MAX_TEXT, MAX_TOP_K, Limits
from vector_pipeline.service.models import QueryRequest
from vector_pipeline.service.running import GRACE_S

PAGE = "docs/serving.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8080"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl")
def test_every_command_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = commands(PAGE)
    begun = next(number for number, line in enumerate(lines) if line.startswith("vector-pipeline serve"))
    monkeypatch.chdir(tmp_path)
    for line in lines[:begun]:
        words = shlex.split(line)
        if words[0] == "cd":
            monkeypatch.chdir(words[1])
        elif words[0] == "vector-pipeline":
            assert run(words[1:]) == 0, f"{line}\n{''.join(capfd.readouterr())}"
        if words[:2] == ["vector-pipeline", "init"]:
            # The commands are what is tried here, not the model.
            config = tmp_path / words[2] / "vector_pipeline.yaml"
            text = config.read_text()
            assert MODEL in text
            config.write_text(text.replace(MODEL, "kind: deterministic\n          model: seed"))
    with running(config, *shlex.split(lines[begun])[2:]) as service:
        assert len(lines[begun + 1 :]) > 5
        for line in lines[begun + 1 :]:
            assert ADDRESS in line
            subprocess.run(line.replace(ADDRESS, service.url), shell=True, check=True, capture_output=True)
        assert service.end() == 0


@contextmanager
def running(config: Path, *words: str) -> Iterator[Running]:
    """The service on a port that is free."""
    made = Running(config, *words)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        assert made.process.stdout is not None
        made.process.stdout.close()


def test_the_limits_are_those_of_the_program() -> None:
    limits = Limits()
    for said in (
        f"at most {MAX_QUERIES}; at most {MAX_TEXT:,} characters each",
        f"at most {MAX_TOP_K:,} or",
        f"| `--max-concurrency N` | {limits.max_concurrency} |",
        f"| `--timeout-s S` | {limits.timeout_s:g} |",
        f"{GRACE_S} seconds at most",
    ):
        assert said in TEXT
    assert limits.body_bytes == 1 << 20


def test_every_field_and_status_is_told() -> None:
    assert set(QueryRequest.model_fields) <= set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
    from vector_pipeline.service.app import _MEANINGS

    told = re.findall(r"^\| ((?:\d{3}(?:, )?)+) \|", TEXT, re.MULTILINE)
    assert {int(one) for group in told for one in group.split(", ")} == set(_MEANINGS)


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / PAGE).parent.joinpath(link).exists(), link
