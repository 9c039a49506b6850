"""The description of the service that /swagger.json serves, in OpenAPI 2, 3.0 and 3.1.

A file of that name in the app root replaces the generated document, as in Azure's server.
"""

from __future__ import annotations

import json
import os
from typing import Any

from . import interop
from .script import Script
from .settings import Settings

_ALIASES = {"2": "2", "2.0": "2", "3": "3", "3.0": "3", "3.1": "3.1"}
_FILES = {"2": ("swagger.json", "swagger2.json"), "3": ("swagger3.json",), "3.1": ("swagger3.1.json",)}
_ERROR = {
    "type": "object",
    "properties": {"status_code": {"type": "integer", "format": "int32"}, "message": {"type": "string"}},
}
_FAILED = "The service failed to execute due to an error."
_DONE = "The service processed the input correctly and provided a result prediction, if applicable."


class Swagger:
    """Made once, at start."""

    def __init__(self, settings: Settings, script: Script) -> None:
        self._settings = settings
        self._prefix = f"/{settings.path_prefix.strip('/')}" if settings.path_prefix else ""
        given, returned, versions = interop.schemas(script.run)
        self._documents: dict[str, Any] = {}
        for version in ("2", "3", "3.1"):
            document = self._from_file(version)
            if document is None and version in versions:
                document = self._second(given, returned) if version == "2" else self._third(version, given, returned)
            if document is not None:
                self._documents[version] = document

    def find(self, version: str) -> tuple[int, Any]:
        """Status and JSON value for a `version` query value."""
        known = _ALIASES.get(version)
        if known in self._documents:
            return 200, self._documents[known]
        names = ", ".join(self._documents)
        if known is None:
            return 404, {"message": f"Swagger version [{version}] is not valid. Supported versions: [{names}]."}
        text = f"Swagger version [{version}] is not supported for the scoring script. Supported swagger versions: [{names}]."
        return 404, {"message": text}

    def _from_file(self, version: str) -> Any:
        for name in _FILES[version]:
            try:
                with open(os.path.join(self._settings.app_root, name), encoding="utf-8") as file:
                    return json.load(file)
            except FileNotFoundError:
                continue
        return None

    def _info(self) -> dict[str, str]:
        name = self._settings.service_name
        description = f"API specification for the Azure Machine Learning service {name}"
        return {"title": name, "description": description, "version": self._settings.service_version}

    def _second(self, given: Any, returned: Any) -> Any:
        failed = {"description": _FAILED, "schema": {"$ref": "#/definitions/ErrorResponse"}}
        score = _operation("RunMLService", {"description": _DONE, "schema": {"$ref": "#/definitions/ServiceOutput"}}, failed)
        score["security"] = [{"Bearer": []}]
        body = {"name": "serviceInputPayload", "in": "body", "schema": {"$ref": "#/definitions/ServiceInput"}}
        score["parameters"] = [{**body, "description": "The input payload for executing the service."}]
        health = _operation("ServiceHealthCheck", {"description": "Healthy", "schema": {"type": "string"}}, failed)
        return {
            "swagger": "2.0",
            "info": self._info(),
            "schemes": ["https"],
            "consumes": ["application/json"],
            "produces": ["application/json"],
            "securityDefinitions": {"Bearer": {"type": "apiKey", "name": "Authorization", "in": "header"}},
            "paths": {f"{self._prefix}/": {"get": health}, f"{self._prefix}/score": {"post": score}},
            "definitions": {"ServiceInput": given, "ServiceOutput": returned, "ErrorResponse": _ERROR},
        }

    def _third(self, version: str, given: Any, returned: Any) -> Any:
        failed = {"description": _FAILED, **_content({"$ref": "#/components/schemas/ErrorResponse"})}
        done = {"description": _DONE, **_content({"$ref": "#/components/schemas/ServiceOutput"})}
        score = _operation("RunMLService", done, failed)
        score["security"] = [{"Bearer": []}]
        score["requestBody"] = _content({"$ref": "#/components/schemas/ServiceInput"})
        health = _operation("ServiceHealthCheck", {"description": "Healthy", **_content({"type": "string"})}, failed)
        return {
            "openapi": "3.1.0" if version == "3.1" else "3.0.3",
            "info": self._info(),
            "paths": {f"{self._prefix}/": {"get": health}, f"{self._prefix}/score": {"post": score}},
            "components": {
                "securitySchemes": {"Bearer": {"type": "apiKey", "name": "Authorization", "in": "header"}},
                "schemas": {"ServiceInput": given, "ServiceOutput": returned, "ErrorResponse": _ERROR},
            },
        }


def _operation(name: str, done: Any, failed: Any) -> dict[str, Any]:
    return {"operationId": name, "responses": {"200": done, "default": failed}}


def _content(schema: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}
