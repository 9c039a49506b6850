"""TLS of the one listener: a context for each connection, chosen by the address that was dialled.

The HTTP protocol below is uvicorn's; what it does not do is to choose a context by address,
and to tell the application which certificate the client brought. That stands in the scope
under `state["client_certificate"]` (DER), where there is one.
"""

from __future__ import annotations

import abc
import asyncio
import logging
import ssl
from collections.abc import Callable

from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

#: Keeps handshakes under way from being collected.
_under_way: set[asyncio.Task[None]] = set()


def protocol(choose: Callable[[str], ssl.SSLContext]) -> type[asyncio.Protocol]:
    """The protocol for `uvicorn.Config.http_protocol_class`. choose: the context for a local address."""

    class Door(_Door):
        def context(self, address: str) -> ssl.SSLContext:
            return choose(address)

    return Door


class _Door(H11Protocol):
    """Plain until the handshake is over; then uvicorn's own, over the secured transport."""

    @abc.abstractmethod
    def context(self, address: str) -> ssl.SSLContext:
        """The TLS context for a local address."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # Nothing may be read before TLS reads it.
        transport.pause_reading()
        task = self.loop.create_task(self._secure(transport))
        _under_way.add(task)
        task.add_done_callback(_under_way.discard)

    async def _secure(self, transport: asyncio.Transport) -> None:
        waiting = _Waiting()
        try:
            context = self.context(transport.get_extra_info("sockname")[0])
            secured = await self.loop.start_tls(transport, waiting, context, server_side=True)
        except OSError as error:
            log.debug("a handshake failed: %s", error)
            transport.close()
            return
        if secured is None or waiting.lost:
            return
        certificate = secured.get_extra_info("ssl_object").getpeercert(binary_form=True)
        if certificate is not None:
            self.app_state = {**self.app_state, "client_certificate": certificate}
        secured.set_protocol(self)
        super().connection_made(secured)
        for content in waiting.received:
            self.data_received(content)


class _Waiting(asyncio.Protocol):
    """What arrives between the end of the handshake and the moment at which HTTP takes over."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.lost = False

    def data_received(self, data: bytes) -> None:
        self.received.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
