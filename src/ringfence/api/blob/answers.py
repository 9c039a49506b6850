"""Azure Storage's error bodies: one table of codes, statuses and messages, in XML."""

from __future__ import annotations

import datetime as dt
from xml.sax.saxutils import escape

from starlette.responses import Response

_AUTHENTICATE = (
    "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly "
    "including the signature."
)

#: Code -> status and message (Azure Storage REST reference, "Common" and "Blob service error codes").
_TABLE: dict[str, tuple[int, str]] = {
    "AuthenticationFailed": (403, _AUTHENTICATE),
    "AuthorizationFailure": (403, "This request is not authorized to perform this operation."),
    "AuthorizationPermissionMismatch": (403, "This request is not authorized to perform this operation using this permission."),
    "AuthorizationProtocolMismatch": (403, "This request is not authorized to perform this operation using this protocol."),
    "BlobAlreadyExists": (409, "The specified blob already exists."),
    "BlobNotFound": (404, "The specified blob does not exist."),
    "ConditionNotMet": (412, "The condition specified using HTTP conditional header(s) is not met."),
    "ContainerNotFound": (404, "The specified container does not exist."),
    "InternalError": (500, "The server encountered an internal error. Please retry the request."),
    "InvalidAuthenticationInfo": (
        401,
        "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
    ),
    "InvalidBlobType": (409, "The blob type is invalid for this operation."),
    "InvalidBlockId": (400, "The specified block ID is invalid. The block ID must be Base64-encoded."),
    "InvalidBlockList": (400, "The specified block list is invalid."),
    "InvalidHeaderValue": (400, "The value for one of the HTTP headers is not in the correct format."),
    "InvalidMd5": (400, "The MD5 value specified in the request is invalid. MD5 value must be 128 bits and base64 encoded."),
    "InvalidMetadata": (400, "The metadata specified is invalid. It has characters that are not permitted."),
    "InvalidQueryParameterValue": (400, "Value for one of the query parameters specified in the request URI is invalid."),
    "InvalidRange": (416, "The range specified is invalid for the current size of the resource."),
    "InvalidUri": (400, "The requested URI does not represent any resource on the server."),
    "InvalidXmlDocument": (400, "XML specified is not syntactically valid."),
    "Md5Mismatch": (400, "The MD5 value specified in the request did not match with the MD5 value calculated by the server."),
    "IncompleteBody": (400, "The request body ended before the number of bytes that Content-Length announced."),
    "MissingContentLengthHeader": (411, "The Content-Length header was not specified."),
    "MissingRequiredHeader": (400, "An HTTP header that's mandatory for this request is not specified."),
    "NoAuthenticationInformation": (
        401,
        "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
    ),
    "OutOfRangeInput": (400, "One of the request inputs is out of range."),
    "RequestBodyTooLarge": (413, "The request body is too large and exceeds the maximum permissible limit."),
    "ResourceNotFound": (404, "The specified resource does not exist."),
    "UnsupportedHeader": (400, "One of the HTTP headers specified in the request is not supported."),
    "UnsupportedHttpVerb": (405, "The resource doesn't support specified Http Verb."),
    "UnsupportedQueryParameter": (400, "One of the query parameters specified in the request URI is not supported."),
}


class BlobError(Exception):
    """A refusal. code: a key of the table; detail: what exactly is wrong, shown after the message; auth: signature detail."""

    def __init__(self, code: str, detail: str = "", *, auth: str = "") -> None:
        super().__init__(f"{code}: {detail or auth}")
        self.code = code
        self.detail = detail
        self.auth = auth

    @property
    def status(self) -> int:
        return _TABLE[self.code][0]


def refused(error: BlobError, request_id: str, now: dt.datetime, *, head: bool) -> Response:
    """The response to a refusal. A HEAD gets the code in a header only."""
    status, message = _TABLE[error.code]
    headers = {"x-ms-error-code": error.code}
    if status == 401:
        headers["WWW-Authenticate"] = (
            "Bearer authorization_uri=https://login.microsoftonline.com resource_id=https://storage.azure.com"
        )
    if head:
        return Response(status_code=status, headers=headers)
    text = f"{message}{' ' + error.detail if error.detail else ''}\nRequestId:{request_id}\nTime:{now:%Y-%m-%dT%H:%M:%S.%fZ}"
    more = f"<AuthenticationErrorDetail>{_xml(error.auth)}</AuthenticationErrorDetail>" if error.auth else ""
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{error.code}</Code><Message>{_xml(text)}</Message>{more}</Error>'
    return Response(body.encode(), status, headers=headers, media_type="application/xml")


def _xml(text: str) -> str:
    # XML 1.0 has no way to write most control characters.
    return escape("".join(c if c in "\n\t" or c.isprintable() else "?" for c in text))
