"""Every example of the page on reading runs, and its tables are what the reader takes and says."""

import inspect
import os
import re
from pathlib import Path

import pytest

from tests.serving.conftest import released, template  # noqa: F401 (fixtures)
from vector_pipeline.project import Project
from vector_pipeline.release.registry import connecting
from vector_pipeline.serving import asking, breaker, following, open_async_index, open_index, questions, reader
from vector_pipeline.serving.examining import PATIENCE_S

TEXT = (Path(__file__).resolve().parents[2] / "docs/reading.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.splitlines()[-1].strip())
def test_every_example_runs(example: str, released: Project, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    before = Path.cwd()
    os.chdir(released.base)
    try:
        exec(compile(example, "reading.md", "exec"), {"__name__": "__main__"})
    finally:
        os.chdir(before)
    assert capsys.readouterr().out


def test_every_argument_is_told_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", TEXT, re.MULTILINE))
    for opening in (open_index, open_async_index):
        arguments = [one for one in inspect.signature(opening).parameters.values() if one.name != "dataset"]
        assert [one.name for one in arguments] == list(rows)
        for one in arguments:
            if one.default is not None and one.name != "alias":
                assert rows[one.name] == f"{one.default:g}" if isinstance(one.default, float) else str(one.default)


def test_the_bounds_are_those_of_the_code() -> None:
    plain = " ".join(TEXT.split())
    assert (breaker.FAILURES, breaker.WITHIN_S, breaker.PAUSE_S) == (3, 30.0, 10.0)
    assert "three in a row have failed within 30 seconds" in plain
    assert "not asked for 10 seconds" in plain
    assert f"served for {following.OUTAGE_S:g} seconds" in plain
    assert (following.WAIT_S, PATIENCE_S) == (1.0, 3.0)
    assert (connecting.STATEMENT_S, connecting.SILENCE_S) == (10.0, 15.0)
    assert "ends a reader's statement after 10 seconds, and a connection that has been silent for 15 is cut" in plain
    assert f"{questions.MAX_CONDITIONS} conditions at most, and {questions.MAX_VALUES:,} values" in plain
    assert (reader.CLOSE_S, asking.ROUTE_TIME, breaker.FLOOR_S) == (4.0, 0.5, 1.0)
    assert "Closing waits four seconds at most" in plain
