"""The directory in the store: secrets, passwords, groups, the first administrator, and that nothing can be read back."""

from __future__ import annotations

import datetime as dt
import os
import signal
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import JsonValue
from sqlalchemy import event
from tests.control.engine_world import World

from ringfence.control import store
from ringfence.control.identities import Identities, Principal, administrator
from ringfence.control.identities.grants import Grant
from ringfence.control.identities.secrets import Expired
from ringfence.model import errors

ADMIN = Principal(client_id="aaaa-bbbb", object_id="o", display_name="admin")
NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


@pytest.fixture
def identities(world: World) -> Identities:
    return world.engine.identities


def _application(identities: Identities) -> tuple[str, str]:
    """The client id and the object id of a new application with a service principal."""
    client = identities.new_id()
    application = identities.create("application", {"displayName": "app"}, client)
    identities.create("servicePrincipal", {"displayName": "app"}, client)
    return client, application.object_id


def _person(identities: Identities, name: str = "ada@ringfence.onmicrosoft.com", password: str = "Right-1-password") -> str:
    document: dict[str, JsonValue] = {"displayName": "Ada", "accountEnabled": True}
    return identities.create("user", document, name, password=password).object_id


def test_the_first_administrator_has_the_secret_of_the_state_folder(identities: Identities) -> None:
    administrator.ensure(identities, ADMIN, "s3cret", NOW)
    administrator.ensure(identities, ADMIN, "s3cret", NOW)
    assert identities.authenticate("AAAA-bbbb", "s3cret") == ADMIN == identities.get("AAAA-BBBB")
    person = identities.sign_in(administrator.PERSON, "s3cret")
    assert {o for o in identities.directory().objects if identities.directory().administers(o)} == {"o", person.object_id}
    for client, secret in (("aaaa-bbbb", "S3cret"), ("aaaa-bbbb", ""), ("someone", "s3cret"), ("\0", "\ud800")):
        with pytest.raises(errors.Unauthenticated):
            identities.authenticate(client, secret)


def test_an_administrator_who_was_removed_is_back_at_the_next_start(identities: Identities) -> None:
    administrator.ensure(identities, ADMIN, "s3cret", NOW)
    for object_id in list(identities.directory().objects):
        if identities.directory().get(object_id) is not None:
            identities.delete(object_id)
    assert identities.get(ADMIN.client_id) is None
    other = _person(identities, administrator.PERSON)
    administrator.ensure(identities, ADMIN, "s3cret", NOW)
    assert identities.authenticate(ADMIN.client_id, "s3cret") == ADMIN and identities.directory().administers("o")
    assert not identities.directory().administers(other), "the name alone gives no right"


def test_a_new_secret_in_the_state_folder_ends_the_old_one(identities: Identities) -> None:
    administrator.ensure(identities, ADMIN, "one", NOW)
    administrator.ensure(identities, ADMIN, "two", NOW)
    with pytest.raises(errors.Unauthenticated):
        identities.authenticate(ADMIN.client_id, "one")
    assert identities.authenticate(ADMIN.client_id, "two") == ADMIN


def test_an_application_has_several_secrets_and_each_can_go(identities: Identities) -> None:
    client, application = _application(identities)
    (first, one), (second, two) = identities.add_secret(application, "first"), identities.add_secret(application)
    assert one != two and (first.label, first.hint) == ("first", one[:3])
    assert {c.key_id for c in identities.need(application).credentials} == {first.key_id, second.key_id}
    assert identities.authenticate(client, one) == identities.authenticate(client, two)
    assert identities.remove_secret(application, first.key_id) and not identities.remove_secret(application, first.key_id)
    with pytest.raises(errors.Unauthenticated):
        identities.authenticate(client, one)
    assert identities.authenticate(client, two).client_id == client


@pytest.mark.parametrize(("starts", "ends", "holds"), [(-1, 1, True), (-2, -1, False), (1, 2, False)])
def test_a_secret_holds_from_its_beginning_to_its_end(identities: Identities, starts: int, ends: int, holds: bool) -> None:
    client, application = _application(identities)
    now, hour = dt.datetime.now(dt.UTC), dt.timedelta(hours=1)  # noqa: TID251 - a test's clock is the real one
    _, text = identities.add_secret(application, None, now + starts * hour, now + ends * hour)
    if holds:
        assert identities.authenticate(client, text).client_id == client
    else:
        with pytest.raises(Expired):
            identities.authenticate(client, text)


def test_a_person_signs_in_with_a_password_and_a_new_one_ends_the_old(identities: Identities) -> None:
    person = _person(identities)
    assert identities.sign_in("ADA@ringfence.onmicrosoft.com", "Right-1-password").object_id == person
    for name, password in (("ada@ringfence.onmicrosoft.com", "right-1-password"), ("nobody@ringfence.onmicrosoft.com", "x")):
        with pytest.raises(errors.Unauthenticated):
            identities.sign_in(name, password)
    identities.set_password(person, "Other-2-password")
    with pytest.raises(errors.Unauthenticated):
        identities.sign_in("ada@ringfence.onmicrosoft.com", "Right-1-password")
    assert identities.sign_in("ada@ringfence.onmicrosoft.com", "Other-2-password").object_id == person
    earlier = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=2)  # noqa: TID251 - a test's clock is the real one
    assert (
        identities.standing(person, earlier) is None
        and identities.standing(person, earlier + dt.timedelta(seconds=9)) is not None
    )


def test_no_secret_and_no_password_can_be_read_in_the_file(world: World, identities: Identities) -> None:
    _, application = _application(identities)
    _, text = identities.add_secret(application)
    _person(identities, password="Very-visible-1")
    world.close()
    content = b"".join(file.read_bytes() for file in world.path.parent.iterdir() if file.is_file())
    world.open()
    assert b"Very-visible-1" not in content and text.encode() not in content


def test_names_belong_to_one_object(identities: Identities) -> None:
    _person(identities)
    with pytest.raises(errors.Conflict, match="userPrincipalName already exists"):
        _person(identities, "ADA@ringfence.onmicrosoft.com")


def test_memberships_reach_through_groups_and_round_circles(identities: Identities) -> None:
    person = _person(identities)
    one, two, three, other = (identities.create("group", {"displayName": name}).object_id for name in "abcd")
    for holder, member in ((one, person), (two, one), (three, two), (one, three), (other, "managed-identity")):
        identities.link("member", holder, member)
    assert identities.groups_of(person) == {one, two, three}
    assert identities.groups_of("MANAGED-identity") == {other}
    identities.unlink("member", one, person)
    assert identities.groups_of(person) == frozenset()
    with pytest.raises(errors.Conflict, match="already exist"):
        identities.link("member", two, one)


def test_an_object_goes_with_everything_of_it(world: World, identities: Identities) -> None:
    client, application = _application(identities)
    _, text = identities.add_secret(application)
    service = identities.get(client)
    assert service is not None
    group = identities.create("group", {"displayName": "g"}).object_id
    identities.link("member", group, service.object_id)
    identities.delete(application)
    assert identities.get(client) is None and identities.directory().held("member", group) == ()
    with pytest.raises(errors.Unauthenticated):
        identities.authenticate(client, text)
    with pytest.raises(errors.NotFound, match="does not exist or one of"):
        identities.delete(application)
    world.restart()
    assert [found.object_id for found in world.engine.identities.directory().of_kind("group")] == [group]


def _requests(identities: Identities) -> None:
    """Writes of several statements each."""
    person = _person(identities)
    group = identities.create("group", {"displayName": "g"}, links=[("owner", person), ("member", person)]).object_id
    _, application = _application(identities)
    identities.add_secret(application)
    identities.grants.give_refresh(Grant(client_id="az", user_id=person, document={}))
    identities.change(person, {"displayName": "Ada", "accountEnabled": True}, password="Other-2-password")
    identities.delete(application)
    identities.delete(group)


def test_a_process_that_dies_leaves_each_write_whole(tmp_path: Path) -> None:
    for number in range(1, 200, 7):
        folder = tmp_path / str(number)
        folder.mkdir()
        lived = _dies_at(folder, number)
        world = World(folder)
        directory = world.engine.identities.directory()
        if any(directory.of_kind("user")):
            old, new = (_signs_in(world.engine.identities, password) for password in ("Right-1-password", "Other-2-password"))
            assert old != new, "there is one password, the old or the new one"
            with world.store.read() as connection:
                kept = connection.execute(sa.select(store.grants)).all()
            assert not (new and kept), "a new password ends what was granted"
        for group in directory.of_kind("group"):
            assert directory.held("owner", group.object_id) and directory.held("member", group.object_id)
        applications = {found.name for found in directory.of_kind("application")}
        assert {found.name for found in directory.of_kind("servicePrincipal")} <= applications
        world.close()
        if lived:
            return
    pytest.fail("the writes take more statements than were tried")


def _signs_in(identities: Identities, password: str) -> bool:
    try:
        identities.sign_in("ada@ringfence.onmicrosoft.com", password)
    except errors.Unauthenticated:
        return False
    return True


def _dies_at(folder: Path, number: int) -> bool:
    """Make the writes in a fork that kills itself before its n-th statement or commit. Returns whether it lived."""
    pid = os.fork()
    if pid == 0:
        try:
            world = World(folder)
            seen = 0

            def count(*_: object) -> None:
                nonlocal seen
                seen += 1
                if seen >= number:
                    os.kill(os.getpid(), signal.SIGKILL)

            event.listen(sa.Engine, "before_cursor_execute", count)
            event.listen(sa.Engine, "commit", count)
            _requests(world.engine.identities)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
