"""The way out of the proxy: who may pass, what a name means at a location, and the dial from there.

Names are asked of the location's own resolver and every socket is opened in the
location's namespace by an injected function, so that there is no other way out. What
a location is, and how it comes into being, is injected too.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype

from ringfence.api.proxy.streams import Stream


class Refusal(Exception):
    """Why a connection is not made. status: the HTTP status; message: fact and remedy, shown to the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Place:
    """A location, ready to dial from. key: what `open_socket` takes; resolver: address of its DNS server."""

    key: str
    resolver: str


@dataclass(frozen=True, slots=True)
class Exit:
    """The one way out of the proxy.

    locate: location as the user wrote it -> Place; raises Refusal or LookupError with a message.
    open_socket: (place key, family, kind) -> a socket in that place's namespace.
    """

    secret: str
    locate: Callable[[str], Awaitable[Place]]
    open_socket: Callable[[str, socket.AddressFamily, socket.SocketKind], socket.socket]
    dial_timeout_s: float = 10.0
    dns_timeout_s: float = 2.0
    dns_port: int = 53

    async def admit(self, user: str, password: str) -> Place:
        """The place behind the credentials. Raises Refusal: 407 for a wrong secret, 502 for no such location."""
        if not hmac.compare_digest(password.encode(), self.secret.encode()):
            raise Refusal(407, "The proxy's password is not the one of this start; run `ringfence env` again.")
        try:
            return await self.locate(unquote(user))
        except LookupError as error:
            raise Refusal(502, str(error.args[0]) if error.args else f"There is no location {user!r}.") from error

    async def dial(self, place: Place, host: str, port: int) -> Stream:
        """Connect from the place. Raises Refusal: 502 for no such name or a refused connection, 504 for silence."""
        if not 0 < port < 65536:
            raise Refusal(502, f"{port} is no TCP port.")
        last: Refusal | None = None
        for address in await self._resolve(place, host):
            try:
                return await self._connect(place, address, port, host)
            except Refusal as refusal:
                last = refusal
        raise last or Refusal(502, f"{host} has no IPv4 address.")

    async def _connect(self, place: Place, address: str, port: int, host: str) -> Stream:
        shown = f"{host}:{port}" if host == address else f"{host}:{port} ({address})"
        stream = self.open_socket(place.key, socket.AF_INET, socket.SOCK_STREAM)
        try:
            stream.setblocking(False)
            async with asyncio.timeout(self.dial_timeout_s):
                await asyncio.get_running_loop().sock_connect(stream, (address, port))
            return await asyncio.open_connection(sock=stream)
        except TimeoutError as error:
            stream.close()
            silence = f"{shown} did not answer within {self.dial_timeout_s:g} s; a rule may drop the packets."
            raise Refusal(504, silence) from error
        except OSError as error:
            stream.close()
            raise Refusal(502, f"{shown} cannot be reached from here: {_reason(error)}.") from error
        except BaseException:
            stream.close()
            raise

    async def _resolve(self, place: Place, host: str) -> tuple[str, ...]:
        try:
            literal = ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return await self._ask(place, host)
        if literal.version != 4:
            raise Refusal(502, f"{host} is an IPv6 address; Ringfence's networks carry IPv4.")
        return (str(literal),)

    async def _ask(self, place: Place, host: str) -> tuple[str, ...]:
        try:
            question = dns.message.make_query(host, dns.rdatatype.A)
        except (dns.exception.DNSException, UnicodeError) as error:
            raise Refusal(502, f"{host[:80]!r} is no host name.") from error
        answer = await self._exchange(place, question, host)
        if answer.rcode() == dns.rcode.NXDOMAIN:
            raise Refusal(502, f"The name {host} does not exist at this location.")
        if answer.rcode() != dns.rcode.NOERROR:
            raise Refusal(502, f"The resolver {place.resolver} answered {dns.rcode.to_text(answer.rcode())} for {host}.")
        try:
            found = answer.resolve_chaining().answer
        except dns.exception.DNSException as error:
            raise Refusal(502, f"The resolver's answer for {host} cannot be followed.") from error
        return tuple(record.to_text() for record in found or ())

    async def _exchange(self, place: Place, question: dns.message.QueryMessage, host: str) -> dns.message.QueryMessage:
        loop = asyncio.get_running_loop()
        datagrams = self.open_socket(place.key, socket.AF_INET, socket.SOCK_DGRAM)
        try:
            datagrams.setblocking(False)
            await loop.sock_connect(datagrams, (place.resolver, self.dns_port))
            for _ in range(2):
                await loop.sock_sendall(datagrams, question.to_wire())
                try:
                    async with asyncio.timeout(self.dns_timeout_s):
                        return await _reply(datagrams, question)
                except TimeoutError:
                    continue
        except OSError as error:
            raise Refusal(502, f"The resolver {place.resolver} cannot be asked for {host}: {_reason(error)}.") from error
        finally:
            datagrams.close()
        raise Refusal(504, f"The resolver {place.resolver} did not answer for {host}; a rule may drop the packets.")


def _reason(error: OSError) -> str:
    # The event loop replaces the system's words by its own; the number is still the system's.
    return os.strerror(error.errno) if error.errno else str(error)


async def _reply(datagrams: socket.socket, question: dns.message.QueryMessage) -> dns.message.QueryMessage:
    while True:
        wire = await asyncio.get_running_loop().sock_recv(datagrams, 4096)
        try:
            answer = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            continue
        if isinstance(answer, dns.message.QueryMessage) and question.is_response(answer):
            return answer
