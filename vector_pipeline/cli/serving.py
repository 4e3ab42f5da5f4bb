"""``serve``: the reader over HTTP, in the foreground, until it is told to end."""

import os
import shlex
import signal
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from vector_pipeline.cli import INTERRUPTED
from vector_pipeline.cli.app import Command, app, session_of
from vector_pipeline.cli.output import complain, say
from vector_pipeline.errors import ConfigError, InputError

if TYPE_CHECKING:
    from vector_pipeline.parts import Parts

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@app.command(cls=Command)
def serve(
    ctx: typer.Context,
    datasets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DATASET...]", show_default=False),
    ] = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8080,
    token_env: Annotated[
        str | None,
        typer.Option(
            "--token-env", metavar="NAME", help="Environment variable with the token that clients must send.",
            show_default=False,
        ),
    ] = None,
    max_concurrency: Annotated[
        int, typer.Option("--max-concurrency", min=1, metavar="N", help="Requests that are answered at once.")
    ] = 64,
    timeout_s: Annotated[
        float, typer.Option("--timeout-s", min=0.1, metavar="S", help="Seconds for one request.")
    ] = 30,
    require: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATASET", help="Not ready while nothing of it is promoted; may be repeated.", show_default=False
        ),
    ] = None,
    drain_s: Annotated[
        float, typer.Option("--drain-s", min=0, metavar="S", help="Seconds that it still answers, unready, after SIGTERM.")
    ] = 2,
    warm: Annotated[bool, typer.Option("--warm", help="Load the models before the first request.")] = False,
) -> None:  # fmt: skip
    """Answer queries over HTTP, until Ctrl-C or SIGTERM: for applications in other languages. Needs the extra serve."""
    _require_extra()
    from vector_pipeline.parts import Parts
    from vector_pipeline.service.app import create_app
    from vector_pipeline.service.limits import Limits
    from vector_pipeline.service.readers import Readers
    from vector_pipeline.service.running import address, listen
    from vector_pipeline.service.running import serve as run

    session = session_of(ctx)
    token, path = _token(token_env), session.config_path()
    with Parts.load(path, environment=session.environment) as parts:
        names = _names(parts, datasets or [], require or [])
        limits = Limits(max_concurrency=max_concurrency, timeout_s=timeout_s)
        readers = Readers(parts, path, names, limits)
        service = create_app(readers, limits=limits, required=require or (), token=token, warm=warm)
        bound = listen(host, port)
        if token is None and host not in _LOOPBACK:
            complain(f"Warning: whoever reaches {host} may ask. A token is wanted with --token-env NAME.")

        def ready() -> None:
            say(f"Serving {', '.join(names)} on {address(bound)} until Ctrl-C")
            say(f"Next: {_example(address(bound), names[0], token_env)}", style="dim")
            sys.stdout.flush()

        ended_by = run(service, readers, bound, limits=limits, ready=ready, drain_s=drain_s)
    if ended_by == signal.SIGINT:
        session.farewell = "Stopped."
        raise typer.Exit(INTERRUPTED)


def _require_extra() -> None:
    missing = [name for name in ("fastapi", "uvicorn", "prometheus_client") if find_spec(name) is None]
    if missing:
        raise ConfigError(f"serve needs {', '.join(missing)}", fix="pip install 'vector-pipeline[serve]'")


def _token(name: str | None) -> str | None:
    if name is None:
        return None
    token = os.environ.get(name, "").strip()
    if not token:
        raise ConfigError(f"environment variable {name} is not set, or empty", fix=f"export {name}=…")
    return token


def _names(parts: "Parts", datasets: list[str], required: list[str]) -> list[str]:
    """What is served, each once."""
    names = list(dict.fromkeys(datasets)) or list(parts.config.datasets)
    for name in (*names, *required):
        parts.dataset(name)
    unserved = [name for name in required if name not in names]
    if unserved:
        raise InputError(
            f"{unserved[0]} is required and not served", fix=f"Serve it too: serve {' '.join(names)} {unserved[0]}"
        )
    return names


def _example(url: str, dataset: str, token_env: str | None) -> str:
    token = f' -H "Authorization: Bearer ${token_env}"' if token_env else ""
    body = shlex.quote('{"query": "How do I begin?", "top_k": 3}')
    return f"curl --json {body}{token} {url}/v1/datasets/{dataset}/query"
