"""Answers of the data plane: documents, times, and errors in the shape that each client library reads."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping

from starlette.responses import JSONResponse, Response

from ringfence.api import errors as table
from ringfence.model import errors

log = logging.getLogger(__name__)


def instant(when: dt.datetime) -> str:
    """ISO 8601 in UTC, as the SDK's parsers read it."""
    return f"{when.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def document(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(value, status, headers=dict(headers or {}))


def page(value: list[object], next_link: str | None = None) -> Response:
    """A list. `nextLink` is absent on the last page: the SDK follows it wherever it is present."""
    return JSONResponse({"value": value} | ({"nextLink": next_link} if next_link else {}))


def error(problem: errors.Problem, request_id: str) -> dict[str, object]:
    """Both shapes at once: flat for models and services, `error` for artifacts, environments and computes."""
    details = [{"code": d.code, "message": d.message, "target": d.target} for d in problem.details]
    return {
        "code": problem.code,
        "statusCode": table.status(problem),
        "message": problem.message,
        "details": details,
        "correlation": {"RequestId": request_id},
        **table.body(problem),
    }


def refused(problem: errors.Problem, request_id: str, tenant: str) -> Response:
    """The response to a refusal, logged here and nowhere else."""
    status = table.status(problem)
    log.info("ml: refused with %d %s: %s (request %s)", status, problem.code, problem.message, request_id)
    headers = {}
    if status == 401:
        authority = f'authorization_uri="https://login.microsoftonline.com/{tenant}"'
        headers["WWW-Authenticate"] = f'Bearer {authority}, error="invalid_token"'
    return JSONResponse(error(problem, request_id), status, headers=headers)
