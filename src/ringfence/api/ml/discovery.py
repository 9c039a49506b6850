"""Where the data plane's services are: one flat document, the same host for all (contract section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: What clients look up; the first six have to be there.
_SERVICES = ("api", "history", "experimentation", "hyperdrive", "modelmanagement", "studio", "pipelines", "credentialing")


def answers_for(path: Sequence[str]) -> bool:
    """`/discovery`, or `/discovery/workspaces/{guid}`."""
    return bool(path) and path[0].lower() == "discovery" and len(path) in (1, 3)


def document(base: str) -> Mapping[str, str]:
    """base: without a final slash."""
    return {name: base for name in _SERVICES}
