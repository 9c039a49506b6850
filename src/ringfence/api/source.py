"""The address that a request came from, as the listener saw it. What it tells is `policy.arrivals`' question."""

from __future__ import annotations

from starlette.requests import Request


def of(request: Request) -> str:
    """ "" where the listener knew none."""
    return request.client.host if request.client is not None else ""
