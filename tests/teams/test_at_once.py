"""Two teams release at once; one at its budget, or broken, stops nobody else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vector_pipeline.project import Project
from vector_pipeline.release.promote import PRODUCTION

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PROGRAM = Path(sys.executable).with_name("vector-pipeline")


def start(path: Path, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "DAGSTER_HOME": "", "VECTOR_PIPELINE_CONFIG": str(path)}
    environment.pop("DAGSTER_HOME")
    return subprocess.Popen(
        [str(PROGRAM), *words], cwd=path.parent, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )  # fmt: skip


def at_once(path: Path, *commands: tuple[str, ...]) -> list[tuple[int, str]]:
    """Exit code and output of commands that run side by side."""
    running = [start(path, *words) for words in commands]
    try:
        said = [one.communicate(timeout=600)[0] for one in running]
    finally:
        for one in running:
            one.kill()
            one.wait()
    return [(one.returncode, text) for one, text in zip(running, said, strict=True)]


def release(path: Path, *, refused: str | None = None) -> str:
    """Both datasets, verb for verb side by side; what the last verb of ``refused`` said."""
    last = ""
    for verb in ("build", "push", "promote"):
        for name, (code, said) in zip(
            ("answers", "products"), at_once(path, (verb, "answers"), (verb, "products")), strict=True
        ):
            assert "Traceback" not in said, said
            if name == refused and verb != "build":
                assert code == 1, said
                last = last or said
            else:
                assert code == 0, said
    return last


def served(path: Path) -> dict[str, int | None]:
    with Project.load(path) as project:
        held = {
            name: project.registry(read_only=True).alias(name, "dev", PRODUCTION) for name in ("answers", "products")
        }
    return {name: one.deployment.version if one is not None else None for name, one in held.items()}


def change(path: Path, *names: str, pages: int = 3) -> None:
    for name in names:
        for n in range(pages):
            (path.parent / name / "documents" / f"more{n}.md").write_text(f"# More {n}\n\n{name} has item9{n} too.\n")


def test_two_teams_release_at_once_and_one_at_its_budget_or_broken_stops_nobody(teams: Path) -> None:
    release(teams)
    assert served(teams) == {"answers": 1, "products": 1}
    change(teams, "answers")
    change(teams, "products", pages=6)
    teams.write_text(teams.read_text().replace("canaries: products", "max_vectors: 4, canaries: products"))
    said = release(teams, refused="products")
    assert "budget" in said, said
    assert served(teams) == {"answers": 2, "products": 1}
    teams.write_text(teams.read_text().replace("model: products", "modle: products"))
    change(teams, "answers", pages=4)
    ((code, built), (theirs, why)) = at_once(teams, ("build", "answers"), ("build", "products"))
    assert (code, theirs) == (0, 1), built
    assert "modle: unknown key; did you mean model?" in why
    teams.write_text(teams.read_text().replace("modle: products", "model: products"))
    # Of what is mended nothing is gone: it goes on where it was.
    assert served(teams) == {"answers": 2, "products": 1}
