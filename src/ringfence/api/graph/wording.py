"""Microsoft Graph's refusals: its codes, its sentences, and the status of each code."""

from __future__ import annotations

from collections.abc import Mapping

from ringfence.model import errors

#: By code; everything else is 400.
STATUS: Mapping[str, int] = {
    "InvalidAuthenticationToken": 401,
    "Authorization_RequestDenied": 403,
    "Request_ResourceNotFound": 404,
    "ResourceNotFound": 404,
    "Request_MultipleObjectsWithSameKeyValue": 409,
    "RequestEntityTooLarge": 413,
}


def denied() -> errors.Forbidden:
    return errors.Forbidden(
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation. It takes the role Global Administrator, or being the owner.",
    )


def missing(object_id: str) -> errors.NotFound:
    return errors.NotFound(
        "Request_ResourceNotFound",
        f"Resource '{object_id[:100]}' does not exist or one of its queried reference-property objects are not present.",
    )


def no_segment(segment: str) -> errors.Invalid:
    return errors.Invalid("BadRequest", f"Resource not found for the segment '{segment[:100]}'.")


def bad(message: str) -> errors.Invalid:
    return errors.Invalid("Request_BadRequest", message)


def unsupported_query(message: str) -> errors.Invalid:
    return errors.Invalid("Request_UnsupportedQuery", message)


def required(name: str) -> errors.Invalid:
    return bad(f"A value is required for property '{name}' of resource.")


def invalid_property(name: str) -> errors.Invalid:
    return bad(f"Invalid property '{name[:100]}'.")


def invalid_value(name: str) -> errors.Invalid:
    return bad(f"Invalid value specified for property '{name}' of resource.")
