"""Service shared access signatures: making them and judging them.

The string to sign is that of the version named in `sv` (versions from 2018-11-09 on).
Keys of accounts come from `control.blobs`; this module is pure.
Source: Azure Storage REST reference, "Create a service SAS".
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

#: The version that signatures made here carry.
VERSION = "2021-08-06"
_OLDEST = "2018-11-09"
_WITH_ENCRYPTION_SCOPE = "2020-12-06"
_VERSION_FORM = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_TIME_FORMS = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d")
_PERMISSIONS = "racwdxltmeop"


class Refused(Exception):
    """A signature that does not hold. code: Azure Storage's; detail: for `AuthenticationErrorDetail`, or ""."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(detail or code)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signature is for: a container, or one blob of it."""

    account: str
    container: str
    blob: str | None = None

    @property
    def canonical(self) -> str:
        path = f"/blob/{self.account}/{self.container}"
        return path if self.blob is None else f"{path}/{self.blob}"


def sign(key: bytes, scope: Scope, permissions: str, start: dt.datetime, expiry: dt.datetime) -> str:
    """The query string of a signature, https only. permissions: letters of `racwdxltmeop`, in that order."""
    fields = {
        "sv": VERSION,
        "sr": "c" if scope.blob is None else "b",
        "st": f"{start.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
        "se": f"{expiry.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
        "sp": permissions,
        "spr": "https",
    }
    return urlencode({**fields, "sig": _signature(key, _string_to_sign(fields, scope))})


def check(key: bytes, scope: Scope, query: Mapping[str, str], needed: str, now: dt.datetime) -> None:
    """Judge a signature for a request on `scope`.

    needed: the permissions of which one has to be there. The signature is compared in
    constant time before anything else is believed. Raises Refused.
    """
    version = query.get("sv", "")
    if not _VERSION_FORM.match(version) or version < _OLDEST:
        raise Refused("AuthenticationFailed", f"sv has to be a version from {_OLDEST} on.")
    signed = _signed_scope(scope, query.get("sr", ""))
    expected = _signature(key, _string_to_sign(query, signed))
    if not hmac.compare_digest(expected.encode(), query["sig"].encode()):
        raise Refused("AuthenticationFailed", "Signature did not match.")
    _in_time(query, now)
    if query.get("spr", "https,http") not in ("https", "https,http"):
        raise Refused("AuthorizationProtocolMismatch")
    granted = query.get("sp", "")
    if not set(granted) <= set(_PERMISSIONS) or not set(granted) & set(needed):
        raise Refused("AuthorizationPermissionMismatch")
    if query.get("sip") or query.get("si"):
        # Neither address ranges nor stored policies are kept here; honouring half of a signature would widen it.
        raise Refused("AuthenticationFailed", "Signatures with sip or si are not supported.")


def _signed_scope(scope: Scope, kind: str) -> Scope:
    if kind == "c":
        return Scope(scope.account, scope.container)
    if kind == "b" and scope.blob is not None:
        return scope
    raise Refused("AuthenticationFailed", f"sr has to be b or c, and c for a container; it is {kind[:8]!r}.")


def _in_time(query: Mapping[str, str], now: dt.datetime) -> None:
    start, expiry = _time(query.get("st")), _time(query.get("se"))
    if expiry is None:
        raise Refused("AuthenticationFailed", "Signed expiry time [se] is missing or is no UTC time.")
    if "st" in query and start is None:
        raise Refused("AuthenticationFailed", "Signed start time [st] is no UTC time.")
    if now >= expiry or (start is not None and now < start):
        begins, ends, current = (f"{t:%a, %d %b %Y %H:%M:%S} GMT" for t in (start or now, expiry, now))
        frame = f"Start [{begins}] - Expiry [{ends}] - Current [{current}]"
        raise Refused("AuthenticationFailed", f"Signature not valid in the specified time frame: {frame}")


def _time(text: str | None) -> dt.datetime | None:
    for form in _TIME_FORMS:
        try:
            return dt.datetime.strptime(text or "", form).replace(tzinfo=dt.UTC)
        except ValueError:
            continue
    return None


def _string_to_sign(query: Mapping[str, str], scope: Scope) -> str:
    version = query["sv"]
    lines = [query.get("sp", ""), query.get("st", ""), query.get("se", ""), scope.canonical]
    lines += [query.get(name, "") for name in ("si", "sip", "spr")]
    lines += [version, query.get("sr", ""), ""]
    if version >= _WITH_ENCRYPTION_SCOPE:
        lines.append(query.get("ses", ""))
    lines += [query.get(name, "") for name in ("rscc", "rscd", "rsce", "rscl", "rsct")]
    return "\n".join(lines)


def _signature(key: bytes, text: str) -> str:
    return base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()
