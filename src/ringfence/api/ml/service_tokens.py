"""Tokens of scoring services (contract section 7.5): making a service's key pair, and signing with it.

What a token says is in `policy.tokens`; the router checks it without asking anybody.
"""

from __future__ import annotations

import datetime as dt

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ringfence.model import errors, serving
from ringfence.model.resource import Resource
from ringfence.policy import names, tokens

_PEM = serialization.Encoding.PEM


def key_pair() -> tuple[str, str]:
    """A new RSA key as PEM: private, public."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private.decode(), key.public_key().public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def issue(workspace: Resource, service: Resource, caller: str, now: dt.datetime, id: str) -> dict[str, object]:
    """The document of a token. caller: the object id it is for. Raises errors.Invalid for a service with another kind of key."""
    assert isinstance(service.properties, serving.Service)
    if not service.properties.aad_auth_enabled:
        message = (
            f"Token authentication is switched off for the service {service.id.name}. Switch aadAuthEnabled on, or use its keys."
        )
        raise errors.Invalid("AadAuthDisabled", message, target="aadAuthEnabled")
    begins = int(now.timestamp())
    ends = begins + int(tokens.LIFETIME.total_seconds())
    claims = {
        "aud": tokens.audience(service),
        "iss": f"https://{names.workspace_host(workspace)}/",
        "iat": begins,
        "nbf": begins,
        "exp": ends,
        "oid": caller,
        "service": service.id.name,
        "jti": id,
    }
    signed = jwt.encode(claims, service.properties.token_key, algorithm="RS256")
    refresh = begins + int(tokens.REFRESH.total_seconds())
    return {"accessToken": signed, "tokenType": "Bearer", "refreshAfter": refresh, "expiryOn": ends}
