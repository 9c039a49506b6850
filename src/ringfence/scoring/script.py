"""The user's script: how it is found, what its run() must look like, and how input becomes arguments.

The rules are those of Azure ML's inference server. Nothing here knows sockets or threads;
`Script.arguments` runs before user code, `Script.run` is the user's own function.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

from . import interop
from .wire import Request

_FORMS = (b"application/x-www-form-urlencoded", b"multipart/form-data")


class ScriptError(Exception):
    """The script cannot be served; the message says what it lacks."""


class BadInput(Exception):
    """What the client sent does not fit run(); status 400, 405 or 415."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Script:
    """A loaded script. mode: "text" (undecorated), "object" (@input_schema) or "raw" (@rawhttp)."""

    def __init__(self, module: ModuleType, run: Callable[..., Any]) -> None:
        self.init: Callable[[], object] = module.init
        self.run = run
        parameters = list(inspect.signature(run).parameters.values())
        if any(p.kind not in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters):
            raise ScriptError("run() cannot accept positional-only arguments, *args, or **kwargs.")
        self.wants_headers = any(p.name == "request_headers" for p in parameters)
        self.parameters = [p for p in parameters if p.name != "request_headers"]
        if not self.parameters:
            other = 'other than "request_headers"' if self.wants_headers else "for input data"
            raise ScriptError(f"run() needs to accept an argument {other}.")
        self.mode = self._mode()
        self._first = self.parameters[0].name

    def _mode(self) -> str:
        raw, decorated = interop.raw_requested(), interop.is_decorated(self.run)
        if raw and decorated:
            raise ScriptError("run() cannot be decorated with both @rawhttp and @input_schema")
        return "raw" if raw else "object" if decorated else "text"

    def arguments(self, request: Request) -> dict[str, Any]:
        """Keyword arguments for run(). Raises BadInput."""
        arguments = self._arguments(request)
        if self.wants_headers:
            arguments["request_headers"] = _title_case(request)
        return arguments

    def _arguments(self, request: Request) -> dict[str, Any]:
        if self.mode == "raw":
            return {self._first: interop.raw_request(request)}
        if request.method == "POST":
            return {self._first: _text(request)} if self.mode == "text" else self._pick(_json_object(request))
        if request.method == "GET":
            values = _query(request.query)
            return {self._first: json.dumps(values)} if self.mode == "text" else self._pick(values)
        raise BadInput(405, "Method not allowed")

    def _pick(self, values: dict[str, Any]) -> dict[str, Any]:
        picked = {}
        for parameter in self.parameters:
            value = values.get(parameter.name, parameter.default)
            if value is inspect.Parameter.empty:
                raise BadInput(400, f"A value is not provided for the {parameter.name!r} parameter.")
            picked[parameter.name] = value
        return picked


def load(app_root: str, entry_script: str | None) -> Script:
    """Import the script and check its shape. Raises ScriptError, or whatever the script raises while it is imported."""
    module = _import(os.path.join(app_root, entry_script)) if entry_script else importlib.import_module("main")
    for name in ("init", "run"):
        if not hasattr(module, name):
            raise ScriptError(f"User script at {module.__file__} does not have a {name}() function defined.")
    driver = getattr(module, "driver_module", None)
    if isinstance(driver, ModuleType) and hasattr(driver, "run"):
        return Script(module, driver.run)
    return Script(module, module.run)


def _import(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("entry_module", path)
    if spec is None or spec.loader is None:
        raise ScriptError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def extend_path(app_root: str, source_directory: str | None) -> None:
    """The working directory first, then what is installed, then the app root and the source directory."""
    sys.path.insert(0, os.getcwd())
    sys.path.append(app_root)
    if source_directory:
        sys.path.append(os.path.join(app_root, source_directory))


def _text(request: Request) -> str:
    # Azure's server lets Flask parse forms, and so hands run() an empty string; curl -d is such a form.
    if request.fields.get(b"content-type", b"").lower().startswith(_FORMS):
        return ""
    try:
        return request.body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(400, f"Input cannot be decoded as UTF-8: {error}") from None


def _json_object(request: Request) -> dict[str, Any]:
    kind = request.fields.get(b"content-type", b"").split(b";")[0].strip().lower()
    if kind != b"application/json" and not (kind.startswith(b"application/") and kind.endswith(b"+json")):
        raise BadInput(415, "Expects Content-Type to be application/json")
    if not request.body:
        raise BadInput(400, "POST body is empty. Expecting a JSON dictionary.")
    try:
        value = json.loads(request.body)
    except json.JSONDecodeError as error:  # bytes that are no text at all are an internal error there, and so here
        raise BadInput(400, f"POST body could not be decoded as JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadInput(400, "POST body should be a JSON dictionary.")
    return value


def _query(text: str) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        try:
            parsed: Any = json.loads(value)
        except ValueError:
            parsed = value
        found.setdefault(name, []).append(parsed)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _title_case(request: Request) -> dict[str, str]:
    return {name.decode("ascii").title(): value.decode("latin-1") for name, value in request.fields.items()}
