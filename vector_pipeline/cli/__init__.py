"""``vector-pipeline``: the command line.

Laws
----
1. Every expected failure is one line on standard error and exit code 1; wrong usage is one line and exit code 2; Ctrl-C is 130.
   A traceback is shown only with ``--debug``.
2. Verbs that only look never import Dagster, and torch only to embed a query. ``--help`` imports neither core nor engine.
"""

import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vector_pipeline.cli.output import complain, quiet_interrupts
from vector_pipeline.errors import VectorPipelineError

if TYPE_CHECKING:
    import click

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit the process."""
    # Imports are most of a writing verb's time, and collecting garbage between them a tenth of that.
    gc.set_threshold(100_000, 50, 50)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    quiet_interrupts()
    code = run(list(sys.argv[1:] if arguments is None else arguments))
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has gone: python would complain again when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run the command line; returns its exit code."""
    import click
    import typer

    from vector_pipeline.cli.session import Session
    from vector_pipeline.cli.verbs import app

    session = Session()
    try:
        code = typer.main.get_command(app).main(
            arguments, prog_name="vector-pipeline", standalone_mode=False, obj=session
        )
    except click.ClickException as error:
        return _usage(error)
    except click.Abort:
        code = INTERRUPTED
    except VectorPipelineError as error:
        if session.debug:
            raise
        complain(f"Error: {session.repeatable(str(error))}")
        return FAILED
    except BrokenPipeError:
        return FAILED
    except Exception as error:
        if session.debug:
            raise
        from vector_pipeline.config.secrets import scrub

        said = " ".join(scrub(str(error)).split()) or type(error).__name__
        complain(f"Error: unexpected {type(error).__name__}: {said}. Run again with --debug to see where")
        return FAILED
    finally:
        session.end()
    if code == INTERRUPTED:
        told = f"Interrupted{session.stopped}. What was committed is kept: run the same command again to go on."
        complain(session.farewell or told)
    return code if isinstance(code, int) else OK


def _usage(error: "click.ClickException") -> int:
    """One line for wrong usage, and where help is."""
    import click

    context = getattr(error, "ctx", None)
    message = " ".join(error.format_message().split()).rstrip(".")
    if not message and isinstance(error, click.UsageError):
        return USAGE  # no_args_is_help: help was printed
    path = context.command_path if context is not None else "vector-pipeline"
    complain(f"Error: {message}. See: {path} --help")
    return USAGE if isinstance(error, click.UsageError) else FAILED
