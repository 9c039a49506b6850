"""Azure's own helper packages, if the user's environment has them: @input_schema, @rawhttp, AMLResponse.

Nothing is imported until the script asks for it, because Flask costs more to load than this
server. The names of the retired azureml-contrib-services package lead to the same modules.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .wire import Request

_PACKAGE = "azureml_inference_server_http"
_ALIASES = {
    "azureml.contrib.services.aml_request": f"{_PACKAGE}.api.aml_request",
    "azureml.contrib.services.aml_response": f"{_PACKAGE}.api.aml_response",
}


class _Alias(ModuleType):
    """Stands for another module and imports it when a name is first asked of it."""

    def __init__(self, name: str, real: str) -> None:
        super().__init__(name)
        self.__dict__["_real"] = real

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__dict__["_real"]), name)


def install_aliases() -> None:
    """Make the retired names importable, if the package that replaced them is there."""
    if importlib.util.find_spec(_PACKAGE) is not None:
        for name, real in _ALIASES.items():
            sys.modules.setdefault(name, _Alias(name, real))


def raw_requested() -> bool:
    """Whether any function was decorated with @rawhttp (a flag of the whole process, as Azure has it)."""
    module = sys.modules.get(f"{_PACKAGE}.api.aml_request")
    return bool(getattr(module, "_rawHttpRequested", False))


def is_decorated(run: Callable[..., Any]) -> bool:
    """Whether run carries @input_schema or @output_schema."""
    module = sys.modules.get("inference_schema.schema_util")
    return module is not None and bool(module.is_schema_decorated(run))


def schemas(run: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, Any], frozenset[str]]:
    """Input schema, output schema and the swagger versions they can be written in."""
    module = sys.modules.get("inference_schema.schema_util")
    if module is None or not is_decorated(run):
        plain = {"type": "object", "example": {}}
        return plain, plain, frozenset({"2", "3", "3.1"})
    versions = frozenset(str(v).replace(".0", "") for v in module.get_supported_versions(run))
    return module.get_input_schema(run), module.get_output_schema(run), versions


def raw_request(request: Request) -> Any:
    """The request as Flask's own class."""
    flask = importlib.import_module("flask")
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.fields.items():
        key = name.decode("ascii").upper().replace("-", "_")
        if key == "CONTENT_TYPE":
            environ[key] = value.decode("latin-1")
        elif key not in ("CONTENT_LENGTH", "TRANSFER_ENCODING"):
            environ[f"HTTP_{key}"] = value.decode("latin-1")
    return flask.Request(environ)


def response_parts(output: Any) -> tuple[int, list[tuple[str, str]], bytes] | None:
    """Status, header fields and body of a Flask or werkzeug response; None for any other value."""
    module = sys.modules.get("werkzeug.wrappers")
    if module is None or not isinstance(output, module.Response):
        return None
    body: bytes = output.get_data()
    return int(output.status_code), [(str(k), str(v)) for k, v in output.headers.items()], body
