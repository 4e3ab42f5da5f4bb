"""Run ``docs/tutorial.md`` from its first line to its last in an empty folder, and write what each command printed below it.

python docs/generate_tutorial.py          # run it, and write the outputs into the page
python docs/generate_tutorial.py --check  # run it; exit 1 when a command ends or prints otherwise than the page says

Two outputs are equal when they differ in numbers, fingerprints and addresses alone: times and machines do.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parent / "tutorial.md"
BLOCK = re.compile(r"(?ms)^```(console|yaml)\n(.*?)^```$")
FAILS = "# exits 1"
_PASSING = re.compile(r"\b[0-9a-f]*\d[0-9a-f]*\b|\d+")
_SPACES = re.compile(r"[\s─━│┃]+")


def executed(text: str, folder: Path) -> str:
    """The page with the outputs of now. ``RuntimeError`` for a command that ends otherwise than the page says."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        return BLOCK.sub(lambda found: f"```{found[1]}\n{_block(found[1], found[2], folder)}```", text)
    finally:
        os.chdir(before)


def _block(kind: str, body: str, folder: Path) -> str:
    if kind == "yaml":
        first, _, rest = body.partition("\n")
        Path(first.removeprefix("# ")).write_text(rest, encoding="utf-8")
        return body
    return "".join(f"$ {line}\n{_run(line, folder)}" for line in commands(body))


def commands(body: str) -> Iterator[str]:
    """Command lines of a block."""
    return (line.removeprefix("$ ") for line in body.splitlines() if line.startswith("$ "))


def _run(line: str, folder: Path) -> str:
    words = shlex.split(line, comments=True)
    if words[0] == "cd":
        os.chdir(words[1])
        return ""
    if words[0] != "vector-pipeline":
        subprocess.run(line, shell=True, check=True)
        return ""
    code, said = _verb(words[1:])
    if code != (1 if FAILS in line else 0):
        raise RuntimeError(f"{line}: exit code {code}\n{said}")
    kept = [one.rstrip() for one in said.replace(str(folder.resolve()), "~").splitlines()]
    while kept and not kept[-1]:
        kept.pop()
    return "".join(f"{one}\n" for one in kept if not one.startswith("$ "))


def _verb(words: list[str]) -> tuple[int, str]:
    """Exit code, and what it printed; of one that fails the line on standard error too."""
    from vector_pipeline.cli import run

    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as complaints:
        kept = os.dup(1), os.dup(2)
        try:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(out.fileno(), 1)
            os.dup2(complaints.fileno(), 2)
            code = run(words)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            os.close(kept[0])
            os.close(kept[1])
        out.seek(0)
        complaints.seek(0)
        errors = [one for one in complaints.read().splitlines(keepends=True) if one.startswith("Error")]
        return code, out.read() + "".join(errors if code else [])


def same(one: str, other: str) -> bool:
    """Whether two pages show the same, but for what passes."""
    first, second = (_SPACES.sub(" ", _PASSING.sub("0", text)) for text in (one, other))
    return first == second


def main(check: bool) -> int:
    """Write the page, or only look."""
    os.environ.setdefault("COLUMNS", "110")
    os.environ.update(HF_HUB_OFFLINE="1", DAGSTER_TELEMETRY_DISABLED="1", NO_COLOR="1")
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        made = executed(text, Path(folder))
    if check:
        return 0 if same(text, made) else 1
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
