"""Certificates of applications (`keyCredentials`): what may be set, and how they are shown.

The public part is all there is; an application proves that it has the private one
(`api/entra/assertions`).
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import uuid
from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import JsonValue

from ringfence.api.graph import wording

_FIELD = "keyCredentials"
_MOST = 20


def read(given: JsonValue, old: JsonValue) -> list[JsonValue]:
    """The certificates of a body. One without its key is one that is there already. Raises Invalid."""
    if not isinstance(given, list) or len(given) > _MOST:
        raise wording.invalid_value(_FIELD)
    kept = {str(one.get("keyId")): one for one in old if isinstance(one, dict)} if isinstance(old, list) else {}
    found: list[JsonValue] = []
    for one in given:
        if not isinstance(one, dict):
            raise wording.invalid_value(_FIELD)
        known = kept.get(str(one.get("keyId")))
        found.append(known if one.get("key") is None and known is not None else _certificate(one))
    return found


def shown(stored: JsonValue) -> list[JsonValue]:
    """Without the keys, which Graph shows only to who selects them."""
    return [{**one, "key": None} for one in stored if isinstance(one, dict)] if isinstance(stored, list) else []


def _certificate(given: Mapping[str, JsonValue]) -> JsonValue:
    if given.get("type", "AsymmetricX509Cert") != "AsymmetricX509Cert" or given.get("usage", "Verify") != "Verify":
        raise wording.bad("A key credential is of type AsymmetricX509Cert and usage Verify.")
    try:
        # azure-cli sends the lines of a PEM file, without its marks.
        content = base64.b64decode("".join(str(given.get("key") or "").split()), validate=True)
        certificate = (
            x509.load_pem_x509_certificate(content) if content[:5] == b"-----" else x509.load_der_x509_certificate(content)
        )
    except (ValueError, binascii.Error) as error:
        raise wording.bad("The key of a key credential is an X.509 certificate, in base64.") from error
    if not isinstance(certificate.public_key(), rsa.RSAPublicKey):
        raise wording.bad("The certificate of a key credential has an RSA key.")
    thumbprint = certificate.fingerprint(hashes.SHA1()).hex().upper()
    der = certificate.public_bytes(serialization.Encoding.DER)
    ends = certificate.not_valid_after_utc
    return {
        "customKeyIdentifier": thumbprint,
        "displayName": given.get("displayName") or certificate.subject.rfc4514_string(),
        "endDateTime": _earlier(given.get("endDateTime"), ends),
        "key": base64.b64encode(der).decode(),
        "keyId": str(given.get("keyId") or uuid.uuid5(uuid.NAMESPACE_OID, thumbprint)),
        "startDateTime": certificate.not_valid_before_utc.isoformat(),
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
    }


def _earlier(given: JsonValue, ends: dt.datetime) -> str:
    """A certificate holds until its own end, or an earlier one that was asked for."""
    if given is None:
        return ends.isoformat()
    try:
        asked = dt.datetime.fromisoformat(str(given))
    except ValueError as error:
        raise wording.invalid_value("endDateTime") from error
    return min(ends, asked if asked.tzinfo is not None else asked.replace(tzinfo=dt.UTC)).isoformat()
