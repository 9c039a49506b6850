"""Microsoft Graph over HTTP, in process: a real store, real tokens, an administrator and a person without a role."""

from __future__ import annotations

import datetime as dt
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.types import ASGIApp

from ringfence.api.entra import tokens
from ringfence.api.entra.verify import Verifier
from ringfence.api.graph import app
from ringfence.control.engine import Engine
from ringfence.control.identities import Identities, Principal, administrator
from ringfence.control.store import Store
from ringfence.drivers.memory import MemoryDriver

TENANT = "99999999-8888-7777-6666-555555555555"
ORIGIN = "https://graph.microsoft.com"
ADMIN = Principal(
    client_id="aaaa1111-0000-4000-8000-000000000001", object_id="bbbb1111-0000-4000-8000-000000000002", display_name="admin"
)
PASSWORD = "Right-1-password"
DOMAIN = "ringfence.onmicrosoft.com"


class Graph:
    """`ada` is a person without a directory role."""

    def __init__(self, folder: Path, key: rsa.RSAPrivateKey, asking: Callable[[ASGIApp, str], httpx.Client]) -> None:
        self.store = Store(folder / "a.db")
        self.identities = Identities(self.store, lambda: secrets.token_bytes(16), _now)
        administrator.ensure(self.identities, ADMIN, "secret", _now())
        self.engine = Engine(self.store, MemoryDriver(time.monotonic), clock=_now, new_id=_new_id, identities=self.identities)
        self.signer = tokens.Signer(key, TENANT, _now, _new_id)
        verifier = Verifier(key.public_key(), TENANT, _now, standing=self.identities.standing)
        self.client = asking(app.build(self.engine, verifier, TENANT), ORIGIN)
        self.admin = self.signer.issue(tokens.Subject(ADMIN.client_id, ADMIN.object_id), f"{ORIGIN}/")
        name = f"ada@{DOMAIN}"
        body = {"displayName": "Ada", "userPrincipalName": name, "mailNickname": "ada", "accountEnabled": True}
        self.ada = self.ok("POST", "users", {**body, "passwordProfile": {"password": PASSWORD}}, status=201)["id"]
        person = tokens.Person(object_id=self.ada, name=name, display_name="Ada", client_id="az")
        self.person = self.signer.issue_for(person, ORIGIN, "user_impersonation")

    def close(self) -> None:
        self.engine.close()
        self.store.close()

    def send(self, method: str, path: str, body: object = None, *, token: str | None = None, **query: str) -> httpx.Response:
        """path: below v1.0, or the absolute URL of a next page. query: options without their `$`."""
        url = path if path.startswith("https:") else f"/v1.0/{path}"
        asked = {f"${name}": value for name, value in query.items()} or None
        headers = {"Authorization": f"Bearer {token or self.admin}"}
        return self.client.request(method, url, json=body, params=asked, headers=headers)

    def ok(self, method: str, path: str, body: object = None, *, status: int = 200, **more: Any) -> dict[str, Any]:
        answer = self.send(method, path, body, **more)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else {}

    def list(self, path: str, **more: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ok("GET", path, **more)["value"]
        return found

    def application(self, name: str = "app", token: str | None = None, **more: Any) -> dict[str, Any]:
        return self.ok("POST", "applications", {"displayName": name, **more}, status=201, token=token)

    def group(self, name: str = "g", **more: Any) -> str:
        body = {"displayName": name, "mailNickname": name, "mailEnabled": False, "securityEnabled": True}
        return str(self.ok("POST", "groups", body, status=201, **more)["id"])


def ref(object_id: str) -> Mapping[str, str]:
    return {"@odata.id": f"{ORIGIN}/v1.0/directoryObjects/{object_id}"}


def refused(answer: httpx.Response, status: int, code: str, words: str = "") -> None:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), answer.text
    assert words in error["message"] and error["innerError"]["request-id"] == answer.headers["request-id"]


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)  # noqa: TID251 - a test's clock is the real one


def _new_id() -> str:
    return str(uuid.UUID(bytes=secrets.token_bytes(16)))
