"""uvicorn with sockets that come and go while it runs, connections that can be cut, and an end that is noticed at once."""

import asyncio
import socket
from contextlib import suppress

import uvicorn
from starlette.types import Scope

_TICK_S = 1.0
"""How often uvicorn renews the date that it puts into headers."""


class Listener(uvicorn.Server):
    """All methods are called in its event loop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ended = asyncio.Event()

    async def listen(self, made: socket.socket) -> asyncio.Server:
        """Serve one more socket."""
        loop = asyncio.get_running_loop()
        config = self.config

        def protocol() -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )

        server = await loop.create_server(protocol, sock=made, backlog=config.backlog)
        self.servers.append(server)
        return server

    def cut(self, scope: Scope) -> None:
        """Close the connection that a request came in by."""
        for connection in list(self.server_state.connections):
            transport = getattr(
                connection, "transport", None
            )  # protocols of HTTP alone have one: all that are used here
            if transport is not None and _ends(transport) == (scope["client"], scope["server"]):
                transport.abort()

    def end(self) -> None:
        """Stop serving: what is under way is answered first."""
        self.should_exit = True
        self._ended.set()

    async def main_loop(self) -> None:
        """As uvicorn's, which looks ten times a second whether it shall end."""
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 10
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _TICK_S)


def _ends(transport: asyncio.Transport) -> tuple[object, object]:
    """Both ends of a connection, as a scope names them."""
    return transport.get_extra_info("peername"), transport.get_extra_info("sockname")
