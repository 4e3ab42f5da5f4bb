"""Readers of a service: opened once, never in the way of each other; and what leaves the process holds no text."""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.conftest import QUERY, asked
from tests.service.test_endpoints import config_of
from tests.support.spans import collected
from vector_pipeline.errors import NotFoundError, UnavailableError
from vector_pipeline.parts import Parts
from vector_pipeline.project import Project
from vector_pipeline.service.limits import Limits
from vector_pipeline.service.readers import Readers, State
from vector_pipeline.service.running import _Scrubbed
from vector_pipeline.serving import AsyncIndex, open_async_index

SECRET = "nobody-may-see-this"


async def got(readers: Readers, *key: str | None) -> AsyncIndex:
    async with readers.reader(*key) as found:
        return found


def test_many_who_ask_at_once_open_one_reader(released: Project) -> None:
    opened: list[str] = []

    async def counted(dataset: str, **options: Any) -> AsyncIndex:
        opened.append(dataset)
        return await open_async_index(dataset, **options)

    async def work() -> None:
        with Parts.load(config_of(released)) as parts:
            readers = Readers(parts, config_of(released), ["handbook"], Limits(), counted)
            found = await asyncio.gather(*(got(readers, "handbook") for _ in range(20)))
            assert len({id(one) for one in found}) == 1
            assert (await got(readers, "handbook", "local")) is not found[0]
            await readers.close()
            assert not readers.stuck

    asyncio.run(asyncio.wait_for(work(), 240))
    assert opened == ["handbook", "handbook"]


def test_a_reader_that_does_not_open_keeps_nobody(released: Project) -> None:
    let = asyncio.Event()

    async def held(dataset: str, **options: Any) -> AsyncIndex:
        await let.wait()
        return await open_async_index(dataset, **{**options, "timeout_s": 60})

    async def work() -> None:
        with Parts.load(config_of(released)) as parts:
            readers = Readers(parts, config_of(released), ["handbook"], Limits(timeout_s=0.2), held)
            for _ in range(2):
                with pytest.raises(UnavailableError, match=r"was not opened within 0\.2 s") as raised:
                    await got(readers, "handbook")
                assert raised.value.code == "timeout"
            (one,) = await readers.standings()
            assert (one.state, readers.known()) == (State.UNREADY, [one])
            let.set()
            while not readers.metrics():  # What was begun goes on although nobody waits.
                await asyncio.sleep(0.001)
            assert (await (await got(readers, "handbook")).search("about page 1")).version == 1
            await readers.close()

    asyncio.run(asyncio.wait_for(work(), 240))


def test_warm_loads_the_model_of_what_is_live(released: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from vector_pipeline.embedding.deterministic import DeterministicEmbedder

    texts: list[str] = []
    embed = DeterministicEmbedder.embed_queries

    def seen(self: DeterministicEmbedder, queries: Any) -> Any:
        texts.extend(queries)
        return embed(self, queries)

    monkeypatch.setattr(DeterministicEmbedder, "embed_queries", seen)

    async def ask(client: httpx.AsyncClient) -> None:
        assert len(texts) == 1
        text = (await client.get("/metrics")).text
        assert "vector_pipeline_queries_total{" not in text

    asked(config_of(released), ask, warm=True)


def test_logged_exceptions_say_where_and_not_what(released: Project) -> None:
    with Parts.load(config_of(released)) as parts:
        clean = Readers(parts, config_of(released), ["handbook"], Limits()).clean
    try:
        raise RuntimeError(f"a question about {SECRET}")
    except RuntimeError:
        record = logging.LogRecord("any", logging.ERROR, __file__, 1, "it failed", None, sys.exc_info())
    said = _Scrubbed(clean).format(record)
    assert "RuntimeError" in said
    assert Path(__file__).name in said
    assert SECRET not in said.replace('raise RuntimeError(f"a question about {SECRET}")', "")


def test_spans_continue_the_callers_and_hold_no_text(released: Project) -> None:
    caller = "0af7651916cd43dd8448eb211c80319c"

    async def ask(client: httpx.AsyncClient) -> None:
        headers = {"traceparent": f"00-{caller}-b7ad6b7169203331-01"}
        body = {"query": SECRET, "filter": {"title": SECRET}, "key": SECRET}
        assert (await client.post(QUERY, json=body, headers=headers)).status_code == 200
        wrong = {"query": SECRET, "filter": {"$no": SECRET}, "top_k": 0}
        assert (await client.post(QUERY, json=wrong, headers=headers)).status_code == 422

    with collected() as found:
        asked(config_of(released), ask)
    spans = found.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in spans} == {caller}
    assert {"vector_pipeline.query", "vector_pipeline.search"} <= {span.name for span in spans}
    assert not [span for span in spans if SECRET in span.to_json()]


EMBEDDER = """        embedder: {kind: deterministic, model: seed, dimension: 128}
"""


@pytest.mark.slow
def test_no_client_opens_readers_without_end(released: Project) -> None:
    """Every target with every space would be a reader each."""
    names = [f"other{number}" for number in range(4)]
    config = config_of(released)
    text = config.read_text(encoding="utf-8")
    first = next(line for line in text.splitlines(keepends=True) if line.strip().startswith("tiny:"))
    spaces = "".join(first.replace("tiny", name) + EMBEDDER for name in names)
    config.write_text(
        text.replace(first, spaces + first, 1).replace("    target:", "    serving: tiny\n    target:", 1)
    )
    live: list[AsyncIndex] = []
    most = 0

    async def counted(dataset: str, **options: Any) -> AsyncIndex:
        nonlocal most
        made = await open_async_index(dataset, **options)
        live.append(made)
        most = max(most, len(live))
        close = made.close

        async def closed() -> None:
            live.remove(made)
            await close()

        made.close = closed  # type: ignore[method-assign]
        return made

    async def work() -> None:
        with Parts.load(config) as parts:
            readers = Readers(parts, config, ["handbook"], Limits(max_readers=2), counted)
            for name in (*names, *names):
                async with readers.reader("handbook", None, name) as reader:
                    await reader.search("about page 1")
            assert (await got(readers, "handbook", "local", names[0])).metrics().arms == {}
            counts = sum(one.arms["production"].count for _, one in readers.metrics() if one.arms)
            assert counts == 2 * len(names), "what a closed one counted is not lost"
            async with readers.reader("handbook", "local"), readers.reader("handbook", None, names[0]):
                with pytest.raises(UnavailableError, match="are busy") as raised:
                    await got(readers, "handbook", None, names[1])
                assert raised.value.code == "saturated"
                await got(readers, "handbook")  # The usual one has a place of its own.
            await got(readers, "handbook", None, names[1])
            for wrong in (("nothing",), ("handbook", "nowhere"), ("handbook", "local", "nowhere")):
                with pytest.raises(NotFoundError, match="is served here"):
                    await got(readers, *wrong)
            await readers.close()

    asyncio.run(asyncio.wait_for(work(), 240))
    assert most <= 5, "two, the usual one, and two that are being closed"
    assert live == []
