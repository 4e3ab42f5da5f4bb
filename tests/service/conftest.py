"""Services: in this process over ASGI, and as processes of their own over HTTP."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from openapi_core import Config, OpenAPI
from openapi_core.deserializing.media_types.util import json_loads, plain_loads
from openapi_core.testing import MockRequest, MockResponse

from tests.serving.conftest import released, template  # noqa: F401
from tests.serving.test_limits import Flaky
from vector_pipeline.parts import Parts
from vector_pipeline.service.app import create_app
from vector_pipeline.service.limits import Limits
from vector_pipeline.service.readers import Readers

PROGRAM = ("vector_pipeline.cli",)
QUERY = "/v1/datasets/handbook/query"
_READ = {"application/problem+json": json_loads, "application/openmetrics-text": plain_loads}
Ask = Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]]


class Checked:
    """Every response is what the document says of it."""

    def __init__(self, app: FastAPI) -> None:
        config = Config(extra_media_type_deserializers=_READ)
        self._document = OpenAPI.from_dict(app.openapi(), config=config)
        self._routes = {re.compile(re.sub(r"{\w+}", "[^/]+", one)) for one in app.openapi()["paths"]}

    async def check(self, response: httpx.Response) -> None:
        asked = response.request
        if response.status_code == 405 or not any(one.fullmatch(asked.url.path) for one in self._routes):
            return
        await response.aread()
        media_type = response.headers["content-type"].partition(";")[0]
        self._document.validate_response(
            MockRequest("http://service", asked.method, asked.url.path),
            MockResponse(response.content, response.status_code, dict(response.headers), media_type),
        )


@asynccontextmanager
async def client(config: Path, *, limits: Limits | None = None, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service in this process; what goes wrong inside is a response, as behind a server."""
    limits = limits or Limits()
    with Parts.load(config) as parts:
        readers = Readers(parts, config, list(parts.config.datasets), limits)
        app = create_app(readers, limits=limits, **options)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=transport, base_url="http://service", event_hooks={"response": [Checked(app).check]}
            ) as made,
        ):
            yield made


def asked(config: Path, ask: Ask, **options: Any) -> None:
    """Run ``ask`` with a client of a service."""

    async def work() -> None:
        async with client(config, **options) as made:
            await ask(made)

    asyncio.run(asyncio.wait_for(work(), 240))


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[Flaky]:
    """A target that fails, or holds on to queries, when it is told to."""
    made = Flaky(monkeypatch)
    yield made
    if made.held is not None:
        made.held.set()


class Running:
    """``vector-pipeline serve --port 0`` as a process."""

    def __init__(
        self, config: Path, *words: str, environment: dict[str, str] | None = None, program: tuple[str, ...] = PROGRAM
    ) -> None:
        self.log = config.parent / "service.log"
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *program, "serve", *words, "--port", "0", "--project", str(config)],
                stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, **(environment or {})},
            )  # fmt: skip
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        found = re.search(r"on (http://\S+)", self.said)
        assert found, f"{self.said}\n{self.log.read_text()}"
        self.url = found.group(1)
        self.next = self.process.stdout.readline()

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code."""
        self.process.send_signal(by)
        return self.process.wait(120)


def released_copy(template: Path, folder: Path) -> Path:  # noqa: F811
    """Configuration of a copy of the released project."""
    return Path(shutil.copytree(template, folder)) / "vector_pipeline.yaml"


Serve = Callable[..., Running]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start services (arguments are those of ``Running``); they end with the test."""
    with ExitStack() as stack:

        def start(config: Path, *words: str, **options: Any) -> Running:
            made = Running(config, *words, **options)
            assert made.process.stdout is not None
            stack.callback(made.process.stdout.close)
            stack.callback(made.process.wait)
            stack.callback(made.process.kill)
            return made

        yield start
