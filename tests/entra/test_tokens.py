"""Signing and judging tokens: every claim that can be wrong, wrong once."""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import json
import stat
from collections.abc import Mapping
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ringfence.api.entra import tokens, verify
from ringfence.model import errors
from ringfence.policy.access import Caller

TENANT = "11111111-2222-3333-4444-555555555555"
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
SUBJECT = tokens.Subject("aaaaaaaa-0000-0000-0000-000000000001", "bbbbbbbb-0000-0000-0000-000000000002")
ARM = "https://management.azure.com/"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> dt.datetime:
        return self.now


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def signer(key: rsa.RSAPrivateKey, clock: Clock) -> tokens.Signer:
    return tokens.Signer(key, TENANT, clock, lambda: "id")


@pytest.fixture
def verifier(key: rsa.RSAPrivateKey, clock: Clock) -> verify.Verifier:
    return verify.Verifier(key.public_key(), TENANT, clock)


def refusal(verifier: verify.Verifier, header: str | None) -> errors.Unauthenticated:
    with pytest.raises(errors.Unauthenticated) as caught:
        verifier.verify(header)
    return caught.value


def forged(key: rsa.RSAPrivateKey, changes: Mapping[str, object] | None = None, algorithm: str = "RS256") -> str:
    seconds = int(NOW.timestamp())
    claims: dict[str, object] = {
        "aud": ARM,
        "iss": tokens.issuer(TENANT),
        "tid": TENANT,
        "iat": seconds,
        "nbf": seconds,
        "exp": seconds + 60,
        "oid": SUBJECT.object_id,
        "appid": SUBJECT.client_id,
    }
    claims.update(changes or {})
    return "Bearer " + jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm=algorithm)


@pytest.mark.parametrize("audience", sorted(verify.MANAGEMENT))
def test_an_issued_token_names_its_caller(signer: tokens.Signer, verifier: verify.Verifier, audience: str) -> None:
    caller = verifier.verify(f"Bearer {signer.issue(SUBJECT, audience)}")
    assert caller == Caller(client_id=SUBJECT.client_id, object_id=SUBJECT.object_id, tenant_id=TENANT)


def test_the_claims_are_those_of_an_application(signer: tokens.Signer) -> None:
    token = signer.issue(SUBJECT, ARM)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["aud"] == ARM and claims["tid"] == TENANT and claims["idtyp"] == "app" and claims["ver"] == "1.0"
    assert claims["sub"] == claims["oid"] == SUBJECT.object_id and claims["exp"] - claims["iat"] == tokens.LIFETIME_S
    assert jwt.get_unverified_header(token)["kid"] == signer.key_id


def test_the_published_key_verifies_a_token(signer: tokens.Signer) -> None:
    published = jwt.PyJWKSet.from_dict(json.loads(json.dumps(signer.key_set())))
    token = signer.issue(SUBJECT, ARM)
    options: jwt.types.Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    assert jwt.decode(token, published[signer.key_id], algorithms=["RS256"], audience=ARM, options=options)["tid"] == TENANT


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "https://graph.microsoft.com/"}, "InvalidAuthenticationTokenAudience"),
        ({"aud": ARM + "/"}, "InvalidAuthenticationTokenAudience"),
        ({"aud": [ARM]}, "InvalidAuthenticationTokenAudience"),
        ({"iss": "https://sts.windows.net/99999999-2222-3333-4444-555555555555/"}, "InvalidAuthenticationTokenTenant"),
        ({"tid": "99999999-2222-3333-4444-555555555555"}, "InvalidAuthenticationTokenTenant"),
        ({"exp": int(NOW.timestamp())}, "ExpiredAuthenticationToken"),
        ({"exp": int(NOW.timestamp()) - 3600}, "ExpiredAuthenticationToken"),
        ({"nbf": int(NOW.timestamp()) + 1}, "InvalidAuthenticationToken"),
        ({"exp": "soon"}, "InvalidAuthenticationToken"),
        ({"exp": None}, "InvalidAuthenticationToken"),
        ({"aud": None}, "InvalidAuthenticationToken"),
        ({"tid": None}, "InvalidAuthenticationToken"),
        ({"oid": 7}, "InvalidAuthenticationToken"),
    ],
)
def test_one_wrong_claim_is_enough(
    key: rsa.RSAPrivateKey, verifier: verify.Verifier, changes: dict[str, object], code: str
) -> None:
    assert refusal(verifier, forged(key, changes)).code == code


def test_a_token_ends(signer: tokens.Signer, verifier: verify.Verifier, clock: Clock) -> None:
    header = f"Bearer {signer.issue(SUBJECT, ARM)}"
    clock.now = NOW + dt.timedelta(seconds=tokens.LIFETIME_S - 1)
    verifier.verify(header)
    clock.now = NOW + dt.timedelta(seconds=tokens.LIFETIME_S)
    assert refusal(verifier, header).code == "ExpiredAuthenticationToken"
    assert "11/24/2026 12:59:59 PM" in refusal(verifier, header).message


def test_another_key_does_not_sign_for_us(verifier: verify.Verifier) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert refusal(verifier, forged(stranger)).code == "InvalidAuthenticationToken"


def test_the_algorithm_is_pinned(key: rsa.RSAPrivateKey, verifier: verify.Verifier) -> None:
    assert refusal(verifier, forged(key, algorithm="RS512")).code == "InvalidAuthenticationToken"
    _, body, _ = forged(key).removeprefix("Bearer ").split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    assert refusal(verifier, f"Bearer {none}.{body}.").code == "InvalidAuthenticationToken"
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    symmetric = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
    signed = f"{symmetric}.{body}"
    by_public_key = base64.urlsafe_b64encode(hmac.digest(public, signed.encode(), "sha256")).rstrip(b"=").decode()
    assert refusal(verifier, f"Bearer {signed}.{by_public_key}").code == "InvalidAuthenticationToken"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "AuthenticationFailed"),
        ("", "AuthenticationFailedInvalidHeader"),
        ("Bearer", "AuthenticationFailedInvalidHeader"),
        ("Basic YTpi", "AuthenticationFailedInvalidHeader"),
        ("Bearer " + "a" * 20_000, "AuthenticationFailedInvalidHeader"),
        ("Bearer not-a-token", "InvalidAuthenticationToken"),
        ("Bearer a.b.c", "InvalidAuthenticationToken"),
        ("Bearer \x00.\x00.\x00", "InvalidAuthenticationToken"),
    ],
)
def test_headers_that_carry_no_token(verifier: verify.Verifier, header: str | None, code: str) -> None:
    assert refusal(verifier, header).code == code


def test_a_changed_token_falls(signer: tokens.Signer, verifier: verify.Verifier) -> None:
    token = signer.issue(SUBJECT, ARM)
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["oid"] = "someone-else"
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    assert refusal(verifier, f"Bearer {head}.{changed}.{signature}").code == "InvalidAuthenticationToken"


def test_the_data_plane_takes_its_own_audience_too(signer: tokens.Signer, verifier: verify.Verifier) -> None:
    header = f"Bearer {signer.issue(SUBJECT, 'https://ml.azure.com')}"
    assert verifier.accepting(verify.MACHINE_LEARNING).verify(header).client_id == SUBJECT.client_id
    assert refusal(verifier, header).code == "InvalidAuthenticationTokenAudience"


def test_the_key_is_made_once_and_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "pki" / "tokens.key"
    first, second = tokens.load_key(path), tokens.load_key(path)
    assert first.private_numbers() == second.private_numbers()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and list(path.parent.iterdir()) == [path]
