"""What Resource Manager shows and does of container registries: documents, the admin user's passwords, usages, free names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from ringfence.api.arm import asked as answers
from ringfence.api.arm import wire
from ringfence.api.arm.asked import Asked
from ringfence.control import registry_passwords
from ringfence.control.blobs import account_of
from ringfence.control.engine import Engine
from ringfence.control.images import Images
from ringfence.control.registry_passwords import RegistryPasswords
from ringfence.model import errors, registry
from ringfence.model.ids import ResourceId
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import registries
from ringfence.policy.admission import naming

TYPE = "Microsoft.ContainerRegistry/registries"
CHECK_NAME = "microsoft.containerregistry/checknameavailability"
USAGES = f"{TYPE}/listUsages".lower()
#: Bytes of storage that each tier includes ("Registry service tiers and features").
_INCLUDED = {"basic": 10 * 1024**3, "standard": 100 * 1024**3, "premium": 500 * 1024**3}
_POLICIES = {
    "quarantinePolicy": {"status": "disabled"},
    "trustPolicy": {"type": "Notary", "status": "disabled"},
    "retentionPolicy": {"days": 7, "status": "disabled"},
    "exportPolicy": {"status": "enabled"},
    "azureADAuthenticationAsArmPolicy": {"status": "enabled"},
    "softDeletePolicy": {"retentionDays": 7, "status": "disabled"},
}


class RegistryActions:
    """The POSTs on a registry, and what is listed below one."""

    def __init__(self, engine: Engine, images: Images, passwords: RegistryPasswords) -> None:
        self._engine, self._images, self._passwords = engine, images, passwords

    def act(self, asked: Asked, id: ResourceId, action: str) -> Response:
        """`listCredentials` and `regenerateCredential`; `importImage` is refused. Raises errors.Problem."""
        found = self._engine.get(id)
        if action == "importimage":
            host = registries.login_server(found)
            raise errors.Unsupported(
                "NotSupported",
                f"Ringfence does not import images into {found.id}. Copy them through a location instead: "
                f"skopeo copy docker://SOURCE docker://{host}/NAME:TAG",
                target="importImage",
            )
        assert isinstance(found.properties, registry.Registry)
        if not found.properties.admin_user_enabled:
            raise errors.Invalid(
                "UnAuthorizedForCredentialOperations",
                "Cannot perform credential operations for "
                f"{found.id} as admin user is disabled. Kindly enable admin user as per docs: "
                "https://docs.microsoft.com/en-us/azure/container-registry/container-registry-authentication#admin-account",
            )
        if action == "listcredentials":
            return answers.document(_credentials(found, self._passwords.get(account_of(found))))
        name = wire.parse(asked.body).get("name")
        if name not in registry_passwords.NAMES:
            raise errors.Invalid(
                "InvalidPasswordName", f"The name is {name!r}; it has to be password or password2.", target="name"
            )
        return answers.document(_credentials(found, self._passwords.renew(account_of(found), str(name))))

    def usages(self, id: ResourceId) -> Response:
        found = self._engine.get(id)
        tier = str((found.sku or {}).get("name", "Basic")).lower()
        used = self._images.used_bytes(account_of(found))
        size = {"name": "Size", "limit": _INCLUDED.get(tier, 0), "currentValue": used, "unit": "Bytes"}
        hooks = {"name": "Webhooks", "limit": {"basic": 2, "standard": 10}.get(tier, 500), "currentValue": 0, "unit": "Count"}
        return answers.listing([size, hooks])

    def check_name(self, asked: Asked) -> Response:
        body = wire.parse(asked.body)
        name, type = body.get("name"), body.get("type")
        if not isinstance(name, str) or str(type).lower() != TYPE.lower():
            raise errors.Invalid("InvalidRequestContent", f"The body needs 'name', and 'type' {TYPE}.", target="type")
        if not naming.allowed(registry.REGISTRY, name):
            message = "The registry name may contain alpha numeric characters only and must be between 5 and 50 characters."
            return answers.document({"nameAvailable": False, "reason": "Invalid", "message": f"{message} ({name[:100]})"})
        host = f"{name.lower()}{registries.SUFFIX}"
        if registries.find(self._engine.snapshot(), host) is not None:
            message = f"The registry {name} is already in use."
            return answers.document({"nameAvailable": False, "reason": "AlreadyExists", "message": message})
        return answers.document({"nameAvailable": True, "availableLoginServerName": host})


def of_registry(_: Snapshot, found: Resource) -> Mapping[str, Any]:
    assert isinstance(found.properties, registry.Registry)
    asked = found.properties
    policies = asked.policies if isinstance(asked.policies, dict) else {}
    status = {"displayStatus": "Ready", "message": None, "timestamp": found.changed_at.isoformat()}
    return {
        "loginServer": registries.login_server(found),
        "creationDate": found.created_at.isoformat(),
        "policies": {**_POLICIES, **policies},
        "encryption": {"status": "disabled"},
        "networkRuleBypassOptions": asked.network_rule_bypass_options or "AzureServices",
        "publicNetworkAccess": asked.public_network_access or "Enabled",
        "zoneRedundancy": asked.zone_redundancy or "Disabled",
        "roleAssignmentMode": "LegacyRegistryPermissions",
        "autoGeneratedDomainNameLabelScope": "Unsecure",
        "dataEndpointHostNames": [],
        **({"status": status} if found.state is ProvisioningState.SUCCEEDED else {}),
    }


def _credentials(found: Resource, passwords: tuple[str, str]) -> Mapping[str, Any]:
    listed = [{"name": name, "value": value} for name, value in zip(registry_passwords.NAMES, passwords, strict=True)]
    return {"username": found.id.name, "passwords": listed}
