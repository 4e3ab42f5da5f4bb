"""A server that takes what it is sent and says nothing: who reads hears of it, and goes on when it speaks again."""

from collections.abc import Iterator

import pytest
from sqlalchemy import make_url, text

from tests.support.waiting import eventually
from tests.support.wire import Wire
from vector_pipeline.errors import UnavailableError
from vector_pipeline.release.registry import Registry, connecting, listening
from vector_pipeline.release.registry.connecting import libpq


@pytest.fixture
def wire(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    Registry.open(postgres_url).close()
    monkeypatch.setattr(connecting, "SILENCE_S", 0.5)
    monkeypatch.setitem(connecting._LIBPQ, "connect_timeout", 2)
    with Wire(postgres_url) as made:
        yield made


def test_a_reader_hears_that_nobody_answers_and_goes_on(wire: Wire) -> None:
    with Registry.open(wire.url, migrate=False) as registry:
        assert registry.alias("handbook", "dev", "production") is None
        wire.silent.set()
        with pytest.raises(UnavailableError, match="said nothing"):
            registry.alias("handbook", "dev", "production")
        # The next one makes a connection, which is silent, too.
        with pytest.raises(UnavailableError):
            registry.alias("handbook", "dev", "production")
        wire.silent.clear()
        assert registry.alias("handbook", "dev", "production") is None


def test_a_listener_notices_a_silent_server_and_comes_back(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_BEAT_S", 0.05)
    monkeypatch.setattr(listening, "_ANSWER_S", 0.5)
    heard: list[str] = []
    with Registry.open(wire.url, migrate=False) as registry:
        listener = registry.listener(heard.append)
        assert listener is not None
        listener.start()
        eventually(lambda: heard == [""])
        wire.silent.set()
        eventually(lambda: not listener.hearing)
        wire.silent.clear()
        eventually(lambda: heard == ["", ""] and listener.hearing)
        wire.silent.set()  # It ends while it waits for an answer.
        listener.close()
        assert not listener._thread.is_alive()


def test_a_readers_statements_end_and_a_writers_do_not(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "STATEMENT_S", 0.2)
    monkeypatch.setattr(connecting, "SILENCE_S", 30.0)
    slow = text("SELECT pg_sleep(0.6)")
    with Registry.open(wire.url, migrate=False) as registry, pytest.raises(UnavailableError, match="statement timeout"):
        registry._db.read(lambda connection: connection.execute(slow).all())
    monkeypatch.setattr(connecting, "SILENCE_S", 0.2)
    with Registry.open(wire.url) as registry:
        assert registry._db.read(lambda connection: connection.execute(slow).all())
        assert registry._db.write(lambda connection: connection.execute(slow).all())


def test_what_the_url_says_of_connections_is_left(wire: Wire) -> None:
    plain = libpq(make_url("postgresql://host/name"))
    assert {"connect_timeout", "keepalives", "keepalives_idle", "tcp_user_timeout"} <= plain.keys()
    own = libpq(make_url("postgresql://host/name?tcp_user_timeout=5000&connect_timeout=3"))
    assert own.keys() == plain.keys() - {"tcp_user_timeout", "connect_timeout"}
    with Registry.open(wire.url, migrate=False) as registry:
        driver = registry._db._engine.raw_connection()
        try:
            known = {one.keyword: one.val for one in driver.driver_connection.pgconn.info}  # type: ignore[union-attr]
        finally:
            driver.close()
    assert (known[b"tcp_user_timeout"], known[b"keepalives_idle"]) == (b"20000", b"15")
