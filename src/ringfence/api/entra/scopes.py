"""What a request asks to reach: scopes of the newer endpoint, a resource of the older one."""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.api.entra import refusals

_DEFAULT = "/.default"
_LONGEST = 1024
#: Scopes of OpenID Connect, which are nobody's in particular.
_OPENID = frozenset({"openid", "profile", "email", "offline_access"})
_GRAPH = "https://graph.microsoft.com"
#: Microsoft Graph, for requests that ask for nothing but who signed in.
_NOBODY = "00000003-0000-0000-c000-000000000000"


@dataclass(frozen=True, slots=True)
class Asked:
    """audience: of the access token, as spelled. shown: the scopes as the answer repeats them."""

    audience: str
    shown: str
    openid: bool = False
    refreshable: bool = False


def of_application(scope: str) -> Asked:
    """One resource with `/.default`, of which exactly one is cut. Raises Refusal."""
    audience = scope.removesuffix(_DEFAULT)
    if audience == scope or not audience or len(scope) > _LONGEST or any(c.isspace() for c in scope):
        raise refusals.bad_scope(scope)
    return Asked(audience, scope)


def of_resource(resource: str) -> Asked:
    """The older endpoint's way; it always says who signed in. Raises Refusal."""
    if len(resource) > _LONGEST or any(c.isspace() for c in resource):
        raise refusals.bad_resource(resource)
    return Asked(resource, "user_impersonation", openid=True, refreshable=True)


def of_person(scope: str) -> Asked:
    """Scopes of one resource, and OpenID's. Raises Refusal when they are of several."""
    if len(scope) > 4 * _LONGEST:
        raise refusals.bad_scope(scope)
    words = scope.split()
    named = [word for word in words if word.lower() not in _OPENID]
    audiences = {_audience(word) for word in named}
    if len(audiences) > 1:
        raise refusals.several_resources(scope)
    audience = audiences.pop() if audiences else _NOBODY
    if not audience:
        raise refusals.bad_scope(scope)
    shown = [*named] if named else ["openid", "profile", "email"]
    if named:
        shown.insert(0, f"{audience}/user_impersonation")
    return Asked(audience, " ".join(dict.fromkeys(shown)), "openid" in words, "offline_access" in words)


def _audience(scope: str) -> str:
    if scope.endswith(_DEFAULT):
        return scope.removesuffix(_DEFAULT)
    return scope.rpartition("/")[0] if "/" in scope else _GRAPH
