"""What tests of several topics share: asking an application over HTTP without a network."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import httpx
import pytest
from starlette.types import ASGIApp


class _InProcess(httpx.BaseTransport):
    """Hands each request to the application, in an event loop of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.ASGITransport(app=self._app, raise_app_exceptions=True) as transport:
                copy = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
                answer = await transport.handle_async_request(copy)
                return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

        return asyncio.run(ask())


@contextlib.contextmanager
def opening() -> Iterator[Callable[[ASGIApp, str], httpx.Client]]:
    """`asking(app, "https://host")`: a client of one application; the host of the URL is the Host header."""
    opened: list[httpx.Client] = []

    def make(app: ASGIApp, base: str) -> httpx.Client:
        opened.append(httpx.Client(transport=_InProcess(app), base_url=base))
        return opened[-1]

    yield make
    for client in opened:
        client.close()


@pytest.fixture
def asking() -> Iterator[Callable[[ASGIApp, str], httpx.Client]]:
    """As `opening`, for one test."""
    with opening() as make:
        yield make


#: What takes longest begins first, so that no core is idle at the end.
_LONGEST = (
    "tests/az/test_whole_document.py",
    "tests/e2e/",
    "tests/az/",
    "tests/registry/test_outbound_limits.py",
    "tests/ml/",
    "tests/sandbox/",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        path = item.path.relative_to(config.rootpath).as_posix()
        return next((number for number, begin in enumerate(_LONGEST) if path.startswith(begin)), len(_LONGEST))

    items.sort(key=rank)
