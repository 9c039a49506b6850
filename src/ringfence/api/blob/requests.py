"""Reading a blob request: names, headers and block lists, with Azure's refusals for what does not hold."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote
from xml.etree import ElementTree

from starlette.requests import Request

from ringfence.api.blob.answers import BlobError
from ringfence.control.blobs import Condition

_CONTAINER = re.compile(r"^(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")
_METADATA_NAME = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_]*$")
_RANGE = re.compile(r"^bytes=(\d{1,18})-(\d{0,18})$")
_UNSUPPORTED_CONDITIONS = ("if-modified-since", "if-unmodified-since", "x-ms-if-tags", "x-ms-lease-id")
_MOST_METADATA = 8192
_MOST_BLOCKS = 50_000
_SAS_FIELDS = ("sv", "sr", "st", "se", "sp", "sig", "spr", "sip", "si", "ses", "rscc", "rscd", "rsce", "rscl", "rsct")


def names(path: str) -> tuple[str, str | None]:
    """Container and blob of a decoded path. Raises BlobError InvalidUri for names that Azure or a file system refuses."""
    container, _, blob = path.removeprefix("/").partition("/")
    if not _CONTAINER.match(container):
        raise BlobError("InvalidUri", "A container's name has 3 to 63 lower-case letters, digits and single hyphens.")
    if not blob:
        return container, None
    segments = blob.split("/")
    if len(blob) > 1024 or len(segments) > 254 or any(s in ("", ".", "..") for s in segments) or not blob.isprintable():
        raise BlobError("InvalidUri", "A blob's name has at most 1,024 printable characters and no empty, `.` or `..` segment.")
    return container, blob


def query(request: Request) -> Mapping[str, str]:
    """The query, each name once. Raises BlobError for a repeated name or a control character in a signature's field."""
    pairs = request.query_params.multi_items()
    single = dict(pairs)
    if len(single) != len(pairs):
        raise BlobError("InvalidQueryParameterValue", "A query parameter is given more than once.")
    if any(not single[name].isprintable() for name in _SAS_FIELDS if name in single):
        raise BlobError("AuthenticationFailed", auth="A field of the signature holds a control character.")
    return single


def length(request: Request, most: int) -> int | None:
    """Content-Length; None for a chunked body. Raises BlobError 411, 413 or 400."""
    text = request.headers.get("content-length")
    if text is None:
        if "chunked" in request.headers.get("transfer-encoding", ""):
            return None
        raise BlobError("MissingContentLengthHeader")
    if not text.isascii() or not text.isdigit():
        raise BlobError("InvalidHeaderValue", "Content-Length is no number.")
    if int(text) > most:
        raise BlobError("RequestBodyTooLarge", f"At most {most} bytes are taken.")
    return int(text)


def md5(request: Request, header: str) -> str | None:
    """An MD5 header as hex. Raises BlobError InvalidMd5; refuses a CRC64, which nothing here computes."""
    if "x-ms-content-crc64" in request.headers:
        raise BlobError("UnsupportedHeader", "x-ms-content-crc64 is not checked here; send Content-MD5.")
    given = request.headers.get(header)
    if given is None:
        return None
    try:
        raw = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BlobError("InvalidMd5") from error
    if len(raw) != 16:
        raise BlobError("InvalidMd5")
    return raw.hex()


def condition(request: Request) -> Condition:
    """If-None-Match: * and If-Match of a write. Raises BlobError for other conditions, which would be ignored otherwise."""
    unsupported = [header for header in _UNSUPPORTED_CONDITIONS if header in request.headers]
    absent = request.headers.get("if-none-match")
    if unsupported or absent not in (None, "*"):
        named = unsupported[0] if unsupported else "If-None-Match with an ETag"
        raise BlobError("UnsupportedHeader", f"{named} is not supported on a write.")
    match = request.headers.get("if-match")
    return Condition(absent=absent == "*", etag=None if match in (None, "*") else match.strip('"'))


def metadata(request: Request) -> Mapping[str, str]:
    """The `x-ms-meta-*` headers. Raises BlobError InvalidMetadata."""
    found = {name[10:]: value for name, value in request.headers.items() if name.startswith("x-ms-meta-")}
    if any(not _METADATA_NAME.match(name) or not value.isprintable() for name, value in found.items()):
        raise BlobError("InvalidMetadata")
    if sum(len(n) + len(v) for n, v in found.items()) > _MOST_METADATA:
        raise BlobError("InvalidMetadata", f"All of it together has at most {_MOST_METADATA} bytes.")
    return found


def content_type(request: Request, header: str) -> str:
    given = request.headers.get("x-ms-blob-content-type") or request.headers.get(header) or "application/octet-stream"
    if len(given) > 256 or not given.isascii() or not given.isprintable():
        raise BlobError("InvalidHeaderValue", "The content type is no header value.")
    return given


def span(request: Request, size: int) -> tuple[int, int] | None:
    """First and last byte wanted, or None for all. Raises BlobError InvalidRange. A malformed range is none (RFC 9110)."""
    match = _RANGE.match(request.headers.get("x-ms-range") or request.headers.get("range") or "")
    if not match:
        return None
    first = int(match[1])
    last = min(int(match[2]), size - 1) if match[2] else size - 1
    if first >= size or last < first:
        raise BlobError("InvalidRange")
    return first, last


def block_id(text: str) -> str:
    """A block id in the one spelling used to compare. Some clients encode it once more than the query needs."""
    plain = unquote(text)
    try:
        raw = base64.b64decode(plain, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BlobError("InvalidBlockId") from error
    if not 1 <= len(raw) <= 64:
        raise BlobError("InvalidBlockId", "A block id has 1 to 64 bytes before encoding.")
    return base64.b64encode(raw).decode()


def block_list(body: bytes) -> Sequence[str]:
    """The ids of a block list, in order. Raises BlobError InvalidXmlDocument, InvalidBlockList."""
    # No entity can be declared without a DOCTYPE, and a block list has none.
    if b"<!" in body:
        raise BlobError("InvalidXmlDocument", "A block list has no document type.")
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise BlobError("InvalidXmlDocument") from error
    if root.tag != "BlockList" or any(entry.tag not in ("Latest", "Uncommitted") for entry in root):
        raise BlobError("InvalidBlockList", "Only new blocks (Latest or Uncommitted) can be named.")
    if len(root) > _MOST_BLOCKS:
        raise BlobError("InvalidBlockList", f"A blob has at most {_MOST_BLOCKS} blocks.")
    return [block_id((entry.text or "").strip()) for entry in root]
