"""Principals and secrets."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.control.engine_world import World

from ringfence.control import store
from ringfence.control.identities import Principal
from ringfence.model import errors

ADMIN = Principal(client_id="aaaa-BBBB".lower(), object_id="o", tenant_id="t", display_name="admin")


def test_the_right_secret_and_no_other(world: World) -> None:
    world.engine.identities.put(ADMIN, "s3cret")
    assert world.engine.identities.authenticate("AAAA-bbbb", "s3cret") == ADMIN
    for client, secret in (("aaaa-bbbb", "S3cret"), ("aaaa-bbbb", ""), ("someone", "s3cret"), ("\0", "\ud800")):
        with pytest.raises(errors.Unauthenticated):
            world.engine.identities.authenticate(client, secret)


def test_a_new_secret_ends_the_old_one(world: World) -> None:
    world.engine.identities.put(ADMIN, "one")
    world.engine.identities.put(ADMIN, "two")
    with pytest.raises(errors.Unauthenticated):
        world.engine.identities.authenticate(ADMIN.client_id, "one")
    assert world.engine.identities.get(ADMIN.client_id) == ADMIN


def test_the_secret_is_not_in_the_store(world: World) -> None:
    world.engine.identities.put(ADMIN, "s3cret")
    with world.store.read() as connection:
        row = connection.execute(sa.select(store.identities)).one()
    assert "s3cret" not in repr(tuple(row))
