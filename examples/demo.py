"""The whole way on real text, from an empty folder to a rollback: ``make demo``.

It makes the project ``./demo`` (anew each time) and runs the real command line in it, one process a command. Every command
is printed before its output, so that you can type it yourself. It needs no network. It exits 1 at the first step that does
not behave as it should.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLE = REPOSITORY / "examples" / "python_reference"
PROJECT = Path(os.environ.get("VECTOR_PIPELINE_DEMO", REPOSITORY / "demo")).resolve()
CONFIGURATION = ("vector_pipeline.yaml", "canaries.yaml")
WRITE = str(EXAMPLE / "write_documents.py")
EDIT = str(EXAMPLE / "edit_documents.py")
LOOP = "How do I leave a loop early?"
NEW = "print the name and the value of a variable with an f-string"
NEW_DOCUMENT = "lexical-analysis/fstring-debugging.md"


class WrongError(Exception):
    """A step did not behave as it should."""


def environment() -> dict[str, str]:
    """This process's environment, without settings that would lead the commands to another project."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VECTOR_PIPELINE_", "DAGSTER_"))}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": programs, "HF_HUB_OFFLINE": "1", "DAGSTER_DISABLE_TELEMETRY": "1", "PYTHONUNBUFFERED": "1"}


def make_project(folder: Path = PROJECT) -> None:
    """The demo's project in its first state: configuration, questions and documents. Removes what a former demo left."""
    if folder.exists():
        if not (folder / CONFIGURATION[0]).is_file() and any(folder.iterdir()):
            raise WrongError(f"{folder} exists and is not a demo: move it away")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for name in CONFIGURATION:
        shutil.copyfile(EXAMPLE / name, folder / name)


def say(text: str) -> None:
    """A heading."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n## {text}", flush=True)


class Command:
    """A command line in the project, running."""

    def __init__(self, *words: str) -> None:
        paths = {sys.executable: "python", WRITE: os.path.relpath(WRITE, PROJECT), EDIT: os.path.relpath(EDIT, PROJECT)}
        self.shown = shlex.join(paths.get(word, word) for word in words)
        self._process = subprocess.Popen(
            words, cwd=PROJECT, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def finish(self, *, expect: int = 0, has: tuple[str, ...] = (), quiet: bool = False) -> str:
        """Print the command and its output as it comes; returns the output. ``WrongError`` for anything unexpected."""
        if not quiet:
            print(f"\n$ {self.shown}", flush=True)
        lines = []
        assert self._process.stdout is not None
        for line in self._process.stdout:
            lines.append(line)
            if not quiet:
                print(line, end="", flush=True)
        code, output = self._process.wait(), "".join(lines)
        if code != expect:
            raise WrongError(f"{self.shown} exited {code}, not {expect}\n{output if quiet else ''}")
        for text in has:
            if text not in output:
                raise WrongError(f"{self.shown} did not say {text!r}")
        if expect:
            print(f"(exit code {code}, as it should be)")
        return output


def run(*words: str, **expected: Any) -> str:
    """Run one command to its end."""
    return Command(*words).finish(**expected)


def vp(*words: str, **expected: Any) -> str:
    """Run a verb to its end."""
    return run("vector-pipeline", *words, **expected)


def ask(*questions: tuple[str, ...], has: str) -> None:
    """Run queries side by side, since each loads the model anew, and print them one after another."""
    started = [Command("vector-pipeline", "query", *words) for words in questions]
    for one in started:
        one.finish(has=(has,))


def status() -> dict[str, Any]:
    """``status --json`` of the one dataset."""
    found: dict[str, Any] = json.loads(vp("status", "--json", quiet=True))[0]
    return found


def must(holds: bool, what: str) -> None:
    """Say that something holds, or stop."""
    if not holds:
        raise WrongError(f"this does not hold: {what}")
    print(f"✓ {what}", flush=True)


def first_release() -> None:
    say("1. Documents: the Python language reference that this interpreter carries")
    make_project()
    run(sys.executable, WRITE, "documents")
    vp("check")
    say("2. Build version 1, put it on staging, let the gates look at it, promote it")
    vp("build", has=("Made v1",))
    vp("push", has=("v1 is on staging",))
    vp("promote", "--reason", "first release", has=("production serves v1",))
    say("3. Ask")
    ask(
        (LOOP, "-k", "2"),
        ("merge two dictionaries into a new one", "-k", "2"),
        ("check a condition", "-k", "2", "--filter", '{"category": "statements"}'),
        has="v1",
    )


def second_release() -> None:
    say("4. Edit: two pages change, two are added, one goes")
    run(sys.executable, EDIT, "edit", "documents")
    vp("build", "-m", "second release", has=("Made v2",))
    vp("diff", "1", "2", has=("+ 2 added", "~ 2 changed", "- 1 removed"))
    say("5. Look before the push: the plan names only what differs from what the target really holds")
    vp("plan", "--detailed-exitcode", expect=2, has=("Plan:",))
    vp("push", has=("v2 is on staging",))
    vp("promote", "--reason", "second release", has=("production serves v2",))
    vp("query", NEW, "-k", "2", has=(NEW_DOCUMENT, "v2"))


def bad_release() -> None:
    say("6. An accident: most pages about statements are overwritten by the same error page")
    run(sys.executable, EDIT, "break", "documents")
    vp("build", "-m", "nightly export", has=("Made v3",))
    vp("push", expect=1, has=("canary retrieval", "Production is unchanged"))
    vp("promote", expect=1, has=("Error:",))
    vp("query", LOOP, "-k", "1", has=("statements/", "v2"))
    print("✓ the gate stopped it: production still answers from v2")


def roll_back() -> None:
    say("7. Roll back to version 1: one move of the alias")
    before = status()
    vp("rollback", "--to", "1", "--reason", "show that it takes no write", has=("production serves v1",))
    after = status()
    must(after["production"]["version"] == 1, "production serves v1")
    kept = before["index"]["mark"] == after["index"]["mark"] and before["index"]["records"] == after["index"]["records"]
    must(kept, f"the index took no write: mark {after['index']['mark']} before and after")
    vp("status")
    vp("history")
    say("8. Restore the documents")
    run(sys.executable, EDIT, "restore", "documents")


def main() -> int:
    """Run the demo; 1 when a step went wrong."""
    started = time.monotonic()
    print(f"Commands run in {PROJECT}. To type them yourself:\n")
    print(f"  source {os.path.relpath(Path(sys.executable).parent / 'activate')} && cd {os.path.relpath(PROJECT)}")
    try:
        first_release()
        second_release()
        bad_release()
        roll_back()
    except WrongError as error:
        print(f"\nThe demo stopped: {error}", file=sys.stderr)
        return 1
    say(f"The demo took {time.monotonic() - started:.0f} s. Everything behaved as it should.")
    print("Next: make ui (the same runs, assets and checks in Dagster), or, in the folder demo:")
    print("  vector-pipeline build && vector-pipeline push && vector-pipeline promote")
    return 0


if __name__ == "__main__":
    sys.exit(main())
