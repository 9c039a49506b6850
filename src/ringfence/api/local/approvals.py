"""The operator answers for a person: a device's sign-in is approved or declined without a browser.

Whoever may open the local API owns the state folder, and with it every secret in it.
"""

from __future__ import annotations

from collections.abc import Mapping

from ringfence.control.identities import Identities
from ringfence.model import errors
from ringfence.model.directory import DOMAIN


def decide(identities: Identities, code: str, user: str, *, approved: bool) -> Mapping[str, object]:
    """Who signed in, and through which application. user: a UPN, or its part before the `@`.

    Raises NotFound (`UserNotFound`, `CodeNotFound`), Conflict (`UserDisabled`).
    """
    name = user if "@" in user else f"{user}@{DOMAIN}"
    person = identities.directory().named("user", name)
    if person is None:
        there = ", ".join(sorted(found.name for found in identities.directory().of_kind("user"))[:20])
        raise errors.NotFound(
            "UserNotFound", f"There is no user {name[:200]!r} in the tenant. There are: {there}.", target="user"
        )
    if not person.enabled:
        raise errors.Conflict("UserDisabled", f"The user {person.name} is disabled and cannot sign in.", target="user")
    waiting = identities.grants.waiting(code)
    if waiting is None or not identities.grants.decide(code, person.object_id, approved=approved):
        raise errors.NotFound(
            "CodeNotFound",
            f"No sign-in waits with the code {code[:40]!r}: it was answered or is expired. Have the program show a new code.",
            target="code",
        )
    return {"user": person.name, "objectId": person.object_id, "application": waiting.client_id, "approved": approved}
