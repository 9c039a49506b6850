"""A registry with its sign-in over a store on disk, a directory of three callers, and images to push."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import hashlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.types import ASGIApp

from ringfence.api.registry import app
from ringfence.api.registry.sign_in import Desk
from ringfence.api.registry.tokens import Holder, Tokens
from ringfence.control.content import Contents
from ringfence.control.images import Images
from ringfence.control.registry_passwords import RegistryPasswords, account_of
from ringfence.control.store import Store
from ringfence.model import errors, registry
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import access, arrivals

NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
HOST = "images.azurecr.io"
ID = ResourceId("sub", "group").resource("Microsoft.ContainerRegistry/registries", "images")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def named(**properties: object) -> Resource:
    asked = registry.Registry.model_validate({"adminUserEnabled": True} | properties)
    return Resource(id=ID, properties=asked, sku={"name": "Standard"}, created_at=NOW, changed_at=NOW)


class Directory:
    """Callers by secret and by token `token-<name>`; what each may do is in `snapshot`."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def by_token(self, token: str) -> Holder:
        return self.by_secret(token.removeprefix("token-"), "secret")

    def by_secret(self, client_id: str, secret: str) -> Holder:
        if secret != "secret" or not client_id.endswith("-app"):
            raise errors.Unauthenticated("invalid_client", "no")
        return Holder(object_id=client_id, client_id=client_id)

    def permits(self, holder: Holder, action: str, named: Resource) -> bool:
        return access.permits(self.snapshot, holder.object_id, action, named.id)


@dataclasses.dataclass
class World:
    """client: nobody. now: the time; registry: as it stands; source: the address requests come from. All may be set."""

    folder: Path
    asking: Callable[[ASGIApp, str], httpx.Client]
    snapshot: Snapshot
    registry: Resource = dataclasses.field(default_factory=named)
    now: dt.datetime = NOW
    source: str = "198.18.255.1"

    def __post_init__(self) -> None:
        self._ids = (f"id-{number:08d}" for number in itertools.count())
        self.open()

    def open(self) -> None:
        """As after a restart."""
        self.store = Store(self.folder / "ringfence.db")
        contents = Contents(self.folder / "blobs", lambda: next(self._ids))
        self.images = Images(self.store, contents, lambda: self.now, lambda: next(self._ids))
        contents.sweep(self.images.sweep(Snapshot.of([self.registry])))
        secrets = itertools.count()
        self.passwords = RegistryPasswords(self.store, lambda: f"password-{next(secrets)}")
        desk = Desk(Tokens(_KEY, lambda: self.now, lambda: next(self._ids)), Directory(self.snapshot), self.passwords)
        application = app.build(self.images, desk, lambda host: self.registry if host == HOST else None, self._arrive)
        self.client = self.asking(application, f"https://{HOST}")

    def _arrive(self, registry: Resource, _: str) -> None:
        arrivals.require(self.snapshot, registry, self.source)

    @property
    def admin(self) -> str:
        return basic("images", self.passwords.get(account_of(self.registry))[0])

    def token(self, scope: str, authorization: str) -> str:
        answer = self.client.get("/oauth2/token", params={"service": HOST, "scope": scope}, headers=auth(authorization))
        assert answer.status_code == 200, answer.text
        return f"Bearer {answer.json()['access_token']}"

    def push_blob(self, content: bytes, who: str, repository: str = "team/app") -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        url = f"/v2/{repository}/blobs/uploads/?digest={digest}"
        answer = self.client.post(url, content=content, headers=auth(who))
        assert answer.status_code == 201, answer.text
        return digest

    def push(self, who: str, tag: str = "v1", repository: str = "team/app", layer: bytes = b"layer", **more: object) -> str:
        """An image of one layer; returns its digest."""
        config = b"{}"
        body = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": self.push_blob(config, who, repository),
                    "size": len(config),
                },
                "layers": [
                    {
                        "mediaType": "application/vnd.oci.image.layer.v1.tar",
                        "digest": self.push_blob(layer, who, repository),
                        "size": len(layer),
                    }
                ],
                **more,
            }
        )
        headers = auth(who) | {"Content-Type": MANIFEST}
        answer = self.client.put(f"/v2/{repository}/manifests/{tag}", content=body, headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.headers["docker-content-digest"]

    def close(self) -> None:
        self.store.close()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def auth(value: str) -> dict[str, str]:
    return {"Authorization": value}


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["code"]
