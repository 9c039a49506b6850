"""One request to Graph as handlers see it, and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from ringfence.api.graph import query, wording
from ringfence.api.graph.documents import Document
from ringfence.api.graph.view import View
from ringfence.policy.access import Caller

ORIGIN = "https://graph.microsoft.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """url: without the query. version: `v1.0` or `beta`. options: the query. body: {} when there is none."""

    method: str
    url: str
    version: str
    options: Mapping[str, str]
    body: Mapping[str, JsonValue]
    caller: Caller
    view: View

    def text(self, name: str, *, required: bool = True) -> str:
        """A string of the body. Raises Invalid (`Request_BadRequest`)."""
        value = self.body.get(name)
        if value is None and not required:
            return ""
        if value is None or value == "":
            raise wording.required(name)
        if not isinstance(value, str) or len(value) > 1024:
            raise wording.invalid_value(name)
        return value

    def one(self, document: Document, kind: str, status: int = 200) -> Answer:
        """A single object, as `$select` wants it. kind: the collection it is in."""
        shown = {name: value for name, value in query.selected(self.options, document).items() if name != "@odata.type"}
        return Answer(status, {"@odata.context": f"{self._metadata}#{kind}/$entity", **shown})

    def many(self, documents: Sequence[Document], kind: str) -> Answer:
        """A page of a list; of objects of several kinds each says which it is."""
        mixed = kind == "directoryObjects"
        rows = [{name: value for name, value in d.items() if mixed or name != "@odata.type"} for d in documents]
        return Answer(200, query.page(self.options, rows, self.url, f"{self._metadata}#{kind}"))

    def strings(self, values: Sequence[str]) -> Answer:
        return Answer(200, {"@odata.context": f"{self._metadata}#Collection(Edm.String)", "value": list(values)})

    @property
    def _metadata(self) -> str:
        return f"{ORIGIN}/{self.version}/$metadata"


@dataclass(frozen=True, slots=True)
class Answer:
    """body: None for 204."""

    status: int
    body: Mapping[str, Any] | None = None


NOTHING = Answer(204)

Handler = Callable[..., Answer]
#: Method, path below the version with `{}` for what handlers are given, handler.
Row = tuple[str, str, Handler]
