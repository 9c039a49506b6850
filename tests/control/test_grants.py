"""Device codes, authorization codes and refresh tokens: used once, by whom they were given to, in time, over a restart."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from ringfence.control import store
from ringfence.control.identities import Grants, Identities
from ringfence.control.identities.grants import DEVICE_INTERVAL_S, DEVICE_LIFETIME_S, Grant
from ringfence.control.store import Store

_CLIENT = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"


class _World:
    """Time stands still until `wait`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "a.db"
        self.now = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
        self.open()
        self.person = self.identities.create("user", {"displayName": "Ada"}, "ada@x", password="p").object_id

    def open(self) -> None:
        self.store = Store(self.path)
        self.identities = Identities(self.store, lambda: secrets.token_bytes(16), lambda: self.now)
        self.grants = Grants(self.store, lambda: secrets.token_bytes(16), lambda: self.now)

    def restart(self) -> None:
        self.store.close()
        self.open()

    def wait(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[_World]:
    found = _World(tmp_path)
    yield found
    found.store.close()


def test_a_device_code_is_redeemed_once_after_a_person_said_yes(world: _World) -> None:
    device, code = world.grants.ask(_CLIENT, {"scope": "openid"})
    assert world.grants.poll(device, _CLIENT) == ("pending", None)
    assert world.grants.poll(device, _CLIENT) == ("slow", None)
    world.wait(DEVICE_INTERVAL_S)
    assert world.grants.poll(device, _CLIENT) == ("pending", None)
    world.restart()
    assert world.grants.decide(f" {code[:4]}-{code[4:].lower()} ", world.person, approved=True)
    assert not world.grants.decide(code, world.person, approved=False)
    assert world.grants.poll(device, "another-client") == ("unknown", None)
    outcome, grant = world.grants.poll(device, _CLIENT)
    assert outcome == "approved" and grant is not None and grant.user_id == world.person
    assert grant.document["scope"] == "openid"
    assert world.grants.poll(device, _CLIENT) == ("unknown", None)


def test_a_device_code_is_declined_once(world: _World) -> None:
    device, code = world.grants.ask(_CLIENT, {})
    assert world.grants.decide(code, world.person, approved=False)
    assert [world.grants.poll(device, _CLIENT)[0] for _ in range(2)] == ["declined", "unknown"]


def test_a_device_code_expires_and_is_forgotten(world: _World) -> None:
    device, code = world.grants.ask(_CLIENT, {})
    world.wait(DEVICE_LIFETIME_S)
    assert world.grants.poll(device, _CLIENT) == ("expired", None)
    assert world.grants.waiting(code) is None and not world.grants.decide(code, world.person, approved=True)
    world.wait(1)
    world.grants.ask(_CLIENT, {})
    assert world.grants.poll(device, _CLIENT) == ("unknown", None)


def test_an_authorization_code_is_redeemed_once_in_time_by_its_client(world: _World) -> None:
    codes = [world.grants.give_code(_CLIENT, world.person, {"nonce": "n"}) for _ in range(2)]
    assert world.grants.redeem_code(codes[0], "another-client") is None
    grant = world.grants.redeem_code(codes[0], _CLIENT)
    assert grant is not None and grant.document == {"nonce": "n"}
    assert world.grants.redeem_code(codes[0], _CLIENT) is None
    world.wait(600)
    assert world.grants.redeem_code(codes[1], _CLIENT) is None


def test_a_refresh_token_outlives_a_restart_and_gives_way_to_newer_ones(world: _World) -> None:
    first = world.grants.give_refresh(Grant(client_id=_CLIENT, user_id=world.person, document={}))
    world.restart()
    grant = world.grants.refreshing(first, _CLIENT)
    assert grant is not None and grant.family and world.grants.refreshing(first, "another-client") is None
    newer = [world.grants.give_refresh(grant) for _ in range(8)]
    assert world.grants.refreshing(first, _CLIENT) is None
    assert all(world.grants.refreshing(token, _CLIENT) is not None for token in newer)
    world.wait(90 * 86400)
    assert world.grants.refreshing(newer[-1], _CLIENT) is None


@pytest.mark.parametrize("how", ["password", "disabled", "deleted", "revoked"])
def test_every_grant_of_a_person_goes(world: _World, how: str) -> None:
    token = world.grants.give_refresh(Grant(client_id=_CLIENT, user_id=world.person, document={}))
    match how:
        case "password":
            world.identities.set_password(world.person, "other")
        case "disabled":
            world.identities.change(world.person, {"displayName": "Ada", "accountEnabled": False})
        case "deleted":
            world.identities.delete(world.person)
        case _:
            world.grants.revoke(world.person)
    assert world.grants.refreshing(token, _CLIENT) is None


def test_what_is_kept_can_be_redeemed_by_nobody_who_reads_it(world: _World) -> None:
    device, _ = world.grants.ask(_CLIENT, {})
    token = world.grants.give_refresh(Grant(client_id=_CLIENT, user_id=world.person, document={}))
    with world.store.read() as connection:
        rows = repr(connection.execute(sa.select(store.grants)).all())
    assert device not in rows and token not in rows
