"""What clients ask of a registry: scopes in a token's request, names of repositories, tags and digests."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ringfence.api.registry.answers import RegistryError
from ringfence.api.registry.tokens import Access

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST_NAME, _MOST_SCOPES = 255, 32


def repository(name: str) -> str:
    """Raises RegistryError (NAME_INVALID)."""
    if len(name) > _LONGEST_NAME or not _REPOSITORY.fullmatch(name):
        raise RegistryError("NAME_INVALID", "invalid repository name", {"name": name[:_LONGEST_NAME]})
    return name


def reference(text: str) -> str:
    """A tag or a digest. Raises RegistryError (DIGEST_INVALID, TAG_INVALID)."""
    if ":" in text:
        return "sha256:" + digest(text)
    if not _TAG.fullmatch(text):
        raise RegistryError("TAG_INVALID", "manifest tag did not match URI", {"tag": text[:_LONGEST_NAME]})
    return text


def digest(text: str) -> str:
    """The hexadecimal part. Raises RegistryError (DIGEST_INVALID); sha256 is the one algorithm, as in Azure."""
    if not _DIGEST.fullmatch(text):
        raise RegistryError("DIGEST_INVALID", "provided digest is not a sha256 digest", {"digest": text[:_LONGEST_NAME]})
    return text.removeprefix("sha256:")


def requested(scopes: Iterable[str]) -> tuple[Access, ...]:
    """`repository:a/b:pull,push registry:catalog:*` and repetitions of it. Raises RegistryError for what is none."""
    words = [word for text in scopes for word in text.split()]
    if len(words) > _MOST_SCOPES:
        raise RegistryError("BAD_REQUEST", f"more than {_MOST_SCOPES} scopes")
    return tuple(map(_scope, words))


def _scope(word: str) -> Access:
    kind, _, rest = word.partition(":")
    name, colon, actions = rest.rpartition(":")
    if not colon or kind not in ("repository", "registry"):
        raise RegistryError("BAD_REQUEST", f"{word[:_LONGEST_NAME]!r} is not a scope of the form repository:NAME:ACTIONS")
    return Access(kind, name, tuple(dict.fromkeys(actions.split(","))))
