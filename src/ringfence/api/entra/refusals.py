"""The sign-in service's refusals: AADSTS codes, OAuth error words and their messages.

One function per refusal, each with the wording that clients match on or print.
"""

from __future__ import annotations


class Refusal(Exception):
    """What the token endpoint answers. number: the AADSTS code; word: OAuth's `error` (RFC 6749 section 5.2)."""

    def __init__(self, status: int, word: str, number: int, text: str) -> None:
        super().__init__(f"AADSTS{number}: {text}")
        self.status = status
        self.word = word
        self.number = number
        self.text = text


def missing(parameter: str) -> Refusal:
    return Refusal(400, "invalid_request", 900144, f"The request body must contain the following parameter: '{parameter}'.")


def repeated(parameter: str) -> Refusal:
    return Refusal(400, "invalid_request", 900141, f"The parameter '{parameter}' is given more than once.")


def unreadable(reason: str) -> Refusal:
    return Refusal(400, "invalid_request", 90014, f"The request body cannot be read: {reason}")


def unsupported_grant(grant: str) -> Refusal:
    return Refusal(400, "unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{_shown(grant)}'.")


def unknown_tenant(tenant: str) -> Refusal:
    text = (
        f"Tenant '{_shown(tenant)}' not found. Check to make sure you have the correct tenant ID and are signing into the "
        "correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions "
        "for the tenant."
    )
    return Refusal(400, "invalid_tenant", 90002, text)


def unknown_application(client: str, tenant: str) -> Refusal:
    text = (
        f"Application with identifier '{_shown(client)}' was not found in the directory '{tenant}'. This can happen if the "
        "application has not been installed by the administrator of the tenant or consented to by any user in the tenant. "
        "You may have sent your authentication request to the wrong tenant."
    )
    return Refusal(400, "unauthorized_client", 700016, text)


def no_secret() -> Refusal:
    text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
    return Refusal(401, "invalid_client", 7000218, text)


def wrong_secret(client: str) -> Refusal:
    text = (
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the "
        f"client secret ID, for a secret added to app '{_shown(client)}'."
    )
    return Refusal(401, "invalid_client", 7000215, text)


def bad_scope(scope: str) -> Refusal:
    text = (
        f"The provided value for the input parameter 'scope' is not valid. The scope '{_shown(scope)}' is not valid: client "
        "credential flows take one resource identifier with /.default suffixed to it."
    )
    return Refusal(400, "invalid_scope", 70011, text)


def bad_resource(resource: str) -> Refusal:
    return Refusal(400, "invalid_resource", 500011, f"The resource principal named '{_shown(resource)}' is not valid.")


def unknown_instance(endpoint: str) -> Refusal:
    return Refusal(400, "invalid_instance", 50049, f"Unknown or invalid instance. Trace: '{_shown(endpoint)}'.")


def unknown_page(path: str) -> Refusal:
    return Refusal(404, "invalid_request", 900561, f"The endpoint '{_shown(path)}' does not exist.")


def _shown(value: str) -> str:
    printable = "".join(c if c.isprintable() else "?" for c in value)
    return printable if len(printable) <= 120 else printable[:120] + "…"
