"""What the page about serving says beside its commands: bounds, and the application for another server."""

import asyncio
import inspect
import re
from pathlib import Path

import httpx
import pytest

from tests.service.conftest import QUERY
from vector_pipeline.cli.serving import serve
from vector_pipeline.project import Project
from vector_pipeline.service.limits import Limits
from vector_pipeline.service.running import DRAIN_S
from vector_pipeline.serving.questions import MAX_CONDITIONS, MAX_DEPTH, MAX_VALUES

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")


def test_the_bounds_are_those_of_the_program() -> None:
    for said in (
        f"At most {MAX_CONDITIONS} conditions, {MAX_DEPTH} levels deep, {MAX_VALUES:,} values in lists",
        f"At most {Limits().max_readers} such",
        f"| `--drain-s S` | {DRAIN_S:g} |",
    ):
        assert said in " ".join(TEXT.split())
    assert inspect.signature(serve).parameters["drain_s"].default == DRAIN_S


def test_another_server_runs_it(released: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(released.base)
    names: dict[str, object] = {}
    exec(code, names)
    app, parts = names["app"], names["parts"]

    async def ask() -> httpx.Response:
        async with (
            app.router.lifespan_context(app),  # type: ignore[attr-defined]
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client,  # type: ignore[arg-type]
        ):
            return await client.post(QUERY, json={"query": "about page 1"})

    assert asyncio.run(ask()).status_code == 200
    parts.close()  # type: ignore[attr-defined]
