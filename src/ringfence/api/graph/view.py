"""The directory as Graph shows it: what is stored, and the managed identities that follow from resources."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

from ringfence.api.graph import documents, wording
from ringfence.api.graph.documents import Document
from ringfence.model.directory import GLOBAL_ADMINISTRATOR, Directory, Kind
from ringfence.model.resource import Snapshot
from ringfence.policy import principals


class View:
    """At one moment. snapshot: asked only when managed identities matter."""

    def __init__(self, directory: Directory, snapshot: Callable[[], Snapshot], tenant: str) -> None:
        self.directory = directory
        self.tenant = tenant
        self._snapshot = snapshot

    def all(self, kind: Kind) -> list[Document]:
        """Every object of a kind, oldest first; managed identities after the stored service principals."""
        found = [documents.of(self.directory, one, self.tenant) for one in self.directory.of_kind(kind)]
        return [*found, *self._managed.values()] if kind == "servicePrincipal" else found

    def get(self, object_id: str) -> Document | None:
        """By object id, of any kind."""
        stored = self.directory.get(object_id)
        if stored is not None:
            return documents.of(self.directory, stored, self.tenant)
        return self._managed.get(object_id.lower())

    def need(self, object_id: str) -> Document:
        """Raises NotFound (`Request_ResourceNotFound`)."""
        found = self.get(object_id)
        if found is None:
            raise wording.missing(object_id)
        return found

    def these(self, object_ids: Iterable[str]) -> list[Document]:
        """Those of them that exist."""
        return [found for id in object_ids if (found := self.get(id)) is not None]

    def roles_of(self, object_id: str) -> list[Document]:
        """The directory roles of a principal."""
        return [role(template) for template in sorted(self.directory.roles.get(object_id.lower(), frozenset()))]

    @cached_property
    def _managed(self) -> dict[str, Document]:
        snapshot = self._snapshot()
        found = principals.managed(snapshot)
        return {
            p.object_id: documents.managed_identity(p, snapshot.need(p.source_key), self.tenant)
            for p in found
            if p.source_key is not None
        }


def role(template: str) -> Document:
    """A directory role; there is one."""
    name = "Global Administrator" if template == GLOBAL_ADMINISTRATOR else template
    shown = {"displayName": name, "description": "Can manage all aspects of the directory.", "roleTemplateId": template}
    return {"@odata.type": "#microsoft.graph.directoryRole", "id": template, "deletedDateTime": None, **shown}
