"""Shared access signatures: Azure's own example, and every field that can be tampered with."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.api.blob import sas

KEY = b"k" * 64
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
BLOB = sas.Scope("account", "azureml", "LocalUpload/c/model.pkl")
HOUR = dt.timedelta(hours=1)


def signed(
    scope: sas.Scope = BLOB, permissions: str = "r", start: dt.datetime = NOW - HOUR, expiry: dt.datetime = NOW + HOUR
) -> dict[str, str]:
    return dict(parse_qsl(sas.sign(KEY, scope, permissions, start, expiry)))


def code(query: Mapping[str, str], scope: sas.Scope = BLOB, needed: str = "r", key: bytes = KEY, now: dt.datetime = NOW) -> str:
    try:
        sas.check(key, scope, query, needed, now)
    except sas.Refused as refused:
        return refused.code
    return "holds"


def test_the_documented_form_of_the_string_to_sign() -> None:
    """Written out by hand from the reference of version 2020-12-06 and later, then signed with the same key."""
    times = ["2026-11-24T11:00:00Z", "2026-11-24T13:00:00Z"]
    fields = ["r", *times, "/blob/account/azureml/LocalUpload/c/model.pkl", "", "", "https", "2021-08-06", "b", *[""] * 7]
    text = "\n".join(fields)
    expected = base64.b64encode(hmac.new(KEY, text.encode(), hashlib.sha256).digest()).decode()
    assert signed()["sig"] == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "holds"),
        ({"sp": "rw"}, "AuthenticationFailed"),
        ({"se": "2036-11-24T13:00:00Z"}, "AuthenticationFailed"),
        ({"st": "2020-11-24T13:00:00Z"}, "AuthenticationFailed"),
        ({"sr": "c"}, "AuthenticationFailed"),
        ({"spr": "https,http"}, "AuthenticationFailed"),
        ({"sv": "2020-12-06"}, "AuthenticationFailed"),
        ({"sv": "2015-04-05"}, "AuthenticationFailed"),
        ({"sv": "zzzz"}, "AuthenticationFailed"),
        ({"sip": "1.2.3.4"}, "AuthenticationFailed"),
        ({"ses": "scope"}, "AuthenticationFailed"),
        ({"rsct": "text/html"}, "AuthenticationFailed"),
        ({"sig": ""}, "AuthenticationFailed"),
        ({"sig": "ä"}, "AuthenticationFailed"),
    ],
)
def test_no_field_can_be_changed(change: dict[str, str], expected: str) -> None:
    assert code(signed() | change) == expected


def test_a_signature_holds_for_its_blob_only() -> None:
    query = signed()
    assert code(query, sas.Scope("account", "azureml", "LocalUpload/c/other.pkl")) == "AuthenticationFailed"
    assert code(query, sas.Scope("account", "other", BLOB.blob)) == "AuthenticationFailed"
    assert code(query, sas.Scope("other", "azureml", BLOB.blob)) == "AuthenticationFailed"
    assert code(query, sas.Scope("account", "azureml")) == "AuthenticationFailed"
    assert code(query, key=b"x" * 64) == "AuthenticationFailed"


def test_a_containers_signature_holds_for_its_blobs() -> None:
    query = signed(sas.Scope("account", "azureml"), "rl")
    assert code(query) == "holds" and code(query, sas.Scope("account", "azureml"), "l") == "holds"
    assert code(query, needed="w") == "AuthorizationPermissionMismatch"


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NOW - HOUR, "holds"),
        (NOW - HOUR - dt.timedelta(seconds=1), "AuthenticationFailed"),
        (NOW + HOUR - dt.timedelta(seconds=1), "holds"),
        (NOW + HOUR, "AuthenticationFailed"),
    ],
)
def test_a_signature_holds_in_its_time(now: dt.datetime, expected: str) -> None:
    assert code(signed(), now=now) == expected


@pytest.mark.parametrize(
    ("granted", "needed", "expected"), [("r", "w", "mismatch"), ("rcw", "cw", "holds"), ("c", "cw", "holds")]
)
def test_a_permission_has_to_be_granted(granted: str, needed: str, expected: str) -> None:
    found = code(signed(permissions=granted), needed=needed)
    assert found == ("holds" if expected == "holds" else "AuthorizationPermissionMismatch")


@given(st.dictionaries(st.sampled_from(["sv", "sr", "st", "se", "sp", "spr", "sip", "si"]), st.text(max_size=40)))
def test_nothing_unsigned_ever_holds(fields: dict[str, str]) -> None:
    assert code(fields | {"sig": base64.b64encode(b"\0" * 32).decode()}) != "holds"
