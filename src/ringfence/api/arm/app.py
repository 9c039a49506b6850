"""The Resource Manager application: lets requests in, finds out what they are about, answers refusals.

Every request but the metadata's has to carry a token that holds. Handlers run in
threads, because the engine blocks; a refusal is logged here and nowhere else.
"""

from __future__ import annotations

import logging
from typing import Protocol

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ringfence.api import errors as table
from ringfence.api.arm import actions, availability, directory, metadata, online_endpoints, paths, registries, service_tags, wire
from ringfence.api.arm import asked as answers
from ringfence.api.arm.asked import Asked
from ringfence.api.arm.authorization import Authorization
from ringfence.api.arm.container_actions import ContainerActions, Issue
from ringfence.api.arm.credentials import Credentials
from ringfence.api.arm.deployments import Deployments
from ringfence.api.arm.directory import Directory, Subscription
from ringfence.api.arm.handlers import Items
from ringfence.api.arm.operations import Operations
from ringfence.api.arm.paths import About, Path
from ringfence.api.arm.registries import RegistryActions
from ringfence.api.arm.registry import spelled
from ringfence.control.engine import Engine
from ringfence.model import deployment, errors, private_dns
from ringfence.model.ids import GROUP_TYPE, ResourceId
from ringfence.policy import access, authority
from ringfence.policy.access import Caller

log = logging.getLogger(__name__)

#: What a method does to an item, as operations are named.
_VERBS = {
    "GET": authority.READ,
    "HEAD": authority.READ,
    "PUT": authority.WRITE,
    "PATCH": authority.WRITE,
    "DELETE": authority.DELETE,
}

_METHODS = ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS"]


class Verifier(Protocol):
    """Whether a token holds."""

    def verify(self, authorization: str | None) -> Caller:
        """Whom the token names. Raises errors.Unauthenticated."""
        ...


class Arm:
    """The application's one endpoint."""

    def __init__(
        self,
        engine: Engine,
        verifier: Verifier,
        subscription: Subscription,
        credentials: Credentials,
        issue: Issue | None,
        images: RegistryActions | None = None,
    ) -> None:
        self._engine = engine
        self._verifier = verifier
        self._subscription = subscription
        self._items = Items(engine, subscription.tenant)
        self._operations = Operations(engine, subscription.tenant)
        self._directory = Directory(engine, subscription)
        self._deployments = Deployments(engine, subscription.tenant)
        self._images = images
        self._authorization = Authorization(engine, subscription)
        self._credentials = credentials
        self._containers = ContainerActions(engine, issue)

    async def endpoint(self, request: Request) -> Response:
        request_id = self._engine.new_id()
        try:
            response = await self._answer(request)
        except errors.Problem as problem:
            level = logging.INFO if table.status(problem) != 401 else logging.WARNING
            log.log(
                level, "%s %s refused: %s %s (request %s)", request.method, _shown(request), problem.code, problem, request_id
            )
            response = answers.refused(problem, self._subscription.tenant)
        except ClientDisconnect:
            log.info("%s %s: the client left before its request was complete", request.method, _shown(request))
            response = Response(status_code=400)
        except Exception:  # the boundary: the cause goes to the log, its id to the client
            log.exception("%s %s failed (request %s)", request.method, _shown(request), request_id)
            response = JSONResponse(table.internal(), 500)
        correlation = answers.correlation(request.headers.get("x-ms-correlation-request-id"), request_id)
        response.headers["x-ms-request-id"] = request_id
        response.headers["x-ms-correlation-request-id"] = correlation
        response.headers["Cache-Control"] = "no-cache"
        return response

    async def _answer(self, request: Request) -> Response:
        query = {name.lower(): value for name, value in request.query_params.items()}
        path = "/" + "/".join(part for part in str(request.scope["path"]).split("/") if part)
        if path.lower() == "/metadata/endpoints":
            return self._metadata(request.method, query)
        caller = self._verifier.verify(request.headers.get("authorization"))
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await _body(request)
        asked = Asked(method=request.method, path=path, query=query, headers=headers, body=body, caller=caller)
        return await run_in_threadpool(self._dispatch, asked)

    def _metadata(self, method: str, query: dict[str, str]) -> Response:
        if method not in ("GET", "HEAD"):
            raise _not_allowed(method, "metadata/endpoints")
        version = Asked(method=method, path="", query=query, headers={}).version
        return JSONResponse(metadata.endpoints(version))

    def _dispatch(self, asked: Asked) -> Response:
        version = asked.version
        path = paths.parse(asked.path)
        if path.id is not None:
            self._own(path.id.subscription)
        if path.about is About.AUTHORIZATION:
            return self._authorization.answer(asked, path)
        if self._containers.concerns(path):
            assert path.id is not None
            self._require(asked, authority.action(path.type, "read" if asked.method == "GET" else "action"), path.id)
            return self._containers.answer(asked, path)
        if path.about is About.ITEM or (path.about is About.COLLECTION and asked.method == "POST"):
            return self._item(asked, path, version)
        if asked.method not in ("GET", "HEAD"):
            raise _not_allowed(asked.method, asked.path)
        return self._read(asked, path, version)

    def _item(self, asked: Asked, path: Path, version: str) -> Response:
        assert path.id is not None
        if path.about is About.COLLECTION:
            return self._action(asked, path, version)
        if online_endpoints.concerns(path.id.type) and asked.method == "PUT":
            online_endpoints.require_other_compute(self._engine.snapshot(), path.id, wire.parse(asked.body))
        row = directory.row_of(path.id.type, version)
        if path.id.group is None:
            raise directory.unknown_type(row.provider, "/".join(row.kinds), version)
        if asked.method not in row.verbs:
            raise _not_allowed(asked.method, row.type)
        self._require(asked, authority.action(row.type, _VERBS[asked.method]), path.id)
        if asked.method == "PUT" and row.type.lower() == deployment.DEPLOYMENT:
            return self._deployments.put(asked, path.id)
        return self._items.answer(asked, row, path.id)

    def _action(self, asked: Asked, path: Path, version: str) -> Response:
        """POST of something that is no resource: an action on the item before it."""
        assert path.id is not None
        if availability.concerns(path.type):
            return availability.answer(self._engine, asked, path.type)
        kind, _, action = path.type.rpartition("/")
        if path.type.lower() == registries.CHECK_NAME:
            self._require(asked, "Microsoft.ContainerRegistry/checkNameAvailability/read", path.id)
            return self._of_registries().check_name(asked)
        row = directory.row_of(kind, version)
        self._require(asked, authority.action(row.type, f"{action}/action"), path.id)
        if action.lower() not in row.actions:
            raise _not_allowed(asked.method, f"{row.type}/{action}")
        if row.type.lower() == deployment.DEPLOYMENT:
            return self._deployments.validate(asked, path.id)
        if row.type == registries.TYPE:
            return self._of_registries().act(asked, path.id, action.lower())
        handler = actions.HANDLERS.get((row.type.lower(), action.lower()))
        if handler is not None:
            return handler(self._engine, asked, self._engine.get(path.id))
        return self._credentials.answer(asked, path.id, action)

    def _read(self, asked: Asked, path: Path, version: str) -> Response:
        match path.about:
            case About.SUBSCRIPTIONS:
                return self._directory.subscriptions(asked)
            case About.SUBSCRIPTION:
                return self._directory.subscription(asked)
            case About.TENANTS:
                return self._directory.tenants()
            case About.MANAGEMENT_GROUPS:
                return self._directory.management_groups(asked, path.name)
            case About.LOCATIONS:
                return self._directory.locations(asked)
            case About.PROVIDERS:
                return self._directory.providers(asked, path.name)
            case About.OPERATION:
                return self._operations.status(asked, path.name)
            case About.RESULT:
                return self._operations.result(asked, path.name)
            case _:
                return self._listed(asked, path, version)

    def _listed(self, asked: Asked, path: Path, version: str) -> Response:
        assert path.id is not None
        if path.about is About.RESOURCES:
            return self._directory.resources(asked, path.id)
        if path.type.lower() == deployment.DEPLOYMENT:
            return self._deployments.listed(asked, path.id)
        if path.type.lower() == f"{deployment.DEPLOYMENT}/operations":
            self._require(asked, "Microsoft.Resources/deployments/operations/read", path.id)
            return self._deployments.operations(path.id)
        if path.type.lower() == service_tags.TYPE:
            self._require(asked, "Microsoft.Network/locations/serviceTags/read", path.id)
            return service_tags.listed(path.id)
        if path.type.lower() == registries.USAGES:
            self._require(asked, f"{registries.TYPE}/listUsages/read", path.id)
            return self._of_registries().usages(path.id)
        if path.type.lower().endswith("/privatelinkresources"):
            self._require(asked, authority.action(path.type, authority.READ), path.id)
            return self._items.link_resources(directory.row_of(path.type.rpartition("/")[0], version), path.id)
        if path.type.lower() == f"{private_dns.ZONE}/all":
            self._require(asked, authority.action(path.type, authority.READ), path.id)
            return self._items.record_sets(path.id)
        type = GROUP_TYPE if path.about is About.GROUPS else path.type
        return self._items.collection(asked, directory.row_of(type, version), path.id)

    def _require(self, asked: Asked, action: str, scope: ResourceId) -> None:
        """Before anything is said about what is there. Raises Forbidden (`AuthorizationFailed`)."""
        access.require(self._engine.snapshot(), asked.caller, action, spelled(scope))

    def _of_registries(self) -> RegistryActions:
        if self._images is None:
            raise errors.Unsupported("NotSupported", "This control plane keeps no images, so it has no registry to act on.")
        return self._images

    def _own(self, subscription: str) -> None:
        """Raises for every subscription but the one there is."""
        if subscription.lower() == self._subscription.id:
            return
        if not _is_guid(subscription):
            raise errors.Invalid(
                "InvalidSubscriptionId", f"The provided subscription identifier '{subscription[:100]}' is malformed or invalid."
            )
        raise errors.NotFound("SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")


def build(
    engine: Engine,
    verifier: Verifier,
    subscription: Subscription,
    credentials: Credentials,
    issue: Issue | None = None,
    images: RegistryActions | None = None,
) -> Starlette:
    """The application for `management.azure.com`.

    issue: tickets of connections into containers. images: None where no registry keeps any.
    """
    arm = Arm(engine, verifier, subscription, credentials, issue, images)
    return Starlette(routes=[Route("/{path:path}", arm.endpoint, methods=_METHODS)])


async def _body(request: Request) -> bytes:
    """Raises TooLarge before it reads more than it may."""
    taken = bytearray()
    async for chunk in request.stream():
        taken += chunk
        if len(taken) > wire.MOST_BYTES:
            raise errors.TooLarge(
                "RequestEntityTooLarge", f"The request content size exceeds the maximum size of {wire.MOST_BYTES} bytes."
            )
    return bytes(taken)


def _not_allowed(method: str, what: str) -> table.MethodNotAllowed:
    return table.MethodNotAllowed(
        "MethodNotAllowed", f"The requested resource '{what[:300]}' does not support http method '{method[:20]}'."
    )


def _is_guid(text: str) -> bool:
    parts = text.split("-")
    return [len(part) for part in parts] == [8, 4, 4, 4, 12] and all(c in "0123456789abcdefABCDEF" for c in "".join(parts))


def _shown(request: Request) -> str:
    path = str(request.scope["path"])
    return repr(path if len(path) <= 300 else path[:300] + "…")
