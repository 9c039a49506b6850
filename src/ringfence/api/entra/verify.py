"""Whether a bearer token holds: signature, algorithm, issuer, tenant, audience and time.

Codes and messages are Azure Resource Manager's. Rights are another matter
(`policy/access`); a token that holds says who is calling and nothing more.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.types import Options

from ringfence.api.entra import tokens
from ringfence.model import errors
from ringfence.policy.access import Caller

#: Audiences of Azure Resource Manager, as clients spell them.
MANAGEMENT = frozenset(
    {
        "https://management.core.windows.net/",
        "https://management.core.windows.net",
        "https://management.azure.com/",
        "https://management.azure.com",
    }
)
#: Audiences of the machine learning data plane; the SDK sends it Resource Manager's tokens as well.
MACHINE_LEARNING = MANAGEMENT | {"https://ml.azure.com", "https://ml.azure.com/"}

_LONGEST = 16384
#: Time, issuer and audience are judged in this module, by our clock and with Azure's messages.
_UNJUDGED: Options = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "require": ["aud", "iss", "exp", "nbf", "iat", "tid", "oid", "appid"],
}


#: The groups of an object that a token, issued then, still speaks for; None when it speaks for nobody any more.
Standing = Callable[[str, dt.datetime], frozenset[str] | None]


class Verifier:
    """Checks tokens of one tenant for one set of audiences. standing: None takes what tokens say."""

    def __init__(
        self,
        key: rsa.RSAPublicKey,
        tenant: str,
        clock: Callable[[], dt.datetime],
        audiences: frozenset[str] = MANAGEMENT,
        standing: Standing | None = None,
    ) -> None:
        self._key = key
        self._tenant = tenant
        self._clock = clock
        self._audiences = audiences
        self._standing = standing

    def accepting(self, audiences: frozenset[str]) -> Verifier:
        """The same checks for another service's audiences."""
        return Verifier(self._key, self._tenant, self._clock, audiences, self._standing)

    def verify(self, authorization: str | None) -> Caller:
        """The caller behind an `Authorization` header, with the groups of now. Raises errors.Unauthenticated."""
        claims = self._signed(_bearer(authorization))
        self._from_here(claims)
        self._in_time(claims)
        self._for_us(claims)
        client_id, object_id, name = claims["appid"], claims["oid"], claims.get("upn", "")
        if not isinstance(client_id, str) or not isinstance(object_id, str) or not isinstance(name, str):
            raise _invalid()
        groups = self._groups(object_id, claims["iat"])
        return Caller(object_id=object_id, client_id=client_id, name=name, groups=groups, tenant_id=self._tenant)

    def _groups(self, object_id: str, issued_at: object) -> frozenset[str]:
        """Who is gone, disabled or signed out is nobody, however long their token was to hold."""
        if self._standing is None:
            return frozenset()
        if not isinstance(issued_at, int):
            raise _invalid()
        groups = self._standing(object_id, dt.datetime.fromtimestamp(issued_at, dt.UTC))
        if groups is None:
            raise errors.Unauthenticated(
                "InvalidAuthenticationToken",
                f"The access token is invalid: the principal with object id '{object_id[:100]}' does not exist in the tenant "
                f"'{self._tenant}', is disabled or has signed out since. Sign in again.",
            )
        return groups

    def _signed(self, token: str) -> Mapping[str, object]:
        try:
            claims: dict[str, object] = jwt.decode(
                token,
                self._key,
                algorithms=[tokens.ALGORITHM],
                options=_UNJUDGED,
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise _invalid() from error
        return claims

    def _from_here(self, claims: Mapping[str, object]) -> None:
        if claims["iss"] != tokens.issuer(self._tenant) or claims["tid"] != self._tenant:
            raise errors.Unauthenticated(
                "InvalidAuthenticationTokenTenant",
                f"The access token is from the wrong issuer '{str(claims['iss'])[:200]}'. It must match the tenant "
                f"'{tokens.issuer(self._tenant)}' associated with this subscription. Please use the authority (URL) "
                f"'https://login.microsoftonline.com/{self._tenant}' to get the token.",
            )

    def _in_time(self, claims: Mapping[str, object]) -> None:
        now = self._clock()
        expires, begins = claims["exp"], claims["nbf"]
        if not isinstance(expires, int) or not isinstance(begins, int):
            raise _invalid()
        if now.timestamp() >= expires:
            raise errors.Unauthenticated(
                "ExpiredAuthenticationToken",
                f"The access token expiry UTC time '{_spoken(expires)}' is earlier than current UTC time "
                f"'{_spoken(int(now.timestamp()))}'.",
            )
        if now.timestamp() < begins:
            raise errors.Unauthenticated(
                "InvalidAuthenticationToken",
                f"The access token is not valid before '{_spoken(begins)}'; the current UTC time is "
                f"'{_spoken(int(now.timestamp()))}'.",
            )

    def _for_us(self, claims: Mapping[str, object]) -> None:
        audience = claims["aud"]
        if not isinstance(audience, str) or audience not in self._audiences:
            allowed = ",".join(f"'{a}'" for a in sorted(self._audiences, reverse=True))
            raise errors.Unauthenticated(
                "InvalidAuthenticationTokenAudience",
                f"The access token has been obtained for wrong audience or resource '{str(audience)[:200]}'. "
                f"It should exactly match with one of the allowed audiences {allowed}.",
            )


def _bearer(authorization: str | None) -> str:
    if authorization is None:
        raise errors.Unauthenticated("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip() or len(token) > _LONGEST:
        raise errors.Unauthenticated(
            "AuthenticationFailedInvalidHeader",
            "Authentication failed. The 'Authorization' header is provided in an invalid format.",
        )
    return token.strip()


def _invalid() -> errors.Unauthenticated:
    return errors.Unauthenticated("InvalidAuthenticationToken", "The access token is invalid.")


def _spoken(seconds: int) -> str:
    try:
        when = dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (OverflowError, ValueError, OSError):
        return str(seconds)
    return f"{when.month}/{when.day}/{when.year} {when:%I:%M:%S %p}"
