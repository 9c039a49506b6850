"""Tokens that open a scoring service: what they say and how long they hold.

Each service has a key of its own, so a token of one opens no other, and a new key ends all
tokens at once. Signing is the data plane's (`api/ml/service_tokens.py`), checking is the router's.
"""

from __future__ import annotations

import datetime as dt

from ringfence.model.resource import Resource

#: How long a token holds, and after which time clients fetch another. Azure's own hold for about an hour.
LIFETIME, REFRESH = dt.timedelta(hours=1), dt.timedelta(minutes=45)


def audience(service: Resource) -> str:
    """Whom a token is for: this very service; one of the same name made later is another."""
    return service.guid("token")
