"""Images of environments: made from what was built, kept in the workspace's registry, and with what hosts sign in there.

Azure builds on its own machines and writes into the registry as a trusted service; so here the image goes straight
to where images are kept, and hosts get it from there through their networks. Implements
`drivers.base.Registries`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from ringfence.control import image_layers
from ringfence.control.blobs import account_of
from ringfence.control.engine import Engine
from ringfence.control.images import Images, Manifest, Repository
from ringfence.control.registry_passwords import RegistryPasswords
from ringfence.desired import containers
from ringfence.desired.images import HOST, IDENTITY
from ringfence.desired.state import Image, ImageBuild, Key, Observed, Readiness
from ringfence.drivers.base import Credential
from ringfence.model import compute, registry, serving
from ringfence.model.resource import Snapshot
from ringfence.policy import companions, places, principals, registries

_PATIENCE_S = 0.25


class Hosts(Protocol):
    """Who gives hosts what they sign in with."""

    def managed(self, object_id: str) -> Credential | None:
        """As a managed identity; None where there is no such identity."""
        ...

    def service(self, client_id: str) -> Credential:
        """As a service principal."""
        ...


class Publisher:
    """hosts: what they have beside the passwords of registries."""

    def __init__(self, images: Images, passwords: RegistryPasswords, snapshot: Callable[[], Snapshot], hosts: Hosts) -> None:
        self._images, self._passwords, self._snapshot, self._hosts = images, passwords, snapshot, hosts
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="images")
        self._orders: dict[Key, tuple[ImageBuild, Future[None]]] = {}
        self._lock = threading.Lock()

    def provide(self, engine: Engine) -> None:
        """Workspaces of earlier versions get the registry that their services' images need, once, at the start."""
        snapshot = engine.snapshot()
        for user in (*places.alive(snapshot, serving.SERVICE), *places.alive(snapshot, serving.ENVIRONMENT_VERSION)):
            if registries.needs_image(user):
                for draft in companions.companions(engine.snapshot(), user):
                    engine.put(draft)

    def builds(self) -> Mapping[Key, Observed]:
        with self._lock:
            orders = dict(self._orders)
        found = {}
        for key, (item, future) in orders.items():
            if not future.done():
                found[key] = Observed(item.fingerprint, Readiness.STARTING)
            elif error := future.exception():
                found[key] = Observed(item.fingerprint, Readiness.FAILED, "ImageBuildFailure", _why(item, error))
            elif self._exists(item):
                found[key] = Observed(item.fingerprint)
        return found

    def build(self, item: ImageBuild, environment: Path) -> None:
        """Begin, and wait a moment: what is there already is ready at once."""
        future: Future[None] = self._worker.submit(self._build, item, environment)
        with self._lock:
            self._orders[item.key] = item, future
        try:
            future.exception(_PATIENCE_S)
        except TimeoutError:
            return

    def forget(self, key: Key) -> None:
        """The image stays in the registry, as in Azure."""
        with self._lock:
            self._orders.pop(key, None)

    def credential(self, item: Image) -> Credential | None:
        """A workspace's cluster signs in as the registry's admin user, as Azure Machine Learning (v1) has it; where that
        is switched off, as the cluster's identity or its service principal, which then needs AcrPull."""
        snapshot = self._snapshot()
        if item.secret.startswith(IDENTITY):
            return self._hosts.managed(item.secret.removeprefix(IDENTITY))
        login = containers.registry_login(snapshot, item.secret, item.registry)
        if login is not None:
            return Credential(username=login[0], password=login[1])
        host = snapshot.get(item.secret.removeprefix(HOST)) if item.secret.startswith(HOST) else None
        named = registries.find(snapshot, item.registry)
        if host is None or named is None:
            return None
        assert isinstance(named.properties, registry.Registry)
        if named.properties.admin_user_enabled:
            return Credential(username=named.id.name, password=self._passwords.get(account_of(named))[0])
        if isinstance(host.properties, compute.ManagedCluster):
            profile = host.properties.service_principal_profile
            if profile.client_id.lower() != "msi":
                return self._hosts.service(profile.client_id)
        acting = principals.acting(snapshot, host)
        return self._hosts.managed(acting[0].object_id) if acting else None

    def close(self) -> None:
        self._worker.shutdown(cancel_futures=True)

    def _build(self, item: ImageBuild, environment: Path) -> None:
        if self._exists(item):
            return
        at = self._at(item)
        if at is None:
            raise LookupError(f"the registry {item.registry} does not exist")
        made = image_layers.make(self._images.contents, item.environment.removeprefix("env/"), environment)
        for content in made.blobs:
            self._images.keep(at, content)
        manifest = Manifest(
            sha256=made.manifest.sha256,
            size=made.manifest.size,
            media_type=image_layers.OCI_MANIFEST,
            annotations={},
            image_size=made.size,
            created_at=self._images.now(),
        )
        self._images.put_manifest(at, manifest, [content.sha256 for content in made.blobs], item.tag)

    def _exists(self, item: ImageBuild) -> bool:
        at = self._at(item)
        return at is not None and self._images.tag(at, item.tag) is not None

    def _at(self, item: ImageBuild) -> Repository | None:
        named = registries.find(self._snapshot(), item.registry)
        return None if named is None else Repository(account_of(named), item.repository)


def _why(item: ImageBuild, error: BaseException) -> str:
    return f"The image {item.registry}/{item.repository}:{item.tag} could not be made: {error}"
