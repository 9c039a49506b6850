"""Who gets in, as at Azure's registries: challenge, exchange, tokens, the admin user, roles, and what each may do."""

from __future__ import annotations

import datetime as dt

import jwt
import pytest
from tests.registry.registry_world import HOST, World, auth, basic, code, named

from ringfence.control.registry_passwords import account_of


def test_nobody_is_told_where_to_sign_in(world: World) -> None:
    answer = world.client.get("/v2/")
    assert code(answer) == (401, "UNAUTHORIZED")
    assert answer.headers["www-authenticate"] == f'Bearer realm="https://{HOST}/oauth2/token",service="{HOST}"'
    pull = world.client.get("/v2/team/app/manifests/v1")
    assert 'scope="repository:team/app:pull"' in pull.headers["www-authenticate"]
    assert world.client.get("/v2/", headers=auth(world.admin)).status_code == 200


def test_an_entra_token_is_exchanged_and_narrowed(world: World) -> None:
    form = {"grant_type": "access_token", "service": HOST, "access_token": "token-push-app"}
    refresh = world.client.post("/oauth2/exchange", data=form).json()["refresh_token"]
    wanted = {
        "grant_type": "refresh_token",
        "service": HOST,
        "refresh_token": refresh,
        "scope": "repository:team/app:pull,push,delete",
    }
    access = world.client.post("/oauth2/token", data=wanted).json()["access_token"]
    claims = jwt.decode(access, options={"verify_signature": False})
    assert claims["access"] == [{"type": "repository", "name": "team/app", "actions": ["pull", "push"]}]
    world.push(f"Bearer {access}")
    assert world.client.get("/v2/", headers=auth(basic("00000000-0000-0000-0000-000000000000", refresh))).status_code == 200
    other = world.client.get("/v2/other/tags/list", headers=auth(f"Bearer {access}"))
    assert code(other) == (401, "UNAUTHORIZED") and 'error="insufficient_scope"' in other.headers["www-authenticate"]
    for token in ("token-nobody-app", "token-far-app", "token-unknown"):
        assert code(world.client.post("/oauth2/exchange", data=form | {"access_token": token})) == (401, "UNAUTHORIZED")
    assert code(world.client.post("/oauth2/exchange", data=form | {"service": "other.azurecr.io"})) == (400, "BAD_REQUEST")


#: Caller -> whether it may pull, push, delete. Reader's `*/read` holds `pull/read`.
@pytest.mark.parametrize(
    ("who", "pulls", "pushes", "deletes"),
    [
        ("push-app", True, True, False),
        ("pull-app", True, False, False),
        ("delete-app", False, False, True),
        ("reader-app", True, False, False),
        ("nobody-app", False, False, False),
        ("far-app", False, False, False),
    ],
)
def test_roles_decide(world: World, who: str, pulls: bool, pushes: bool, deletes: bool) -> None:
    digest = world.push(world.admin)
    given = auth(basic(who, "secret"))
    assert (world.client.get("/v2/team/app/manifests/v1", headers=given).status_code == 200) is pulls
    assert (world.client.get("/v2/team/app/tags/list", headers=given).status_code == 200) is pulls
    assert (world.client.get("/v2/_catalog", headers=given).status_code == 200) is pulls
    assert (world.client.post("/v2/team/app/blobs/uploads/", headers=given).status_code == 202) is pushes
    assert (world.client.delete(f"/v2/team/app/manifests/{digest}", headers=given).status_code == 202) is deletes


def test_the_admin_user_is_one_only_while_it_is_enabled(world: World) -> None:
    first, second = world.passwords.get(account_of(world.registry))
    for password in (first, second):
        assert world.client.get("/v2/", headers=auth(basic("images", password))).status_code == 200
    token = world.token("repository:team/app:pull", world.admin)
    world.passwords.renew(account_of(world.registry), "password")
    assert code(world.client.get("/v2/", headers=auth(basic("images", first)))) == (401, "UNAUTHORIZED")
    assert world.client.get("/v2/", headers=auth(basic("images", second))).status_code == 200
    world.registry = named(adminUserEnabled=False)
    assert code(world.client.get("/v2/", headers=auth(basic("images", second)))) == (401, "UNAUTHORIZED")
    assert world.client.get("/v2/", headers=auth(token)).status_code == 200, "a token holds until it runs out"
    world.now += dt.timedelta(minutes=76)
    assert code(world.client.get("/v2/", headers=auth(token))) == (401, "UNAUTHORIZED")


def test_a_token_of_another_registry_does_not_hold(world: World) -> None:
    token = world.token("repository:team/app:pull", world.admin).removeprefix("Bearer ")
    claims = jwt.decode(token, options={"verify_signature": False})
    forged = jwt.encode({**claims, "aud": HOST}, "x" * 32, algorithm="HS256")
    for bad in (forged, token[:-4] + "AAAA", "no"):
        assert code(world.client.get("/v2/", headers=auth(f"Bearer {bad}"))) == (401, "UNAUTHORIZED")


def test_anybody_may_pull_where_that_is_allowed(world: World) -> None:
    world.push(world.admin)
    assert code(world.client.get("/oauth2/token", params={"service": HOST, "scope": "x"})) == (401, "UNAUTHORIZED")
    world.registry = named(anonymousPullEnabled=True)
    answer = world.client.get("/oauth2/token", params={"service": HOST, "scope": "repository:team/app:pull,push"})
    token = f"Bearer {answer.json()['access_token']}"
    assert world.client.get("/v2/team/app/manifests/v1", headers=auth(token)).status_code == 200
    assert world.client.post("/v2/team/app/blobs/uploads/", headers=auth(token)).status_code == 401
