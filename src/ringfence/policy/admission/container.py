"""One container of a group: image, resources, environment, ports, volumes. Sources as in `containers`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from ringfence.model import containers, errors
from ringfence.policy import container_groups
from ringfence.policy.admission.case import Case, Finding, unsupported


def each(case: Case) -> Iterator[tuple[str, containers.Container]]:
    """Every container with the path of its properties."""
    for number, one in enumerate(container_groups.of(case.new).containers):
        yield f"properties.containers[{number}].properties", one


def image_is_named(case: Case) -> Iterator[Finding]:
    """An image, in the form registry/repository:tag."""
    for path, one in each(case):
        image = one.properties.image
        if not image or len(image) > 500 or any(c <= " " or c > "~" for c in image):
            message = f"The image of container '{one.name}' in container group '{case.new.id.name}' is missing or malformed."
            yield errors.Invalid("InvalidImageName", message, target=f"{path}.image")


def resources_are_asked_for(case: Case) -> Iterator[Finding]:
    """Both requests, more than nothing, and no limit below its request."""
    for path, one in each(case):
        asked = one.properties.resources
        requests, limits, target = asked.requests, asked.limits, f"{path}.resources"
        if requests is None or requests.cpu is None or requests.memory_in_gb is None:
            yield errors.Invalid(
                "ResourceRequestsNotSpecified",
                f"The resource requests are not specified in container '{one.name}' of contain group '{case.new.id.name}'. Both "
                "memory and CPU requests are required since API version '2017-07-01-preview'.",
                target=f"{target}.requests",
            )
            continue
        if not (0 < requests.cpu < 10_000 and 0 < requests.memory_in_gb < 10_000):
            message = f"The requests of container '{one.name}' are {requests.cpu:g} CPU and {requests.memory_in_gb:g} GB."
            yield errors.Invalid("InvalidResourceRequests", f"{message} Both are more than 0.", target=f"{target}.requests")
        for name, limit, request in (
            ("Cpu", limits.cpu if limits else None, requests.cpu),
            ("MemoryInGB", limits.memory_in_gb if limits else None, requests.memory_in_gb),
        ):
            if limit is not None and limit < request:
                yield errors.Invalid(
                    "ResourceLimitsLessThanRequests",
                    f"The resource requirement in container '{one.name}' of contain group '{case.new.id.name}' is invalid. The "
                    f"'{name}' limit value must be greater than or equal to the request value.",
                    target=f"{target}.limits",
                )
        if requests.gpu or (limits is not None and limits.gpu):
            yield unsupported("GPUs", f"{target}.requests.gpu")


def ports_are_valid(case: Case) -> Iterator[Finding]:
    """From 1 to 65535."""
    for path, one in each(case):
        for port in one.properties.ports:
            if not 1 <= port.port <= 65535:
                message = f"The port {port.port} of container '{one.name}' is invalid: from 1 to 65535."
                yield errors.Invalid("InvalidContainerPort", message, target=f"{path}.ports")


def variables_are_valid(case: Case) -> Iterator[Finding]:
    """Each has a name that a process can have, and one value."""
    for path, one in each(case):
        for variable in one.properties.environment_variables:
            if not variable.name or "=" in variable.name or "\0" in f"{variable.name}{variable.value}{variable.secure_value}":
                message = f"The environment variable name '{variable.name[:100]}' in container '{one.name}' is invalid."
                yield errors.Invalid("InvalidEnvironmentVariable", message, target=f"{path}.environmentVariables")
            elif variable.value is not None and variable.secure_value is not None:
                message = f"The environment variable '{variable.name}' in container '{one.name}' has a value and a secure value."
                yield errors.Invalid("InvalidEnvironmentVariable", message, target=f"{path}.environmentVariables")


def mounts_are_valid(case: Case) -> Iterator[Finding]:
    """Every mount names a volume, and an absolute path without a colon."""
    names = {volume.name for volume in container_groups.of(case.new).volumes}
    for path, one in each(case):
        seen: set[str] = set()
        for mount in one.properties.volume_mounts:
            if mount.name not in names:
                message = (
                    f"The volume mount '{mount.name[:100]}' in container '{one.name}' names no volume of the container group."
                )
                yield errors.Invalid("VolumeMountNotFound", message, target=f"{path}.volumeMounts")
            where = mount.mount_path
            parts = where.split("/")[1:]
            if not where.startswith("/") or ":" in where or not parts[0] or ".." in parts or "\0" in where or where in seen:
                message = (
                    f"The mount path '{where[:200]}' in container '{one.name}' is invalid: absolute, without ':', each once."
                )
                yield errors.Invalid("InvalidVolumeMountPath", message, target=f"{path}.volumeMounts")
            seen.add(where)


def volumes_are_valid(case: Case) -> Iterator[Finding]:
    """Empty folders and secrets; their contents are base64."""
    seen: set[str] = set()
    for number, volume in enumerate(container_groups.of(case.new).volumes):
        target = f"properties.volumes[{number}]"
        if volume.azure_file is not None or volume.git_repo is not None or volume.secret_reference is not None:
            yield unsupported(
                "Azure Files shares, git repositories and secret references as volumes", target, "Use emptyDir or secret."
            )
        elif (volume.empty_dir is None) == (volume.secret is None) or volume.name in seen:
            message = f"The volume '{volume.name[:100]}' is invalid: a name of its own, and either emptyDir or secret."
            yield errors.Invalid("InvalidVolume", message, target=target)
        for name, text in (volume.secret or {}).items():
            if not _is_base64(text) or "/" in name or name in ("", ".", ".."):
                message = f"The secret '{name[:100]}' of the volume '{volume.name}' is not a file name with content in base64."
                yield errors.Invalid("InvalidSecretVolume", message, target=f"{target}.secret")
        seen.add(volume.name)


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


def container_is_enforceable(case: Case) -> Iterator[Finding]:
    """What would be promised and not kept."""
    for path, one in each(case):
        asked = one.properties
        if asked.liveness_probe is not None or asked.readiness_probe is not None:
            yield unsupported("probes of containers", f"{path}.livenessProbe", "Remove livenessProbe and readinessProbe.")
        if asked.security_context:
            yield unsupported("security contexts", f"{path}.securityContext")
        if asked.config_map is not None and asked.config_map.key_value_pairs:
            yield unsupported("config maps", f"{path}.configMap", "Use environment variables.")


RULES = (
    image_is_named,
    resources_are_asked_for,
    ports_are_valid,
    variables_are_valid,
    volumes_are_valid,
    mounts_are_valid,
    container_is_enforceable,
)
