"""Workflows as they are: their jobs and steps, and the shell of a step run for real."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
GITHUB = sorted((DEPLOY / "github").glob("*.yml"))
GITLAB = DEPLOY / "gitlab" / "vector-pipeline.gitlab-ci.yml"
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def read(path: Path) -> dict[Any, Any]:
    """A workflow. YAML 1.1 takes the key ``on`` for True."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


@dataclass(frozen=True)
class Step:
    """One step of a job."""

    workflow: str
    job: str
    name: str
    run: str
    env: Mapping[str, str]
    """Of workflow, job and step, the nearest winning; expressions as they stand."""

    def __str__(self) -> str:
        return f"{self.workflow}: {self.job}: {self.name}"


def steps(path: Path) -> Iterator[Step]:
    """Steps of a workflow that run a shell."""
    whole = read(path)
    for name, job in whole["jobs"].items():
        for step in job.get("steps", []):
            if "run" in step:
                env = {**whole.get("env", {}), **job.get("env", {}), **step.get("env", {})}
                yield Step(path.name, name, step["name"], step["run"], env)


def holds(condition: str, values: Mapping[str, str], *, state: str = "success") -> bool:
    """Whether a step runs. ``state``: of the steps before it; ``values``: of contexts, everything else being empty."""
    found = condition.strip().removeprefix("${{").removesuffix("}}")
    found = re.sub(r"\b(failure|cancelled|success)\(\)", lambda one: repr(one[1] == state), found)
    found = re.sub(r"\b(steps|needs|inputs)\.[\w.-]+", lambda one: repr(values.get(one[0], "")), found)
    found = found.replace("&&", " and ").replace("||", " or ")
    asked = bool(eval(found, {"__builtins__": {}}))
    return asked if "True" in found or "False" in found else asked and state == "success"


def step(path: Path, job: str, name: str) -> Step:
    return next(one for one in steps(path) if (one.job, one.name) == (job, name))


class Runner:
    """What GitHub's runner gives a step: files for outputs and the summary, and values of expressions."""

    def __init__(self, repository: Path, temp: Path, values: Mapping[str, str]) -> None:
        self.repository, self.temp, self.values = repository, temp, dict(values)
        self.temp.mkdir(exist_ok=True)
        self.output, self.summary = temp / "output", temp / "summary"
        for file in (self.output, self.summary):
            file.touch()
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "RUNNER_TEMP": str(temp), "GITHUB_OUTPUT": str(self.output), "GITHUB_STEP_SUMMARY": str(self.summary),
        }  # fmt: skip

    def run(self, one: Step) -> subprocess.CompletedProcess[str]:
        """As ``shell: bash`` says it: errors end it, also within a pipe."""
        env = {name: _EXPRESSION.sub(self._value, str(value)) for name, value in one.env.items()}
        script = self.temp / "step.sh"
        script.write_text(one.run, encoding="utf-8")
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.repository, env={**self.environment, **env}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def ok(self, one: Step) -> str:
        done = self.run(one)
        assert done.returncode == 0, f"{one}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def outputs(self) -> dict[str, str]:
        """What steps gave to others so far."""
        lines = self.output.read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)

    def _value(self, found: re.Match[str]) -> str:
        return self.values.get(found[1], "")
