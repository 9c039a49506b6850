"""The sign-in service's refusals: AADSTS codes, OAuth error words and their messages.

One function per refusal, each with the wording that clients match on or print.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping


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


def several_resources(scope: str) -> Refusal:
    text = (
        f"Provided value for the input parameter scope is not valid because it contains more than one resource. {_shown(scope)}"
    )
    return Refusal(400, "invalid_request", 28000, text)


def expired_secret(client: str) -> Refusal:
    text = (
        f"The provided client secret keys for app '{_shown(client)}' are expired. Visit the Azure portal to create new keys for "
        "your app, or run `az ad app credential reset`."
    )
    return Refusal(401, "invalid_client", 7000222, text)


def bad_assertion(reason: str) -> Refusal:
    return Refusal(401, "invalid_client", 700027, f"The client assertion is not valid: {reason}")


def unknown_certificate(client: str) -> Refusal:
    text = (
        f"The certificate with identifier used to sign the client assertion is not registered on application '{_shown(client)}'. "
        "Upload it with `az ad app credential reset --cert`."
    )
    return Refusal(401, "invalid_client", 700027, text)


def disabled_application(client: str) -> Refusal:
    return Refusal(400, "unauthorized_client", 7000112, f"Application '{_shown(client)}' is disabled.")


def unknown_person(tenant: str) -> Refusal:
    text = f"The user account does not exist in the {tenant} directory. It must be added there to sign in."
    return Refusal(400, "invalid_grant", 50034, text)


def wrong_password() -> Refusal:
    return Refusal(400, "invalid_grant", 50126, "Error validating credentials due to invalid username or password.")


def locked() -> Refusal:
    text = "The account is locked, you've tried to sign in too many times with an incorrect user ID or password. Wait a minute."
    return Refusal(400, "invalid_grant", 50053, text)


def disabled_person() -> Refusal:
    return Refusal(400, "invalid_grant", 50057, "The user account is disabled.")


def new_password_needed() -> Refusal:
    text = "The password is expired: it has to be changed at the next sign-in. Have an administrator set another one."
    return Refusal(400, "invalid_grant", 50055, text)


def revoked() -> Refusal:
    text = (
        "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or "
        "reset their password, or signed out."
    )
    return Refusal(400, "invalid_grant", 50173, text)


def bad_response_type(asked: str) -> Refusal:
    text = f"'{_shown(asked)}' is not supported here: response_type is code, response_mode is query, fragment or form_post."
    return Refusal(400, "unsupported_response_type", 700054, text)


def unknown_user_code() -> Refusal:
    text = "That code didn't work: it is not the code of a sign-in that waits. Check it, or have your program show a new one."
    return Refusal(400, "invalid_request", 70018, text)


def bad_code() -> Refusal:
    text = "OAuth2 Authorization code was already redeemed, is expired or was never given. Sign in again for a new one."
    return Refusal(400, "invalid_grant", 54005, text)


def bad_verifier() -> Refusal:
    text = "The Code_Verifier does not match the code_challenge supplied in the authorization request."
    return Refusal(400, "invalid_grant", 501481, text)


def other_redirect(address: str) -> Refusal:
    text = (
        f"The redirect URI '{_shown(address)}' specified in the request does not match the redirect URIs configured for the "
        "application. Make sure the redirect URI sent in the request matches one added to the application."
    )
    return Refusal(400, "invalid_request", 50011, text)


def pending() -> Refusal:
    text = "OAuth 2.0 device flow error. Authorization is pending. Continue polling."
    return Refusal(400, "authorization_pending", 70016, text)


def slow_down() -> Refusal:
    return Refusal(400, "slow_down", 90055, "There are too many incoming requests. Poll less often, and continue.")


def declined() -> Refusal:
    return Refusal(400, "authorization_declined", 65004, "User declined to consent to access the app.")


def expired_device_code() -> Refusal:
    text = "The provided value for the input parameter 'device_code' is not valid. This device code has expired."
    return Refusal(400, "expired_token", 70020, text)


def bad_device_code() -> Refusal:
    text = "The provided value for the input parameter 'device_code' is not valid: it was never given, or is redeemed already."
    return Refusal(400, "bad_verification_code", 70018, text)


#: By what became of a device's request.
DEVICE: Mapping[str, Callable[[], Refusal]] = {
    "pending": pending,
    "slow": slow_down,
    "declined": declined,
    "expired": expired_device_code,
    "unknown": bad_device_code,
}


def unknown_instance(endpoint: str) -> Refusal:
    return Refusal(400, "invalid_instance", 50049, f"Unknown or invalid instance. Trace: '{_shown(endpoint)}'.")


def only_post(method: str) -> Refusal:
    return Refusal(400, "invalid_request", 900561, f"The endpoint only accepts POST requests. Received a {method} request.")


def unknown_page(path: str) -> Refusal:
    return Refusal(404, "invalid_request", 900561, f"The endpoint '{_shown(path)}' does not exist.")


def _shown(value: str) -> str:
    printable = "".join(c if c.isprintable() else "?" for c in value)
    return printable if len(printable) <= 120 else printable[:120] + "…"
