"""HTTP/1.1 as bytes: heads, bodies and replies. No sockets, no routes, no user code.

Strict where leniency would let two parsers disagree about where a request ends (RFC 9112
sections 5.1, 6.1 to 6.3, 7.1); the limits on lines are those of Azure's server.
"""

from __future__ import annotations

import functools
import re
import time
from email.utils import formatdate
from http import HTTPStatus

MOST_LINE, MOST_FIELD, MOST_FIELDS, MOST_HEAD, MOST_BODY = 4094, 8190, 100, 65536, 100 * 1024 * 1024
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_VALUE = re.compile(rb"[\x00\r\n]")
_TARGET = re.compile(rb"[\x21-\x7e\x80-\xff]+")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")


class BadRequest(Exception):
    """What was received cannot be answered as HTTP; the connection ends after the reply."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Request:
    """One request. fields: lower-case names, repeats joined with a comma; body is complete when it is handed on."""

    __slots__ = ("body", "chunked", "close", "expects", "fields", "length", "method", "path", "query", "started")

    def __init__(self, method: str, target: bytes) -> None:
        self.method = method
        self.path, self.query = _split(target)
        self.fields: dict[bytes, bytes] = {}
        self.length = 0
        self.chunked = False
        self.close = False
        self.expects = False
        self.body = b""
        self.started = time.perf_counter()

    @property
    def shown(self) -> str:
        """Path and query, as the access log shows them."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def text(self, name: bytes) -> str | None:
        value = self.fields.get(name)
        return None if value is None else value.decode("latin-1")


def _split(target: bytes) -> tuple[str, str]:
    if target[:7].lower() == b"http://":
        target = b"/" + target[7:].partition(b"/")[2]
    path, _, query = target.decode("latin-1").partition("?")
    return path, query


@functools.lru_cache(maxsize=1024)
def _name(raw: bytes) -> bytes | None:
    return raw.lower() if _TOKEN.fullmatch(raw) else None


def parse_head(block: bytes) -> Request:
    """The request line and fields, without the final empty line. Raises BadRequest."""
    lines = block.split(b"\r\n")
    request, version = _request_line(lines[0])
    if len(lines) > MOST_FIELDS + 1:
        raise BadRequest(431, f"more than {MOST_FIELDS} header fields")
    fields = request.fields
    for line in lines[1:]:
        raw, colon, value = line.partition(b":")
        name = _name(raw)
        if not colon or name is None or _BAD_VALUE.search(value):
            raise BadRequest(400, "malformed header field")
        if len(line) > MOST_FIELD:
            raise BadRequest(431, f"a header field is longer than {MOST_FIELD} bytes")
        value = value.strip(b" \t")
        if name in fields:
            if name in (b"content-length", b"transfer-encoding", b"content-type"):
                raise BadRequest(400, f"repeated header field {name.decode()}")
            value = fields[name] + b"," + value
        fields[name] = value
    _framing(request, version)
    return request


def _request_line(line: bytes) -> tuple[Request, bytes]:
    if len(line) > MOST_LINE:
        raise BadRequest(414, f"the request line is longer than {MOST_LINE} bytes")
    parts = line.split(b" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not _TARGET.fullmatch(parts[1]):
        raise BadRequest(400, "malformed request line")
    if parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise BadRequest(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    return Request(parts[0].decode("ascii"), parts[1]), parts[2]


def _framing(request: Request, version: bytes) -> None:
    fields = request.fields
    coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
    if coding is not None:
        if length is not None or version == b"HTTP/1.0" or coding.lower() != b"chunked":
            raise BadRequest(400, "a Transfer-Encoding other than a lone `chunked` is not accepted")
        request.chunked = True
    elif length is not None:
        if not _LENGTH.fullmatch(length):
            raise BadRequest(400, "Content-Length is not a number")
        request.length = int(length)
        if request.length > MOST_BODY:
            raise BadRequest(413, f"the body is larger than {MOST_BODY} bytes")
    connection = fields.get(b"connection", b"").lower()
    request.close = b"close" in connection or (version == b"HTTP/1.0" and b"keep-alive" not in connection)
    request.expects = fields.get(b"expect", b"").lower() == b"100-continue"


class ChunkReader:
    """Decodes a chunked body as its bytes arrive; extensions and trailers are dropped."""

    __slots__ = ("_left", "_state", "body")

    def __init__(self) -> None:
        self.body = bytearray()
        self._left = 0
        self._state = "size"

    def feed(self, buffer: bytearray) -> bool:
        """Take from the front of buffer what belongs to the body; true when the body is complete. Raises BadRequest."""
        while True:
            if self._state == "data":
                taken = buffer[: self._left]
                self.body += taken
                del buffer[: len(taken)]
                self._left -= len(taken)
                if self._left:
                    return False
                self._state = "end"
            line = self._line(buffer)
            if line is None:
                return False
            if self._consume(line):
                return True

    @staticmethod
    def _line(buffer: bytearray) -> bytes | None:
        end = buffer.find(b"\r\n")
        if end < 0:
            if len(buffer) > MOST_FIELD:
                raise BadRequest(400, "malformed chunk")
            return None
        line = bytes(buffer[:end])
        del buffer[: end + 2]
        return line

    def _consume(self, line: bytes) -> bool:
        if self._state == "trailer":
            return not line
        if self._state == "end":
            if line:
                raise BadRequest(400, "malformed chunk")
            self._state = "size"
            return False
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise BadRequest(400, "malformed chunk")
        self._left = int(match.group(1), 16)
        if len(self.body) + self._left > MOST_BODY:
            raise BadRequest(413, f"the body is larger than {MOST_BODY} bytes")
        self._state = "data" if self._left else "trailer"
        return False


# Upper case, as Azure's server writes the phrases of everything but 200.
_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase if s == 200 else s.phrase.upper()}\r\n".encode() for s in HTTPStatus}
_date = (0, b"")


def _date_field() -> bytes:
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, b"Date: " + formatdate(now, usegmt=True).encode() + b"\r\n")
    return _date[1]


def reply(status: int, kind: bytes, fields: bytes, body: bytes, close: bool) -> bytes:
    """A whole reply. kind: media type; fields: further header lines, each with its CRLF."""
    line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d UNKNOWN\r\n" % status
    head = b"%bContent-Type: %b\r\nContent-Length: %d\r\n" % (line, kind, len(body))
    return b"".join((head, _date_field(), fields, b"Connection: close\r\n\r\n" if close else b"\r\n", body))
