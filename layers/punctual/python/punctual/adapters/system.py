"""The machine's clock and randomness: the only module that reads them."""

import random
import secrets
import time
from datetime import datetime, timedelta

from punctual.core.instants import from_epoch_ms


class SystemClock:
    """Fills `Clock` with the machine's own."""

    def now(self) -> datetime:
        """Return the present instant: aware, UTC, whole milliseconds (rounded down)."""
        return from_epoch_ms(time.time_ns() // 1_000_000)

    def sleep(self, duration: timedelta) -> None:
        """Return after `duration`; at once when it is not positive."""
        if duration > timedelta(0):
            time.sleep(duration.total_seconds())


class SystemChance:
    """Fills `Chance` with the operating system's randomness, and a generator seeded from it."""

    def __init__(self) -> None:
        self._draws = random.Random(secrets.randbits(128))  # noqa: S311 - jitter is no secret

    def token(self) -> str:
        """Return 128 random bits as 22 characters that are safe in URLs and keys."""
        return secrets.token_urlsafe(16)

    def draw(self) -> float:
        """Return a draw in [0, 1)."""
        return self._draws.random()
