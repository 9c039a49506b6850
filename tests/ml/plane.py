"""What tests of the data plane speak with: the client's side of its flows, and the ids they are about."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from ringfence.api.entra import tokens
from ringfence.control.engine import Engine
from ringfence.drivers.memory import MemoryDriver
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Properties, Resource

NUMBERS = itertools.count(1)
TENANT = "11111111-2222-3333-4444-555555555555"
GROUP = ResourceId("sub", "group")
WORKSPACE = GROUP.resource("Microsoft.MachineLearningServices/workspaces", "ws")
SUBNET = GROUP.resource("Microsoft.Network/virtualNetworks", "vnet").child("subnets", "default")


@dataclass
class Clock:
    """Real time, so that signatures and tokens hold, and a shift."""

    shift: dt.timedelta = field(default_factory=dt.timedelta)

    def __call__(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(time.time(), dt.UTC) + self.shift


@dataclass
class Plane:
    """The parts that tests touch. client: speaks as the administrator; storage: the workspace's blob service."""

    engine: Engine
    driver: MemoryDriver
    clock: Clock
    signer: tokens.Signer
    client: httpx.Client
    storage: httpx.Client

    def url(self, rest: str, service: str = "modelmanagement/v1.0") -> str:
        return f"/{service}{WORKSPACE}/{rest}"

    def put(self, id: ResourceId, properties: Properties, location: str | None = "eastus2") -> None:
        now = self.clock()
        accepted = self.engine.put(Resource(id=id, location=location, properties=properties, created_at=now, changed_at=now))
        ended = self.engine.wait(accepted.operation.id, 10)
        assert ended.status.value == "Succeeded", ended

    def upload(self, path: str, content: bytes, container: str = "c1") -> str:
        """As the SDK does it; returns the artifact's id."""
        url = self.url(f"artifacts/batch/metadata/LocalUpload/{container}", "artifact/v2.0")
        answer = self.client.post(url, json={"paths": [{"path": path}]}).json()
        uri = answer["artifactContentInformation"][path]["contentUri"]
        headers = {"x-ms-blob-type": "BlockBlob", "If-None-Match": "*"}
        assert self.storage.put(uri, content=content, headers=headers).status_code == 201
        return str(answer["artifacts"][path]["artifactId"])

    def model(self, name: str = "diabetes", content: bytes = b"model") -> dict[str, Any]:
        path = hashlib.sha256(content + name.encode()).hexdigest()[:8] + ".pkl"
        prefix = self.upload(path, content, f"c{next(NUMBERS)}")
        asset = self.client.post(self.url("assets"), json={"name": name, "artifacts": [{"prefix": prefix}]}).json()
        answer = self.client.post(self.url("models"), json={"name": name, "url": f"aml://asset/{asset['id']}", "datasets": []})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def payload(self, name: str = "diabetes", **changes: object) -> dict[str, Any]:
        """What `Model.deploy` sends."""
        driver = self.upload("driver.py", b"driver", f"c{next(NUMBERS)}")
        source = self.upload("source.tar.gz", b"archive", f"c{next(NUMBERS)}")
        python = {"condaDependencies": {"dependencies": ["python=3.11", {"pip": ["scikit-learn"]}]}}
        environment = {
            "name": "env",
            "version": None,
            "environmentVariables": {"AZUREML_ENTRY_SCRIPT": "source/score.py"},
            "python": python,
            "docker": {"baseImage": "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:1"},
        }
        request = {
            "driverProgram": "driver.py",
            "assets": [
                {"id": "driver.py", "url": f"aml://artifact/{driver}", "mimeType": "application/x-python"},
                {
                    "id": "source.tar.gz",
                    "url": f"aml://artifact/{source}",
                    "mimeType": "application/octet-stream",
                    "unpack": True,
                },
            ],
            "modelIds": [],
            "environment": environment,
        }
        sent: dict[str, Any] = {
            "name": name,
            "description": "d",
            "kvTags": {"t": "1"},
            "properties": None,
            "keys": {"primaryKey": None, "secondaryKey": None},
            "computeType": "AKS",
            "computeName": "aks",
            "location": None,
            "numReplicas": 1,
            "environmentImageRequest": request,
            "autoScaler": {"autoscaleEnabled": False, "minReplicas": None, "maxReplicas": None},
            "containerResourceRequirements": {"cpu": 0.5, "memoryInGB": 1, "gpu": None},
            "livenessProbeRequirements": {"periodSeconds": None},
            "overwrite": False,
        }
        return {**sent, **changes}

    def deploy(self, name: str = "diabetes", **changes: object) -> Mapping[str, Any]:
        """Create and wait; the document."""
        answer = self.client.post(self.url("services"), json=self.payload(name, **changes))
        assert answer.status_code == 202, answer.text
        assert self.ended(answer)["state"] == "Succeeded"
        found: Mapping[str, Any] = self.client.get(self.url(f"services/{name}"), params={"expand": "true"}).json()
        return found

    def ended(self, answer: httpx.Response) -> dict[str, Any]:
        """The operation of an answer, once it has ended."""
        id = answer.headers["operation-location"].rpartition("/")[2]
        self.engine.wait(id, 10)
        found: dict[str, Any] = self.client.get(self.url(f"operations/{id}")).json()
        return found


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """The status and code of a refusal; both shapes of its body have to agree."""
    body = answer.json()
    assert body["statusCode"] == answer.status_code and body["error"]["code"] == body["code"], body
    assert body["message"] and isinstance(body["details"], list) and answer.headers["x-ms-request-id"]
    return answer.status_code, body["code"]
