"""The generic verbs: GET, HEAD, PUT, PATCH and DELETE of an item, GET of a collection. Every type goes through them.

What differs between types is its row in `registry`. Quick operations are waited for, so
that most answers are final; slower ones answer with an operation to follow.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response

from ringfence.api.arm import asked as answers
from ringfence.api.arm import containers, documents, private, wire
from ringfence.api.arm.asked import Asked
from ringfence.api.arm.registry import Row, spelled
from ringfence.control import acceptance, wording
from ringfence.control.engine import Engine
from ringfence.control.operations import Operation, Status
from ringfence.model import compute as compute_nouns
from ringfence.model import containers as container_nouns
from ringfence.model import errors, ml, private_dns
from ringfence.model.ids import GROUP_TYPE, ResourceId
from ringfence.model.resource import ProvisioningState, Resource
from ringfence.policy import authority

#: How long a handler waits for an operation to end, in seconds.
PATIENCE_S = 2.0
#: How often a PATCH is tried while others write the same resource.
_MOST_TRIES = 5


class Items:
    """tenant: of the one subscription."""

    def __init__(self, engine: Engine, tenant: str) -> None:
        self._engine = engine
        self._tenant = tenant
        self._verbs: dict[str, Callable[[Asked, Row, ResourceId], Response]] = {
            "GET": self._get,
            "HEAD": self._get,
            "PUT": self._put,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }

    def answer(self, asked: Asked, row: Row, id: ResourceId) -> Response:
        """Raises errors.Problem. The row allows the method."""
        return self._verbs[asked.method](asked, row, spelled(id))

    def collection(self, asked: Asked, row: Row, scope: ResourceId) -> Response:
        """Everything of a type in a subscription, a group or a parent that the caller may read."""
        snapshot = self._engine.snapshot()
        # Resource Manager keeps groups itself, and filters their list for everybody who sees the subscription.
        require = authority.require_sight if row.type == GROUP_TYPE else authority.require_list
        require(snapshot, asked.caller, row.type, scope)
        if scope.group is not None:
            self._engine.get(scope.group_id if scope.provider is None else scope)
        found = [r for r in snapshot.of_type(row.type) if r.id.within(scope)]
        return answers.listing([self._document(r) for r in authority.readable(snapshot, asked.caller, found)])

    def link_resources(self, row: Row, target: ResourceId) -> Response:
        """The sub-resources that a target takes private endpoints for."""
        found = self._engine.get(spelled(target))
        return answers.listing(private.link_resources(self._engine.snapshot(), found))

    def record_sets(self, zone: ResourceId) -> Response:
        """Every record set of a private zone, of all types."""
        self._engine.get(spelled(zone))
        found = [r for r in self._engine.snapshot().children(zone) if private_dns.is_record_set(r.type)]
        return answers.listing([self._document(r) for r in found])

    def _get(self, asked: Asked, row: Row, id: ResourceId) -> Response:
        resource = self._engine.get(id)
        if asked.method == "HEAD":
            return answers.nothing(204)
        return answers.document(self._document(resource), headers={"ETag": documents.etag(resource)})

    def _put(self, asked: Asked, row: Row, id: ResourceId) -> Response:
        body = wire.parse(asked.body)
        self._same_id(body.get("id"), id)
        put = wire.put(row, id, body, self._engine.snapshot(), self._engine.clock())
        accepted = self._engine.put(
            put.draft,
            also=put.also,
            remove=put.remove,
            if_match=asked.if_match,
            if_none_match=asked.if_none_match,
            caller=asked.caller,
        )
        return self._written(asked, row, accepted.operation, created=accepted.created)

    def _patch(self, asked: Asked, row: Row, id: ResourceId) -> Response:
        body = wire.parse(asked.body)
        for _ in range(_MOST_TRIES):
            old = self._engine.get(id)
            acceptance.check_etag(old, asked.if_match)
            draft = wire.patch(row, old, body, self._engine.clock())
            try:
                accepted = self._engine.patch(draft, etag=old.etag, caller=asked.caller)
            except errors.PreconditionFailed:
                # Somebody wrote between reading and writing: the patch applies to what there is now.
                continue
            return self._written(asked, row, accepted.operation, created=False)
        raise wording.busy(id)

    def _delete(self, asked: Asked, row: Row, id: ResourceId) -> Response:
        spare = self._spared(asked, id)
        known = self._engine.snapshot().get(id)
        operation = self._engine.delete(id, if_match=asked.if_match, caller=asked.caller, spare=spare)
        if operation is None or known is None:
            return answers.nothing(204)
        if not row.always_async and not operation.status.terminal:
            operation = self._engine.wait(operation.id, PATIENCE_S)
        if operation.status is Status.SUCCEEDED and not row.always_async:
            return answers.nothing(200)
        return answers.nothing(202, answers.following(operation, asked.version, known.location))

    def _written(self, asked: Asked, row: Row, operation: Operation, *, created: bool) -> Response:
        if not row.always_async and not operation.status.terminal:
            operation = self._engine.wait(operation.id, PATIENCE_S)
        resource = self._engine.get(operation.resource_id)
        headers = {"ETag": documents.etag(resource)}
        if row.always_async or operation.status is not Status.SUCCEEDED:
            headers |= answers.following(operation, asked.version, resource.location)
        return answers.document(self._document(resource), row.created if created else 200, headers)

    def _document(self, resource: Resource) -> documents.Document:
        failure = None
        if resource.state is ProvisioningState.FAILED:
            operation = self._engine.latest(resource.id)
            if operation is not None and operation.code:
                failure = errors.Problem(operation.code, operation.message)
        shown = documents.document(self._engine.snapshot(), resource, tenant=self._tenant, failure=failure)
        if resource.type == container_nouns.CONTAINER_GROUP:
            return containers.with_instances(shown, resource, self._engine.instances(resource.id))
        return shown

    def _same_id(self, given: object, id: ResourceId) -> None:
        """A body that names another resource than its path was meant for somewhere else."""
        if isinstance(given, str) and given and ResourceId.parse(given) != id:
            message = f"The id '{given[:300]}' of the body is not the id of the request, '{id}'."
            raise errors.Invalid("InvalidRequestContent", message, target="id")

    def _spared(self, asked: Asked, id: ResourceId) -> str | None:
        """A detached compute leaves its cluster; one that is deleted takes the cluster that it brought with it."""
        action = asked.query.get("underlyingresourceaction", "delete").lower()
        if action not in ("delete", "detach"):
            raise errors.Invalid(
                "InvalidParameter",
                f"underlyingResourceAction is '{action[:50]}'; it is Delete or Detach.",
                target="underlyingResourceAction",
            )
        known = self._engine.snapshot().get(id)
        if action == "detach":
            return compute_nouns.MANAGED_CLUSTER
        if known is not None and isinstance(known.properties, ml.Compute) and known.properties.resource_id is not None:
            message = (
                f"The compute '{id.name}' is an attached cluster, which the workspace did not make and does not delete. "
                "Detach it (underlyingResourceAction=Detach), and delete the cluster itself."
            )
            raise errors.Invalid("DeleteNotSupportedForAttachedCompute", message, target="underlyingResourceAction")
        return None
