"""A clock that stands still until a test moves it, and chance without surprises."""

from datetime import UTC, datetime, timedelta
from itertools import count

NINE = datetime(2026, 12, 1, 9, tzinfo=UTC)
"""The present of tests, where nothing else is said."""


class FakeClock:
    """Fills `Clock`; sleeping moves it, and takes no time."""

    def __init__(self, now: datetime = NINE) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def sleep(self, duration: timedelta) -> None:
        if duration > timedelta(0):
            self._now += duration

    def set(self, now: datetime) -> None:
        """Move the clock to an instant, back too: two hosts' clocks may differ."""
        self._now = now

    def advance(self, duration: timedelta) -> datetime:
        """Move the clock on, and return its present."""
        self._now += duration
        return self._now


class FakeChance:
    """Fills `Chance`: tokens are counted, draws are what the test says."""

    def __init__(self, *, draw: float = 0.5, name: str = "token") -> None:
        self._tokens = count(1)
        self._name = name
        self.next_draw = draw

    def token(self) -> str:
        return f"{self._name}-{next(self._tokens)}"

    def draw(self) -> float:
        return self.next_draw
