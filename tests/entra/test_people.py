"""People sign in: every grant, every refusal with its AADSTS number, and the pages that a browser shows."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import JsonValue
from starlette.types import ASGIApp

from ringfence.api.entra import app, tokens, verify
from ringfence.api.local import approvals
from ringfence.control.identities import Identities
from ringfence.control.store import Store
from ringfence.model import errors

TENANT = "11111111-2222-3333-4444-555555555555"
AZ = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
ADA, PASSWORD = "ada@ringfence.onmicrosoft.com", "Right-1-password"
ARM = "https://management.core.windows.net/"
SCOPE = f"{ARM}/.default offline_access openid profile"
TOKEN = f"/{TENANT}/oauth2/v2.0/token"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class World:
    """The sign-in service with one person; time stands still until `wait`."""

    def __init__(self, store: Store, key: rsa.RSAPrivateKey, asking: Callable[[ASGIApp, str], httpx.Client]) -> None:
        self.now = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
        self.identities = Identities(store, lambda: secrets.token_bytes(16), lambda: self.now)
        self.signer = tokens.Signer(key, TENANT, lambda: self.now, lambda: "trace-id")
        served = app.build(TENANT, self.identities, self.signer, lambda: self.now, lambda: "trace-id")
        self.client = asking(served.app(), "https://login.microsoftonline.com")
        self.browser = asking(served.device_page(), "https://microsoft.com")
        document: dict[str, JsonValue] = {"displayName": "Ada", "userPrincipalName": ADA, "accountEnabled": True}
        self.ada = self.identities.create("user", document, ADA, password=PASSWORD).object_id
        self.verifier = verify.Verifier(
            key.public_key(), TENANT, lambda: self.now, frozenset({ARM}), standing=self.identities.standing
        )

    def wait(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)

    def ask(self, **form: str) -> httpx.Response:
        return self.client.post(TOKEN, data={"client_id": AZ, **form})

    def device(self, **form: str) -> dict[str, Any]:
        answer = self.client.post(f"/{TENANT}/oauth2/v2.0/devicecode", data={"client_id": AZ, "scope": SCOPE, **form})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def poll(self, asked: Mapping[str, Any]) -> httpx.Response:
        return self.ask(grant_type=DEVICE_GRANT, device_code=asked["device_code"], client_info="1")

    def signed_in(self, **more: str) -> dict[str, Any]:
        answer = self.ask(grant_type="password", username=ADA, password=PASSWORD, scope=SCOPE, **more)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def world(
    tmp_path_factory: pytest.TempPathFactory, key: rsa.RSAPrivateKey, asking: Callable[[ASGIApp, str], httpx.Client]
) -> Iterator[World]:
    store = Store(tmp_path_factory.mktemp("people") / "a.db")
    yield World(store, key, asking)
    store.close()


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def refused(answer: httpx.Response, word: str, number: int) -> None:
    assert (answer.status_code, answer.json()["error"], answer.json()["error_codes"]) == (400, word, [number]), answer.text


def form(page: httpx.Response) -> str:
    """The hidden field of a page."""
    found = re.search(r'name="proof" value="(\w+)"', page.text)
    assert found is not None, page.text
    return found[1]


def test_a_device_signs_in_once_a_person_has_entered_its_code(world: World) -> None:
    asked = world.device()
    assert asked["verification_uri"] == "https://microsoft.com/devicelogin" and asked["user_code"] in asked["message"]
    refused(world.poll(asked), "authorization_pending", 70016)
    refused(world.poll(asked), "slow_down", 90055)
    proof = form(world.browser.get("/devicelogin"))
    entered = {"proof": proof, "code": asked["user_code"].lower(), "user": ADA, "password": PASSWORD, "decision": "approve"}
    done = world.browser.post("/devicelogin", data=entered)
    assert done.status_code == 200 and 'role="status"' in done.text
    world.wait(asked["interval"])
    answer = world.poll(asked).json()
    assert answer["scope"].split() == [f"{ARM}/user_impersonation", f"{ARM}/.default"] and answer["refresh_token"]
    found = claims(answer["access_token"])
    assert found["aud"] == ARM and found["oid"] == world.ada and found["upn"] == ADA and found["idtyp"] == "user"
    assert found["scp"] == "user_impersonation" and found["appid"] == AZ and found["tid"] == TENANT
    identity = claims(answer["id_token"])
    assert identity["aud"] == AZ and identity["preferred_username"] == ADA and identity["tid"] == TENANT
    padded = answer["client_info"] + "=" * (-len(answer["client_info"]) % 4)
    assert base64.urlsafe_b64decode(padded) == f'{{"uid": "{world.ada}", "utid": "{TENANT}"}}'.encode()
    refused(world.poll(asked), "bad_verification_code", 70018)


def test_a_device_is_told_when_nobody_came_or_somebody_said_no(world: World) -> None:
    late, declined = world.device(), world.device()
    proof = form(world.browser.get(f"/devicelogin?otc={declined['user_code']}"))
    entered = {"proof": proof, "code": declined["user_code"], "user": ADA, "password": PASSWORD, "decision": "decline"}
    assert "declined" in world.browser.post("/devicelogin", data=entered).text
    refused(world.poll(declined), "authorization_declined", 65004)
    world.wait(late["expires_in"])
    refused(world.poll(late), "expired_token", 70020)


def test_the_operator_answers_without_a_browser(world: World) -> None:
    one, other = world.device(), world.device()
    found = approvals.decide(world.identities, one["user_code"], "ada", approved=True)
    assert found == {"user": ADA, "objectId": world.ada, "application": AZ, "approved": True}
    assert claims(world.poll(one).json()["access_token"])["oid"] == world.ada
    with pytest.raises(errors.NotFound, match="There are: ada@"):
        approvals.decide(world.identities, other["user_code"], "bob", approved=True)
    with pytest.raises(errors.NotFound, match="No sign-in waits"):
        approvals.decide(world.identities, one["user_code"], ADA, approved=True)
    approvals.decide(world.identities, other["user_code"], ADA, approved=False)
    refused(world.poll(other), "authorization_declined", 65004)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"proof": "0" * 64}, "out of date"),
        ({"password": "wrong"}, "AADSTS50126"),
        ({"user": "nobody@ringfence.onmicrosoft.com"}, "AADSTS50034"),
        ({"code": "AAAAAAAAA"}, "AADSTS70018"),
    ],
)
def test_the_page_refuses_and_nothing_is_approved(world: World, changes: dict[str, str], said: str) -> None:
    asked = world.device()
    proof = form(world.browser.get("/devicelogin"))
    entered = {"proof": proof, "code": asked["user_code"], "user": ADA, "password": PASSWORD, "decision": "approve"} | changes
    page = world.browser.post("/devicelogin", data=entered)
    assert page.status_code == 400 and said in page.text and PASSWORD not in page.text
    refused(world.poll(asked), "authorization_pending", 70016)


def test_the_page_is_taken_only_from_the_browser_it_was_shown_to(world: World) -> None:
    asked = world.device()
    proof = form(world.browser.get("/devicelogin"))
    world.browser.cookies.clear()
    entered = {"proof": proof, "code": asked["user_code"], "user": ADA, "password": PASSWORD, "decision": "approve"}
    assert world.browser.post("/devicelogin", data=entered).status_code == 400
    refused(world.poll(asked), "authorization_pending", 70016)


def test_the_page_shows_what_was_typed_as_text(world: World) -> None:
    page = world.browser.get("/devicelogin", params={"otc": '"><script>'})
    assert "<script>" not in page.text and "default-src 'none'" in page.headers["content-security-policy"]
    assert world.client.get("/common/oauth2/deviceauth").status_code == 200
    assert world.browser.post("/token").status_code == 404


def test_who_guesses_is_made_to_wait(world: World) -> None:
    def attempt(password: str) -> httpx.Response:
        return world.ask(grant_type="password", username=ADA.upper(), password=password, scope=SCOPE)

    for _ in range(10):
        refused(attempt("wrong"), "invalid_grant", 50126)
    refused(attempt(PASSWORD), "invalid_grant", 50053)
    world.wait(61)
    assert attempt(PASSWORD).status_code == 200


def test_a_password_signs_in_and_its_realm_is_known(world: World) -> None:
    realm = world.client.get(f"/common/userrealm/{ADA}?api-version=1.0").json()
    assert realm["account_type"] == "Managed" and realm["cloud_audience_urn"] == "urn:federation:MicrosoftOnline"
    assert world.client.get("/common/userrealm/a@b.example?api-version=1.0").json()["account_type"] == "Unknown"
    group = world.identities.create("group", {"displayName": "g"}).object_id
    world.identities.link("member", group, world.ada)
    assert claims(world.signed_in()["access_token"])["groups"] == [group]
    older = {"grant_type": "password", "client_id": AZ, "username": ADA, "password": PASSWORD, "resource": ARM}
    answer = world.client.post(f"/{TENANT}/oauth2/token", data=older).json()
    assert claims(answer["access_token"])["aud"] == answer["resource"] == ARM and answer["id_token"] and answer["expires_on"]


@pytest.mark.parametrize(
    ("changes", "word", "number"),
    [
        ({"username": "nobody@ringfence.onmicrosoft.com"}, "invalid_grant", 50034),
        ({"password": "right-1-password"}, "invalid_grant", 50126),
        ({"password": ""}, "invalid_request", 900144),
        ({"client_id": "11111111-0000-0000-0000-000000000000"}, "unauthorized_client", 700016),
        ({"scope": ""}, "invalid_request", 900144),
        ({"scope": f"{ARM}/.default https://graph.microsoft.com/.default"}, "invalid_request", 28000),
        ({"scope": "a" * 5000}, "invalid_scope", 70011),
    ],
)
def test_a_password_is_refused(world: World, changes: dict[str, str], word: str, number: int) -> None:
    asked = {"grant_type": "password", "client_id": AZ, "username": ADA, "password": PASSWORD, "scope": SCOPE}
    refused(world.client.post(TOKEN, data=asked | changes), word, number)


@pytest.mark.parametrize(
    ("changed", "number"),
    [({"accountEnabled": False}, 50057), ({"passwordProfile": {"forceChangePasswordNextSignIn": True}}, 50055)],
)
def test_a_person_who_may_not_sign_in_does_not(world: World, changed: dict[str, Any], number: int) -> None:
    world.identities.change(world.ada, {**world.identities.need(world.ada).document, **changed})
    refused(world.ask(grant_type="password", username=ADA, password=PASSWORD, scope=SCOPE), "invalid_grant", number)


def test_a_refresh_token_is_replaced_and_goes_with_the_password(world: World) -> None:
    first = world.signed_in()["refresh_token"]
    answer = world.ask(
        grant_type="refresh_token", refresh_token=first, scope="https://graph.microsoft.com/.default offline_access"
    )
    second = answer.json()["refresh_token"]
    assert claims(answer.json()["access_token"])["aud"] == "https://graph.microsoft.com" and second != first
    again = world.ask(grant_type="refresh_token", refresh_token=second)
    assert claims(again.json()["access_token"])["aud"] == ARM, "without a scope it is the first one's"
    other = {"grant_type": "refresh_token", "refresh_token": second, "client_id": "1950a258-227b-4e31-a9cf-717495945fc2"}
    refused(world.client.post(TOKEN, data={**other, "scope": SCOPE}), "invalid_grant", 50173)
    world.identities.set_password(world.ada, "Other-2-password")
    refused(world.ask(grant_type="refresh_token", refresh_token=second), "invalid_grant", 50173)


def test_a_token_speaks_for_who_is_there_and_in_the_groups_of_now(world: World) -> None:
    header = f"Bearer {world.signed_in()['access_token']}"
    group = world.identities.create("group", {"displayName": "g"}).object_id
    world.identities.link("member", group, world.ada)
    caller = world.verifier.verify(header)
    assert (caller.object_id, caller.name, caller.groups) == (world.ada, ADA, frozenset({group}))
    world.wait(5)
    world.identities.set_password(world.ada, PASSWORD)
    with pytest.raises(errors.Unauthenticated, match="signed out since"):
        world.verifier.verify(header)
    header = f"Bearer {world.signed_in()['access_token']}"
    assert world.verifier.verify(header).object_id == world.ada
    world.identities.delete(world.ada)
    with pytest.raises(errors.Unauthenticated, match="does not exist in the tenant"):
        world.verifier.verify(header)


def _authorize(world: World, **changes: str) -> httpx.Response:
    """The redirect or the page that a browser gets after the form."""
    asked = {"client_id": AZ, "response_type": "code", "redirect_uri": "http://localhost:8400", "scope": SCOPE, "state": "s&t"}
    url = httpx.URL(f"/{TENANT}/oauth2/v2.0/authorize", params={**asked, **changes})
    page = world.client.get(url)
    if page.status_code != 200:
        return page
    return world.client.post(url, data={"proof": form(page), "user": ADA, "password": PASSWORD})


def test_an_authorization_code_is_proved_with_its_verifier(world: World) -> None:
    verifier = "v" * 43
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    proof = {"code_challenge": challenge, "code_challenge_method": "S256", "nonce": "n-1"}

    def redeemed(verifier: str, redirect: str = "http://localhost:8400") -> httpx.Response:
        there = _authorize(world, **proof)
        assert there.status_code == 302
        found = parse_qs(urlsplit(there.headers["location"]).query)
        assert found["state"] == ["s&t"]
        code = {"grant_type": "authorization_code", "code": found["code"][0], "redirect_uri": redirect}
        first = world.ask(**code, code_verifier=verifier)
        refused(world.ask(**code, code_verifier=verifier), "invalid_grant", 54005)
        return first

    answer = redeemed(verifier).json()
    assert claims(answer["access_token"])["oid"] == world.ada and claims(answer["id_token"])["nonce"] == "n-1"
    refused(redeemed("w" * 43), "invalid_grant", 501481)
    refused(redeemed(""), "invalid_grant", 501481)
    refused(redeemed(verifier, "http://localhost:1"), "invalid_request", 50011)


def test_a_code_is_handed_over_as_asked_and_only_to_the_application(world: World) -> None:
    assert "#code=" in _authorize(world, response_mode="fragment").headers["location"]
    posted = _authorize(world, response_mode="form_post")
    assert 'action="http://localhost:8400"' in posted.text and 'name="code"' in posted.text and "s&amp;t" in posted.text
    for changes, number in (
        ({"redirect_uri": "https://evil.example/"}, "AADSTS50011"),
        ({"redirect_uri": "http://localhost.evil.example/"}, "AADSTS50011"),
        ({"response_type": "token"}, "AADSTS700054"),
        ({"client_id": "nobody"}, "AADSTS50011"),
    ):
        page = _authorize(world, **changes)
        assert page.status_code == 400 and number in page.text and "location" not in page.headers


def test_an_application_of_the_tenant_proves_itself_unless_it_is_public(world: World) -> None:
    client = world.identities.new_id()
    own = world.identities.create("application", {"displayName": "own"}, client).object_id
    world.identities.create("servicePrincipal", {"displayName": "own"}, client)
    _, secret = world.identities.add_secret(own)
    asked = {"grant_type": "password", "client_id": client, "username": ADA, "password": PASSWORD, "scope": SCOPE}
    missing = world.client.post(TOKEN, data=asked)
    assert missing.status_code == 401 and missing.json()["error_codes"] == [7000218]
    assert claims(world.client.post(TOKEN, data={**asked, "client_secret": secret}).json()["access_token"])["appid"] == client
    world.identities.change(own, {"displayName": "own", "isFallbackPublicClient": True})
    assert world.client.post(TOKEN, data=asked).status_code == 200


def test_an_application_with_an_expired_secret_or_switched_off_gets_nothing(world: World) -> None:
    client = world.identities.new_id()
    own = world.identities.create("application", {"displayName": "own"}, client).object_id
    service = world.identities.create("servicePrincipal", {"displayName": "own"}, client).object_id
    _, secret = world.identities.add_secret(own, None, world.now, world.now + dt.timedelta(hours=1))
    asked = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret, "scope": f"{ARM}/.default"}
    assert world.client.post(TOKEN, data=asked).status_code == 200
    world.identities.change(service, {"displayName": "own", "accountEnabled": False})
    refused(world.client.post(TOKEN, data=asked), "unauthorized_client", 7000112)
    world.wait(3600)
    answer = world.client.post(TOKEN, data=asked)
    assert answer.status_code == 401 and answer.json()["error_codes"] == [7000222]
