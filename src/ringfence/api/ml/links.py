"""Links that need no token: signed URLs of logs, which the SDK prints or fetches without signing in.

A link names one path and holds for some hours of one run of the server.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlencode

from ringfence.model import errors

_HOLDS = dt.timedelta(hours=8)


class Links:
    """Signs and checks. key: random, at least 32 bytes."""

    def __init__(self, key: bytes, clock: Callable[[], dt.datetime]) -> None:
        self._key = key
        self._clock = clock

    def sign(self, base: str, path: str) -> str:
        """The absolute URL of a decoded path."""
        expiry = str(int((self._clock() + _HOLDS).timestamp()))
        return f"{base}{quote(path)}?{urlencode({'se': expiry, 'sig': self._mac(path, expiry)})}"

    def check(self, path: str, query: Mapping[str, str]) -> None:
        """Raises errors.Unauthenticated for a link of another path or run, or one that has run out."""
        expiry = query.get("se", "")
        if not hmac.compare_digest(self._mac(path, expiry).encode(), query.get("sig", "").encode()):
            raise errors.Unauthenticated("AuthenticationFailed", "The signature of this link does not fit its path.")
        if self._clock().timestamp() >= int(expiry):
            raise errors.Unauthenticated("AuthenticationFailed", "This link has run out; ask for a new one.")

    def _mac(self, path: str, expiry: str) -> str:
        return hmac.new(self._key, f"{path}\n{expiry}".encode(), hashlib.sha256).hexdigest()
