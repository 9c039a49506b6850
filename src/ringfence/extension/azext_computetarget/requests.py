"""Requests to Azure Resource Manager with the CLI's own session, and waiting for what takes long."""

from __future__ import annotations

import json
import time
from typing import Any

from azure.cli.core.azclierror import (
    AzureResponseError,
    BadRequestError,
    ForbiddenError,
    HTTPError,
    ResourceNotFoundError,
    UnauthorizedError,
)
from azure.cli.core.util import send_raw_request
from requests import Response

PROVIDER = "Microsoft.MachineLearningServices"
_VERSION = "2021-01-01"
_CLASSES = {400: BadRequestError, 401: UnauthorizedError, 403: ForbiddenError, 404: ResourceNotFoundError}
_LONGEST_PAUSE_S = 30.0


def get(cmd: Any, path: str) -> dict[str, Any]:
    """The document at a path. Raises a CLI error."""
    return _object(_send(cmd, "GET", path))


def listed(cmd: Any, path: str) -> list[dict[str, Any]]:
    """Everything of a collection, page by page. Raises a CLI error."""
    found: list[dict[str, Any]] = []
    url: str | None = path
    while url:
        page = _object(_send(cmd, "GET", url))
        found += page.get("value", [])
        url = page.get("nextLink")
    return found


def post(cmd: Any, path: str) -> dict[str, Any]:
    """The answer to an action without arguments. Raises a CLI error."""
    return _object(_send(cmd, "POST", path))


def put(cmd: Any, path: str, body: dict[str, Any], *, wait: bool) -> dict[str, Any]:
    """Write and, if asked, wait; the document as it is then. Raises a CLI error, also when the operation fails."""
    answer = _send(cmd, "PUT", path, body)
    if not wait:
        return _object(answer)
    _follow(cmd, answer)
    return get(cmd, path)


def remove(cmd: Any, path: str, action: str) -> None:
    """Delete a compute and wait. action: what becomes of its cluster, `Delete` or `Detach`. Raises a CLI error."""
    _follow(cmd, _send(cmd, "DELETE", path, query=f"&underlyingResourceAction={action}"))


def _follow(cmd: Any, answer: Response) -> None:
    url = answer.headers.get("Azure-AsyncOperation")
    if url is None:
        return
    progress = cmd.cli_ctx.get_progress_controller()
    progress.begin(message="Running")
    try:
        while True:
            status = _object(answer).get("status") if answer.request.method == "GET" else None
            if status in ("Failed", "Canceled"):
                raise AzureResponseError(_said(_object(answer).get("error"), f"The operation ended {status}."))
            if status == "Succeeded":
                return
            time.sleep(min(float(answer.headers.get("Retry-After", 1)), _LONGEST_PAUSE_S))
            answer = _send(cmd, "GET", url)
            progress.add(message="Running")
    finally:
        progress.end()


def _send(cmd: Any, method: str, path: str, body: dict[str, Any] | None = None, query: str = "") -> Response:
    url = path
    if path.startswith("/"):
        url = f"{cmd.cli_ctx.cloud.endpoints.resource_manager.rstrip('/')}{path}?api-version={_VERSION}{query}"
    try:
        found: Response = send_raw_request(cmd.cli_ctx, method, url, body=None if body is None else json.dumps(body))
    except HTTPError as error:
        raise _refusal(error) from error
    return found


def _refusal(error: HTTPError) -> Exception:
    kind = _CLASSES.get(error.response.status_code, AzureResponseError)
    try:
        said = error.response.json().get("error")
    except ValueError:
        said = None
    refusal: Exception = kind(_said(said, str(error)))
    return refusal


def _said(error: Any, otherwise: str) -> str:
    if not isinstance(error, dict) or "message" not in error:
        return otherwise
    return f"({error.get('code', 'Error')}) {error['message']}"


def _object(answer: Response) -> dict[str, Any]:
    if not answer.content:
        return {}
    found: dict[str, Any] = answer.json()
    return found
