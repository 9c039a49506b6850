"""The registry of a workspace, the image of an environment in it, and what a host gets to sign in with."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import clouds
from tests.control.engine_world import COMPUTE, WORKSPACE, World

from ringfence.api.arm.asked import Asked
from ringfence.api.arm.registries import RegistryActions
from ringfence.control.blobs import account_of
from ringfence.control.content import Contents
from ringfence.control.images import Images, Repository
from ringfence.control.publishing import Publisher
from ringfence.control.registry_passwords import RegistryPasswords
from ringfence.desired.state import Image, ImageBuild, Readiness
from ringfence.drivers.base import Credential
from ringfence.model import compute, errors, registry
from ringfence.model.resource import Snapshot
from ringfence.policy import clusters, registries

SERVICE = f"{WORKSPACE}/services/diabetes"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.engine.start()
    made.cluster()
    made.put(SERVICE, clouds.service(models=()), location=None)
    yield made
    made.close()


class Given:
    """What hosts have beside passwords."""

    def managed(self, object_id: str) -> Credential:
        return Credential(token=f"token of {object_id}")

    def service(self, client_id: str) -> Credential:
        return Credential(client_id=client_id, assertion="assertion")


def publisher(world: World, snapshot: Callable[[], Snapshot] | None = None) -> Publisher:
    contents = Contents(world.path.parent / "blobs", world.engine.new_id)
    images = Images(world.store, contents, world.engine.clock, world.engine.new_id)
    return Publisher(images, RegistryPasswords(world.store, lambda: "secret"), snapshot or world.engine.snapshot, Given())


def only(world: World, kind: type[Image] | type[ImageBuild]) -> Image | ImageBuild:
    (found,) = [item for item in world.engine.state() if isinstance(item, kind)]
    return found


def environment(folder: Path) -> Path:
    made = folder / "environment"
    (made / "bin").mkdir(parents=True)
    (made / "ringfence.json").write_text(json.dumps({"fingerprint": "f", "prefixes": ["/usr"]}))
    return made


def test_a_workspace_gets_a_registry_with_its_first_image(world: World) -> None:
    (made,) = world.engine.snapshot().of_type(registry.REGISTRY)
    assert made.managed_by == world.id(WORKSPACE).key and made.sku is not None and made.sku["name"] == "Standard"
    assert isinstance(made.properties, registry.Registry) and made.properties.admin_user_enabled
    world.put(f"{WORKSPACE}/services/second", clouds.service(models=()), location=None)
    assert len(world.engine.snapshot().of_type(registry.REGISTRY)) == 1
    world.delete(WORKSPACE)
    assert world.engine.snapshot().of_type(registry.REGISTRY) == (), "it goes with its workspace"


def test_a_workspace_that_names_a_registry_keeps_to_it(world: World) -> None:
    own = "mlgroup/Microsoft.ContainerRegistry/registries/ownimages"
    world.engine.put(dataclasses.replace(clouds.resource(own, {}), sku={"name": "Basic"}))
    world.put(clouds.ws_path("other"), {"containerRegistry": str(world.id(own))})
    workspace = world.engine.snapshot().need(world.id(clouds.ws_path("other")))
    found = registries.of_workspace(world.engine.snapshot(), workspace)
    assert found is not None and found.id == world.id(own)


def test_services_of_an_earlier_version_get_their_registry_at_the_start(world: World) -> None:
    (made,) = world.engine.snapshot().of_type(registry.REGISTRY)
    world.delete(f"mlgroup/Microsoft.ContainerRegistry/registries/{made.id.name}")
    assert not [item for item in world.engine.state() if isinstance(item, ImageBuild)]
    publisher(world).provide(world.engine)
    (again,) = world.engine.snapshot().of_type(registry.REGISTRY)
    assert again.id == made.id and again.managed_by == made.managed_by
    assert isinstance(only(world, ImageBuild), ImageBuild)


def test_an_image_is_made_once_and_again_when_it_was_deleted(world: World, tmp_path: Path) -> None:
    ours, item, folder = publisher(world), only(world, ImageBuild), environment(tmp_path)
    assert isinstance(item, ImageBuild)
    ours.build(item, folder)
    _until(lambda: ours.builds()[item.key].readiness is Readiness.READY)
    (only_registry,) = world.engine.snapshot().of_type(registry.REGISTRY)
    files = sorted((tmp_path / "blobs").rglob("*"))
    fresh = publisher(world)
    assert fresh.builds() == {}, "nothing is claimed before it is asked for"
    fresh.build(item, folder)
    assert fresh.builds()[item.key].readiness is Readiness.READY
    assert sorted((tmp_path / "blobs").rglob("*")) == files

    images = Images(world.store, Contents(tmp_path / "blobs", world.engine.new_id), world.engine.clock, world.engine.new_id)
    assert images.untag(Repository(account_of(only_registry), item.repository), item.tag)
    assert item.key not in fresh.builds(), "so it is ordered again"
    for made in (ours, fresh):
        made.close()


def test_a_host_signs_in_as_the_admin_user_or_as_itself(world: World) -> None:
    ours, item = publisher(world), only(world, Image)
    assert isinstance(item, Image)
    (made,) = world.engine.snapshot().of_type(registry.REGISTRY)
    assert ours.credential(item) == Credential(username=made.id.name, password="secret")
    closed = registry.Registry(admin_user_enabled=False)
    world.ended(world.engine.put(dataclasses.replace(made, properties=closed)).operation)
    credential = ours.credential(item)
    assert credential is not None and credential.token.startswith("token of ") and not credential.password
    assert only(world, Image) == item, "who signs in is no part of what is wanted: nothing that runs is started anew"
    assert ours.credential(dataclasses.replace(item, secret="")) is None


def test_a_cluster_that_is_a_service_principal_signs_in_as_that_one(world: World) -> None:
    item = only(world, Image)
    assert isinstance(item, Image)
    (made,) = world.engine.snapshot().of_type(registry.REGISTRY)
    world.ended(world.engine.put(dataclasses.replace(made, properties=registry.Registry(admin_user_enabled=False))).operation)
    cluster = clusters.cluster_of(world.engine.snapshot(), world.engine.get(world.id(COMPUTE)))
    assert cluster is not None
    profile = compute.ServicePrincipalProfile(client_id="robot")
    acting = clusters.of(cluster).model_copy(update={"service_principal_profile": profile})
    snapshot = world.engine.snapshot().changed([dataclasses.replace(cluster, properties=acting, identity=None)])
    then = publisher(world, lambda: snapshot)
    assert then.credential(item) == Credential(client_id="robot", assertion="assertion")


def _until(true: object) -> None:
    assert callable(true)
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_import_is_refused_with_the_way_to_copy_and_nothing_changes(world: World, tmp_path: Path) -> None:
    (made,) = world.engine.snapshot().of_type(registry.REGISTRY)
    images = Images(world.store, Contents(tmp_path / "blobs", world.engine.new_id), world.engine.clock, world.engine.new_id)
    actions = RegistryActions(world.engine, images, RegistryPasswords(world.store, lambda: "secret"))
    asked = Asked(method="POST", path=f"{made.id}/importImage", query={}, headers={})
    with pytest.raises(errors.Unsupported, match="skopeo copy") as refused:
        actions.act(asked, made.id, "importimage")
    assert refused.value.code == "NotSupported" and images.used_bytes(account_of(made)) == 0
