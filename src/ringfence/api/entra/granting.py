"""The token endpoint's grants: for applications their secret; for people a device code, an authorization code, a password, a
refresh token.

Who exists and whether a secret is right is asked of `control.identities`; each refusal is
in `refusals`. Everything here may block (passwords are slow on purpose).
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ringfence.api.entra import assertions, documents, forms, refusals, scopes, tokens
from ringfence.api.entra.attempts import Attempts
from ringfence.control.identities import Identities, Principal
from ringfence.control.identities.grants import DEVICE_INTERVAL_S, DEVICE_LIFETIME_S, Grant
from ringfence.control.identities.secrets import Expired
from ringfence.model import errors
from ringfence.model.directory import Object

Form = Mapping[str, str]
Answer = dict[str, object]


@dataclass(frozen=True, slots=True)
class Request:
    """A form as it came. version: of the endpoint, 1 or 2. header: Authorization."""

    form: Form
    version: int
    header: str | None = None


class Granting:
    """For one tenant."""

    def __init__(
        self, tenant: str, identities: Identities, signer: tokens.Signer, attempts: Attempts, clock: Callable[[], dt.datetime]
    ) -> None:
        self._tenant = tenant
        self._identities = identities
        self._grants = identities.grants
        self._signer = signer
        self._attempts = attempts
        self._clock = clock
        self._by_type: Mapping[str, Callable[[Request], Answer]] = {
            "client_credentials": self._application,
            "password": self._password,
            "refresh_token": self._refresh,
            "authorization_code": self._code,
            "urn:ietf:params:oauth:grant-type:device_code": self._device,
            "device_code": self._device,
        }

    def answer(self, request: Request) -> Answer:
        """Raises Refusal."""
        grant = forms.wanted(request.form, "grant_type")
        if grant not in self._by_type:
            raise refusals.unsupported_grant(grant)
        return self._by_type[grant](request)

    def device(self, request: Request) -> Answer:
        """The answer of the device authorization endpoint (RFC 8628 section 3.2). Raises Refusal."""
        client = self._known_client(forms.wanted(request.form, "client_id"))
        asked = self._asked(request)
        device, code = self._grants.ask(client, {"scope": self._scope(request), "audience": asked.audience})
        page = "https://microsoft.com/devicelogin"
        message = f"To sign in, use a web browser to open the page {page} and enter the code {code} to authenticate."
        where = {"verification_url": page} if request.version == 1 else {"verification_uri": page}
        times = {"expires_in": DEVICE_LIFETIME_S, "interval": DEVICE_INTERVAL_S}
        return {"user_code": code, "device_code": device, **where, **times, "message": message}

    def person(self, name: str, password: str) -> Object:
        """Who this is. Raises Refusal: unknown, wrong, locked, disabled, or in need of a new password."""
        wait = self._attempts.wait_s(name)
        if wait:
            raise refusals.locked()
        if self._identities.directory().named("user", name) is None:
            self._attempts.failed(name)
            raise refusals.unknown_person(self._tenant)
        try:
            found = self._identities.sign_in(name, password)
        except errors.Unauthenticated as error:
            self._attempts.failed(name)
            raise refusals.wrong_password() from error
        self._attempts.succeeded(name)
        return self._able(found, fresh=True)

    def give_code(self, person: Object, form: Form) -> str:
        """An authorization code for a page's request."""
        kept = ("scope", "redirect_uri", "code_challenge", "code_challenge_method", "nonce")
        return self._grants.give_code(form["client_id"], person.object_id, {name: form[name] for name in kept if form.get(name)})

    def _application(self, request: Request) -> Answer:
        form = request.form
        if request.version == 1:
            asked = scopes.of_resource(forms.wanted(form, "resource"))
        else:
            asked = scopes.of_application(forms.wanted(form, "scope"))
        principal = self._proved(request)
        token = self._signer.issue(tokens.Subject(principal.client_id, principal.object_id), asked.audience)
        return {**self._lifetime(request, asked.audience), "access_token": token}

    def _proved(self, request: Request) -> Principal:
        """The application that has proved itself: with a secret, a certificate, or as a host of ours. Raises Refusal."""
        assertion = request.form.get("client_assertion", "")
        if assertion and request.form.get("client_assertion_type") == assertions.KIND:
            client_id, secret = request.form.get("client_id") or assertions.client_of(assertion), ""
        else:
            assertion = ""
            client_id, secret = forms.client_credentials(request.header, request.form)
        if not assertion and not secret:
            raise refusals.no_secret()
        known = self._identities.get(client_id)
        if known is None:
            raise refusals.unknown_application(client_id, self._tenant)
        if assertion and not self._signer.asserted(assertion, client_id):
            assertions.check(self._identities.directory(), client_id, assertion, self._tenant, self._clock())
        elif not assertion:
            self._check_secret(client_id, secret)
        if not self._identities.need(known.object_id).enabled:
            raise refusals.disabled_application(client_id)
        return known

    def _check_secret(self, client_id: str, secret: str) -> None:
        try:
            self._identities.authenticate(client_id, secret)
        except Expired as error:
            raise refusals.expired_secret(client_id) from error
        except errors.Unauthenticated as error:
            raise refusals.wrong_secret(client_id) from error

    def _password(self, request: Request) -> Answer:
        client, asked = self._client(request), self._asked(request)
        person = self.person(forms.wanted(request.form, "username"), forms.wanted(request.form, "password"))
        grant = Grant(client_id=client, user_id=person.object_id, document={"scope": self._scope(request)})
        return self._granted(request, grant, asked)

    def _device(self, request: Request) -> Answer:
        client = self._client(request)
        code = request.form.get("device_code") or forms.wanted(request.form, "code")
        outcome, grant = self._grants.poll(code, client)
        if grant is None:
            raise refusals.DEVICE[outcome]()
        asked = request if request.form.get("scope") or request.form.get("resource") else self._again(request, grant)
        return self._granted(request, grant, self._asked(asked))

    def _code(self, request: Request) -> Answer:
        form, client = request.form, self._client(request)
        grant = self._grants.redeem_code(forms.wanted(form, "code"), client)
        if grant is None:
            raise refusals.bad_code()
        if form.get("redirect_uri", "") != grant.document.get("redirect_uri", ""):
            raise refusals.other_redirect(form.get("redirect_uri", ""))
        challenge, method = grant.document.get("code_challenge"), grant.document.get("code_challenge_method")
        if challenge is not None and not _proves(form.get("code_verifier", ""), str(challenge), str(method or "plain")):
            raise refusals.bad_verifier()
        return self._granted(request, grant, self._asked(self._again(request, grant)), str(grant.document.get("nonce") or ""))

    def _refresh(self, request: Request) -> Answer:
        client = self._client(request)
        grant = self._grants.refreshing(forms.wanted(request.form, "refresh_token"), client)
        if grant is None:
            raise refusals.revoked()
        asked = request if request.form.get("scope") or request.form.get("resource") else self._again(request, grant)
        return self._granted(request, grant, self._asked(asked))

    def _again(self, request: Request, grant: Grant) -> Request:
        """The request with what was asked for at its beginning."""
        name = "resource" if request.version == 1 else "scope"
        return Request({**request.form, name: str(grant.document.get("scope") or "openid offline_access")}, request.version)

    def _granted(self, request: Request, grant: Grant, asked: scopes.Asked, nonce: str = "") -> Answer:
        """What a person's sign-in gives an application."""
        directory = self._identities.directory()
        found = directory.get(grant.user_id)
        if found is None:
            raise refusals.unknown_person(self._tenant)
        person = tokens.Person(
            object_id=self._able(found).object_id,
            name=str(found.document.get("userPrincipalName") or found.name),
            display_name=found.display_name,
            client_id=grant.client_id,
            groups=directory.groups_of(found.object_id),
            roles=directory.roles.get(found.object_id, frozenset()),
        )
        answer = {**self._lifetime(request, asked.audience), "scope": asked.shown}
        answer["access_token"] = self._signer.issue_for(person, asked.audience, "user_impersonation")
        if asked.refreshable:
            answer["refresh_token"] = self._grants.give_refresh(grant)
        if asked.openid:
            answer["id_token"] = self._signer.id_token(person, nonce)
        if request.form.get("client_info") == "1":
            about = json.dumps({"uid": person.object_id, "utid": self._tenant}).encode()
            answer["client_info"] = base64.urlsafe_b64encode(about).rstrip(b"=").decode()
        return answer

    def _able(self, person: Object, *, fresh: bool = False) -> Object:
        if not person.enabled:
            raise refusals.disabled_person()
        profile = person.document.get("passwordProfile")
        if fresh and isinstance(profile, Mapping) and profile.get("forceChangePasswordNextSignIn") is True:
            raise refusals.new_password_needed()
        return person

    def _client(self, request: Request) -> str:
        """The application that a person signs in through: a public one, or one that has proved itself. Raises Refusal."""
        client_id, _ = forms.client_credentials(request.header, request.form)
        client = self._known_client(client_id)
        application = self._identities.directory().named("application", client)
        if application is not None and not _public(application):
            return self._proved(request).client_id
        return client

    def _known_client(self, client_id: str) -> str:
        client = client_id.lower()
        if client not in documents.PUBLIC_CLIENTS and self._identities.get(client) is None:
            raise refusals.unknown_application(client_id, self._tenant)
        return client

    def _scope(self, request: Request) -> str:
        return request.form.get("resource" if request.version == 1 else "scope", "")

    def _asked(self, request: Request) -> scopes.Asked:
        if request.version == 1:
            return scopes.of_resource(forms.wanted(request.form, "resource"))
        return scopes.of_person(forms.wanted(request.form, "scope"))

    def _lifetime(self, request: Request, audience: str) -> Answer:
        answer: Answer = {"token_type": "Bearer", "expires_in": tokens.LIFETIME_S, "ext_expires_in": tokens.LIFETIME_S}
        if request.version == 1:
            now = int(self._clock().timestamp())
            answer |= {"expires_on": str(now + tokens.LIFETIME_S), "not_before": str(now), "resource": audience}
        return answer


def _public(application: Object) -> bool:
    """Whether an application can keep no secret (OAuth 2.0 section 2.1): a program on a person's machine."""
    return application.document.get("isFallbackPublicClient") is True


def _proves(verifier: str, challenge: str, method: str) -> bool:
    """RFC 7636 section 4.6."""
    digest = hashlib.sha256(verifier.encode("utf-8", "surrogatepass")).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() if method == "S256" else verifier
    return bool(verifier) and hmac.compare_digest(made.encode("utf-8", "surrogatepass"), challenge.encode())
