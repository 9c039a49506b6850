"""Reading forms: what the token endpoint and the pages are sent, with limits."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote

from starlette.requests import Request

from ringfence.api.entra import refusals
from ringfence.api.entra.refusals import Refusal

_MOST_BYTES = 65536
_FORM = "application/x-www-form-urlencoded"


async def read(request: Request) -> dict[str, str]:
    """Each field once. Raises Refusal."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise refusals.unreadable(f"its content type is {kind or 'missing'}, not {_FORM}.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise Refusal(413, "invalid_request", 90014, f"The request body has more than {_MOST_BYTES} bytes.")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=64)
    except ValueError as error:
        raise refusals.unreadable("it is not a form in UTF-8.") from error
    form: dict[str, str] = {}
    for name, value in pairs:
        if name in form:
            raise refusals.repeated(name)
        form[name] = value
    return form


def wanted(form: Mapping[str, str], parameter: str) -> str:
    """A field that has to be there. Raises Refusal."""
    value = form.get(parameter, "")
    if not value:
        raise refusals.missing(parameter)
    return value


def client_credentials(header: str | None, form: Mapping[str, str]) -> tuple[str, str]:
    """Client id and secret, of a Basic header or of the form; both are form-encoded inside the header (RFC 6749 section 2.3.1).

    Raises Refusal for a header that cannot be read, and when no client is named.
    """
    if header is not None and header.lower().startswith("basic "):
        try:
            user, colon, secret = base64.b64decode(header[6:].strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise refusals.unreadable("its Authorization header is not valid Basic.") from error
        if colon:
            return unquote(user), unquote(secret)
    return wanted(form, "client_id"), form.get("client_secret", "")
