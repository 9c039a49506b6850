"""What the environment variables say: names and meanings of Azure ML's inference server.

Read once, at start. What lies in config.json, telemetry and CORS is not read here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

VERSION = "0.1"


class SettingsError(Exception):
    """A variable has a value that cannot be used; the message names it."""


@dataclass(frozen=True)
class Settings:
    """How to serve one script.

    app_root: the folder that entry_script and source_directory are relative to.
    entry_script: None means the module `main`. timeout_ms: how long one call of run() may take.
    max_queue_wait_ms: how long a request may wait for its turn; 0 for as long as it likes. max_concurrent: how many count as
    being worked on, and not as waiting, although run() is called for one at a time.
    server_version: what the x-ms-server-version header says; "" leaves it out.
    """

    app_root: str
    entry_script: str | None
    source_directory: str | None
    model_dir: str | None
    port: int
    timeout_ms: int
    max_queue_wait_ms: int
    max_concurrent: int
    service_name: str
    service_version: str
    path_prefix: str
    server_version: str


def read(variables: Mapping[str, str]) -> Settings:
    """Raises SettingsError."""
    return Settings(
        app_root=variables.get("AML_APP_ROOT") or os.getcwd(),
        entry_script=variables.get("AZUREML_ENTRY_SCRIPT") or None,
        source_directory=variables.get("AZUREML_SOURCE_DIRECTORY") or None,
        model_dir=variables.get("AZUREML_MODEL_DIR") or None,
        port=_number(variables, "SERVER_PORT", 5001, 1, 65535),
        timeout_ms=_number(variables, "SCORING_TIMEOUT_MS", 3_600_000, 1, 2**31),
        max_queue_wait_ms=_number(variables, "MAX_QUEUE_WAIT_MS", 0, 0, 2**31),
        max_concurrent=_number(variables, "MAX_CONCURRENT_REQUESTS", 1, 1, 2**31),
        service_name=variables.get("SERVICE_NAME", "ML service"),
        service_version=variables.get("SERVICE_VERSION", "1.0"),
        path_prefix=variables.get("SERVICE_PATH_PREFIX", ""),
        server_version=_server_version(variables),
    )


def _number(variables: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = variables.get(name, "")
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise SettingsError(f"{name} is {text!r}; it must be a whole number from {least} to {most}")
    return value


def _server_version(variables: Mapping[str, str]) -> str:
    shown = variables.get("SERVER_VERSION_LOG_RESPONSE_ENABLED", "true").lower() != "false"
    return f"ringfence-scoring/{VERSION}" if shown else variables.get("HTTP_X_MS_SERVER_VERSION", "")
