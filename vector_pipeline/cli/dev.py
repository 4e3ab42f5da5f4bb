"""``dev``: services for a laptop and for tests. ``dev pinecone`` runs the Pinecone-protocol server in the foreground."""

import signal
import threading
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vector_pipeline.cli import INTERRUPTED
from vector_pipeline.cli.app import Command, app
from vector_pipeline.cli.output import say
from vector_pipeline.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from vector_pipeline.testing.pinecone_server import PineconeServer

dev = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Services for a laptop and for tests.",
)
app.add_typer(dev, name="dev")

_FAULTS = "What goes wrong"
_LOOK_S = 0.5
_YAML = """\
datasets:
  handbook:
    target: pinecone
environments:
  dev:
    targets:
      pinecone:
        kind: pinecone
        index: docs
        host: {url}
        api_key: ${{env:PINECONE_API_KEY}}"""


class Quota(StrEnum):
    """Which refusal a used-up quota is."""

    PAYMENT = "402"
    QUOTA = "403"


def _share(name: str, text: str) -> Any:
    return typer.Option(name, min=0, max=1, metavar="SHARE", help=text, rich_help_panel=_FAULTS, show_default=False)


def _seconds(name: str, text: str) -> Any:
    return typer.Option(name, min=0, metavar="S", help=text, rich_help_panel=_FAULTS, show_default=False)


@dev.command(cls=Command)
def pinecone(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the control plane; 0: any.")] = 5080,
    data: Annotated[Path, typer.Option(metavar="FOLDER", help="Where everything is kept.")] = Path(
        ".vector_pipeline/pinecone"
    ),
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY", help="API key that is accepted; may be repeated. Default: pclocal.", show_default=False
        ),
    ] = None,
    lag: Annotated[float, _seconds("--lag", "Seconds until reads see a write.")] = 0,
    too_many_requests: Annotated[float, _share("--too-many-requests", "Share of requests answered 429.")] = 0,
    unavailable: Annotated[float, _share("--unavailable", "Share of requests answered 503.")] = 0,
    lost_responses: Annotated[float, _share("--lost-responses", "Share of writes that land without an answer.")] = 0,
    dropped: Annotated[float, _share("--dropped", "Share of connections closed before anything is done.")] = 0,
    timeouts: Annotated[float, _share("--timeouts", "Share of requests that get no answer.")] = 0,
    latency: Annotated[float, _seconds("--latency", "Seconds before each request is handled.")] = 0,
    retry_after: Annotated[
        float, _seconds("--retry-after", "Seconds that 429 says in Retry-After; default: 0.05.")
    ] = 0.05,
    imports: Annotated[float, _seconds("--imports", "Seconds that a bulk import takes at least.")] = 0,
    bandwidth: Annotated[
        float | None,
        typer.Option(min=1, metavar="BYTES", help="Bytes per second, all bodies together.", rich_help_panel=_FAULTS),
    ] = None,
    quota: Annotated[
        Quota | None, typer.Option(help="Refuse writes as if that quota were used up.", rich_help_panel=_FAULTS)
    ] = None,
    rate_limits: Annotated[
        bool, typer.Option("--rate-limits", help="Enforce Pinecone's limits per second.", rich_help_panel=_FAULTS)
    ] = False,
    no_aliases: Annotated[
        bool, typer.Option("--no-aliases", help="Be without namespace aliases: 404.", rich_help_panel=_FAULTS)
    ] = False,
    seed: Annotated[
        int, typer.Option(min=0, help="The same requests meet the same faults.", rich_help_panel=_FAULTS)
    ] = 0,
) -> None:
    """Run a server that speaks Pinecone's API, on this machine only, until Ctrl-C.

    Everything that it acknowledged is kept in FOLDER. Faults meet requests to indexes, not the control plane.
    """
    _require_extra()
    from vector_pipeline.testing.pinecone_server import Knobs, PineconeServer

    knobs = Knobs(
        freshness_lag_s=lag, too_many_requests=too_many_requests, unavailable=unavailable, lost_responses=lost_responses,
        dropped=dropped, timeouts=timeouts, latency_s=latency, bandwidth_bytes_per_s=bandwidth, retry_after_s=retry_after,
        aliases=not no_aliases, imports_s=imports, rate_limits=rate_limits, quota=None if quota is None else quota.value,
        seed=seed,
    )  # fmt: skip
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with PineconeServer(data, port=port, api_keys=key or ["pclocal"], knobs=knobs) as server:
        _introduce(server, data)
        try:
            while not ended.wait(_LOOK_S):
                if not server.running:
                    raise UnavailableError("the server ended by itself", fix="run again with --debug")
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


def _require_extra() -> None:
    missing = [name for name in ("starlette", "uvicorn", "orjson") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the Pinecone-protocol server needs {', '.join(missing)}", fix="pip install 'vector-pipeline[server]'"
        )


def _introduce(server: "PineconeServer", data: Path) -> None:
    """Where it is, and how to use it."""
    say(f"Pinecone-protocol server: {server.url} (API 2026-07), data in {data}")
    say()
    say("In vector_pipeline.yaml, with the names of your dataset and of your environment:", style="dim")
    say(_YAML.format(url=server.url))
    say()
    say("In the shell:", style="dim")
    say(f"export PINECONE_API_KEY={server.api_key}")
    say()
    say("With the SDK:", style="dim")
    say(f'pc = Pinecone(api_key="{server.api_key}", host="{server.url}")')
    plain = type(server.knobs)().as_dict()
    wrong = {name: value for name, value in server.knobs.as_dict().items() if value != plain[name]}
    if wrong:
        say()
        say("Knobs: " + ", ".join(f"{name} {value}" for name, value in wrong.items()), style="dim")
    say()
    say("Ctrl-C ends it.", style="dim")
