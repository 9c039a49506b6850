"""Access tokens: signing and the published keys.

Tokens are RS256, in the form that Azure Resource Manager gets for an application and for a
person (version 1.0, issuer sts.windows.net). The key is made at the first start and stays in
the state folder, so that tokens outlive a restart. Who may have a token is decided in
`granting`; whether one holds is decided in `verify`.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.types import Options

ALGORITHM = "RS256"
#: How long a token holds; clients refresh when less than five minutes are left.
LIFETIME_S = 3599
#: Groups of a person that a token names; of more it says only that there are some (Entra's overage claim).
_MOST_GROUPS = 200
#: Time is judged by our clock, the audience where it is compared.
_OWN_CLOCK: Options = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "require": ["aud", "sub", "exp", "nbf"],
}


def issuer(tenant: str) -> str:
    """The issuer of every token of a tenant."""
    return f"https://sts.windows.net/{tenant}/"


#: The audience of an assertion that stands in for an application's secret (workload identity federation has the same).
_EXCHANGE = "api://AzureADTokenExchange"


@dataclass(frozen=True, slots=True)
class Subject:
    """The application that a token speaks for."""

    client_id: str
    object_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """The person that a token speaks for, through an application. groups, roles: object ids; templates of directory roles."""

    object_id: str
    name: str
    display_name: str
    client_id: str
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()


class Signer:
    """Issues tokens of one tenant."""

    def __init__(self, key: rsa.RSAPrivateKey, tenant: str, clock: Callable[[], dt.datetime], new_id: Callable[[], str]) -> None:
        self._key = key
        self._tenant = tenant
        self._clock = clock
        self._new_id = new_id
        self.key_id = _key_id(key.public_key())

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        return self._key.public_key()

    def issue(self, subject: Subject, audience: str) -> str:
        """A token for `audience`, as spelled: its trailing slash is part of it."""
        claims = {
            "aud": audience,
            "iss": issuer(self._tenant),
            "appid": subject.client_id,
            "appidacr": "1",
            "idp": issuer(self._tenant),
            "idtyp": "app",
            "oid": subject.object_id,
            "sub": subject.object_id,
            "ver": "1.0",
        }
        return self._signed(claims)

    def issue_for(self, person: Person, audience: str, scopes: str) -> str:
        """A person's token for `audience`. scopes: what the application may do for them, separated by blanks."""
        claims: dict[str, object] = {
            "aud": audience,
            "iss": issuer(self._tenant),
            "acr": "1",
            "amr": ["pwd"],
            "appid": person.client_id,
            "appidacr": "0",
            "idtyp": "user",
            "name": person.display_name,
            "oid": person.object_id,
            "scp": scopes,
            "sub": _pairwise(person.object_id, audience),
            "unique_name": person.name,
            "upn": person.name,
            "ver": "1.0",
            "wids": sorted(person.roles),
        }
        if len(person.groups) <= _MOST_GROUPS:
            claims["groups"] = sorted(person.groups)
        else:
            claims["hasgroups"] = True
        return self._signed(claims)

    def id_token(self, person: Person, nonce: str = "") -> str:
        """Says to the application who has signed in (OpenID Connect Core 1.0 section 2)."""
        claims = {
            "aud": person.client_id,
            "iss": f"https://login.microsoftonline.com/{self._tenant}/v2.0",
            "name": person.display_name,
            "oid": person.object_id,
            "preferred_username": person.name,
            "sub": _pairwise(person.object_id, person.client_id),
            "ver": "2.0",
        }
        return self._signed(claims | ({"nonce": nonce} if nonce else {}))

    def assertion(self, client_id: str) -> str:
        """What a host shows at the token endpoint in place of the secret of the application that it acts as."""
        return self._signed({"aud": _EXCHANGE, "iss": issuer(self._tenant), "sub": client_id.lower()})

    def asserted(self, assertion: str, client_id: str) -> bool:
        """Whether an assertion is one of ours, for this application, and holds now."""
        try:
            claims = jwt.decode(assertion, self.public_key, algorithms=[ALGORITHM], options=_OWN_CLOCK)
        except (jwt.PyJWTError, ValueError, RecursionError):
            return False
        now = self._clock().timestamp()
        return (claims["aud"], claims["sub"]) == (_EXCHANGE, client_id.lower()) and claims["nbf"] <= now < claims["exp"]

    def _signed(self, claims: Mapping[str, object]) -> str:
        now = int(self._clock().timestamp())
        common = {"iat": now, "nbf": now, "exp": now + LIFETIME_S, "tid": self._tenant, "uti": self._new_id()}
        headers = {"kid": self.key_id, "x5t": self.key_id}
        return jwt.encode({**claims, **common}, self._key, algorithm=ALGORITHM, headers=headers)

    def key_set(self) -> Mapping[str, object]:
        """The JWKS document (RFC 7517)."""
        numbers = self.public_key.public_numbers()
        key = {"kty": "RSA", "use": "sig", "alg": ALGORITHM, "kid": self.key_id, "x5t": self.key_id}
        return {"keys": [{**key, "n": _unsigned(numbers.n), "e": _unsigned(numbers.e), "issuer": issuer(self._tenant)}]}


def load_key(path: Path) -> rsa.RSAPrivateKey:
    """Read the signing key, or make it (mode 0600, on disk before it signs anything).

    Raises ValueError when the file holds something else.
    """
    if not path.exists():
        _make_key(path)
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError(f"{path} holds a {type(key).__name__}, tokens are signed with RSA; remove the file and start again")
    return key


def _make_key(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    half = path.with_suffix(".new")
    handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def _key_id(key: rsa.RSAPublicKey) -> str:
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()[:20]).rstrip(b"=").decode()


def _pairwise(object_id: str, audience: str) -> str:
    """The person's subject: another one for each audience."""
    return base64.urlsafe_b64encode(hashlib.sha256(f"{object_id}|{audience}".encode()).digest()).rstrip(b"=").decode()


def _unsigned(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()
