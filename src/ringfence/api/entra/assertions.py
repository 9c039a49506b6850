"""Whether an application has the private key of its certificate: the assertion it signs (RFC 7523 section 2.2)."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterator

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.types import Options

from ringfence.api.entra import documents, refusals
from ringfence.model.directory import Directory

KIND = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ALGORITHMS = ["RS256", "PS256"]
_LONGEST = 16384
#: Time is judged here, by our clock; who it is for too, since the token endpoint has several names.
_OURS: Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}


def client_of(assertion: str) -> str:
    """The client id that an assertion names, before anything about it is believed. Raises Refusal."""
    if len(assertion) > _LONGEST:
        raise refusals.bad_assertion("it is too long.")
    try:
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise refusals.bad_assertion("it is no JSON web token.") from error
    return str(claims.get("sub") or "")


def check(directory: Directory, client_id: str, assertion: str, tenant: str, now: dt.datetime) -> None:
    """Raises Refusal unless the assertion is signed with one of the application's certificates that hold now, for this tenant."""
    try:
        named = jwt.get_unverified_header(assertion)
    except (jwt.PyJWTError, ValueError) as error:
        raise refusals.bad_assertion("it is no JSON web token.") from error
    for certificate, ends in _certificates(directory, client_id):
        if not _names(named, certificate):
            continue
        key = certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        try:
            claims = jwt.decode(assertion, key, algorithms=_ALGORITHMS, options=_OURS)
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise refusals.bad_assertion("its signature is not that of the certificate.") from error
        if ends <= now or certificate.not_valid_before_utc > now:
            raise refusals.bad_assertion("the certificate is expired or not valid yet.")
        _judge(claims, client_id, tenant, now)
        return
    raise refusals.unknown_certificate(client_id)


def _judge(claims: dict[str, object], client_id: str, tenant: str, now: dt.datetime) -> None:
    if str(claims.get("iss")).lower() != client_id.lower() or str(claims.get("sub")).lower() != client_id.lower():
        raise refusals.bad_assertion("its iss and sub are not the client's id.")
    audiences = {
        f"https://{host}/{segment}/oauth2/{path}"
        for host in documents.ALIASES
        for segment in (tenant, *documents.ANY_TENANT)
        for path in ("v2.0/token", "token")
    } | {f"https://{host}/{tenant}/v2.0" for host in documents.ALIASES}
    if claims.get("aud") not in audiences:
        raise refusals.bad_assertion("its aud is not the token endpoint.")
    expires, begins = claims.get("exp"), claims.get("nbf", 0)
    # NumericDate may have a fraction (RFC 7519 section 2), and MSAL's has one.
    if (
        not isinstance(expires, int | float)
        or not isinstance(begins, int | float)
        or not begins - 300 <= now.timestamp() < expires
    ):
        raise refusals.bad_assertion("it is not within its valid time range.")


def _certificates(directory: Directory, client_id: str) -> Iterator[tuple[x509.Certificate, dt.datetime]]:
    """Of the application and of its service principal, each with its end."""
    owners = (directory.named("application", client_id), directory.named("servicePrincipal", client_id))
    for owner in owners:
        stored = owner.document.get("keyCredentials") if owner is not None else None
        for one in stored if isinstance(stored, list) else []:
            assert isinstance(one, dict)
            content = base64.b64decode(str(one["key"]))
            yield x509.load_der_x509_certificate(content), dt.datetime.fromisoformat(str(one["endDateTime"]))


def _names(header: dict[str, object], certificate: x509.Certificate) -> bool:
    """Whether the assertion says that it was signed with this certificate."""
    algorithms: tuple[tuple[str, hashes.HashAlgorithm], ...] = (("x5t", hashes.SHA1()), ("x5t#S256", hashes.SHA256()))
    # MSAL leaves the padding on.
    return any(
        str(header.get(name)).rstrip("=") == _encoded(certificate.fingerprint(algorithm)) for name, algorithm in algorithms
    )


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
