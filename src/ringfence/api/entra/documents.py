"""What the sign-in service publishes about itself: OpenID configuration and instance discovery."""

from __future__ import annotations

from collections.abc import Mapping

from ringfence.api.entra import tokens

AUTHORITY = "https://login.microsoftonline.com"
#: Host names of the public cloud's sign-in service; all lead to the same tenant here.
ALIASES = ("login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net")
#: Microsoft's own programs that people sign in through: Azure CLI, Azure PowerShell, kubelogin, Visual Studio (Entra's
#: list of first-party applications). They can keep no secret and are in every tenant.
PUBLIC_CLIENTS = frozenset(
    {
        "04b07795-8ddb-461a-bbee-02f9e1bf7b46",
        "1950a258-227b-4e31-a9cf-717495945fc2",
        "80faf920-1908-4b52-b5ef-a8e7bedfc67a",
        "872cd9fa-d31f-45e0-9eab-6e460a02d1f1",
    }
)
#: Tenant segments that stand for "the tenant of whoever signs in"; here there is one.
ANY_TENANT = frozenset({"organizations", "common"})


def openid_configuration(tenant: str, version: str) -> Mapping[str, object]:
    """version: "v2.0", or "" for the older endpoint, whose issuer differs (OpenID Connect Discovery 1.0)."""
    base = f"{AUTHORITY}/{tenant}"
    oauth = f"{base}/oauth2/{version}".rstrip("/")
    return {
        "issuer": f"{base}/v2.0" if version else tokens.issuer(tenant),
        "authorization_endpoint": f"{oauth}/authorize",
        "token_endpoint": f"{oauth}/token",
        "device_authorization_endpoint": f"{oauth}/devicecode",
        "jwks_uri": f"{base}/discovery/{version}/keys" if version else f"{base}/discovery/keys",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "response_types_supported": ["code", "id_token", "token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": [tokens.ALGORITHM],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "tenant_region_scope": "WW",
        "cloud_instance_name": "microsoftonline.com",
        "msgraph_host": "graph.microsoft.com",
    }


def instance_discovery(tenant: str) -> Mapping[str, object]:
    """The answer that MSAL takes the authority's aliases from."""
    preferred, cache, *_ = ALIASES
    return {
        "tenant_discovery_endpoint": f"{AUTHORITY}/{tenant}/v2.0/.well-known/openid-configuration",
        "api-version": "1.1",
        "metadata": [{"preferred_network": preferred, "preferred_cache": cache, "aliases": list(ALIASES)}],
    }


def user_realm(name: str, domain: str) -> Mapping[str, object]:
    """What MSAL asks before it sends a person's password: whether this tenant knows it."""
    ours = name.rpartition("@")[2].lower() == domain
    found = {"ver": "1.0", "account_type": "Managed" if ours else "Unknown", "domain_name": name.rpartition("@")[2]}
    return {**found, "cloud_instance_name": "microsoftonline.com", "cloud_audience_urn": "urn:federation:MicrosoftOnline"}
