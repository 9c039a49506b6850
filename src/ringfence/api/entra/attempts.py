"""How often somebody was wrong lately: who guesses passwords or codes is made to wait (Entra's smart lockout)."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable

#: Failures after which a name is locked, and for how long, as Entra's first lockout.
_MOST, _LOCKED_S = 10, 60
_MOST_NAMES = 10_000


class Attempts:
    """In memory: a restart forgets, which takes longer than a lock. clock: the time, with a zone."""

    def __init__(self, clock: Callable[[], dt.datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, tuple[int, dt.datetime]] = {}

    def wait_s(self, name: str) -> float:
        """Seconds until another attempt is looked at; 0 when it is now."""
        with self._lock:
            count, last = self._failures.get(name.lower(), (0, self._clock()))
        left = _LOCKED_S - (self._clock() - last).total_seconds()
        return left if count >= _MOST and left > 0 else 0.0

    def failed(self, name: str) -> None:
        """Count one; what lies longer back than a lock lasts does not count."""
        now, key = self._clock(), name.lower()
        with self._lock:
            count, last = self._failures.pop(key, (0, now))
            self._failures[key] = (1 if (now - last).total_seconds() > _LOCKED_S else count + 1), now
            if len(self._failures) > _MOST_NAMES:
                del self._failures[next(iter(self._failures))]

    def succeeded(self, name: str) -> None:
        with self._lock:
            self._failures.pop(name.lower(), None)
