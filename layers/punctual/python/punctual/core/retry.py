"""How long to wait before the next attempt, or to give up."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Jitter(StrEnum):
    """How the wait before an attempt is spread."""

    FULL = "full"
    """Uniform between nothing and the ceiling, so that failures together do not return together."""
    NONE = "none"
    """The ceiling itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Capped exponential backoff.

    With the defaults the ceilings after attempts 1 and 2 are 1 s and 2 s; the third is the last.
    """

    max_attempts: int = 3
    """Attempts in all, the first included; 1 to 20."""
    min_delay: timedelta = timedelta(seconds=1)
    """Ceiling after the first attempt."""
    max_delay: timedelta = timedelta(seconds=300)
    """No ceiling is higher; a target's `Retry-After` may be."""
    multiplier: float = 2.0
    """What the ceiling grows by with each attempt."""
    jitter: Jitter = Jitter.FULL
    max_age: timedelta = timedelta(seconds=86_400)
    """No attempt starts later than this after the run's first start."""

    def delay_after(self, attempt: int, *, draw: float) -> timedelta:
        """Return the wait after attempt number `attempt` failed.

        Args:
            attempt: Number of the attempt that failed; the first is 1.
            draw: A number in [0, 1); the caller owns the randomness.
        """
        assert attempt >= 1, "attempts are counted from 1"
        assert 0 <= draw < 1, "a draw lies in [0, 1)"
        # A large exponent overflows a float long before it matters.
        growth = self.multiplier ** min(attempt - 1, 64)
        ceiling = min(self.min_delay.total_seconds() * growth, self.max_delay.total_seconds())
        seconds = ceiling * draw if self.jitter is Jitter.FULL else ceiling
        return timedelta(milliseconds=round(seconds * 1000))


def retry_at(
    policy: RetryPolicy,
    *,
    attempt: int,
    max_attempts: int,
    first_started_at: datetime,
    now: datetime,
    asked_for: timedelta | None,
    draw: float,
) -> datetime | None:
    """Return when the next attempt may start, or None to give up.

    Args:
        policy: The job's policy as it is now.
        attempt: Number of the attempt that failed.
        max_attempts: What the run pinned when it was handed over.
        first_started_at: When the run's first attempt started; `max_age` counts from it.
        now: When the attempt failed.
        asked_for: The target's `Retry-After`; it may exceed `max_delay`, never `max_age`.
        draw: A number in [0, 1) for the jitter.
    """
    if attempt >= max_attempts:
        return None
    delay = policy.delay_after(attempt, draw=draw)
    if asked_for is not None:
        delay = max(delay, asked_for)
    at = now + delay
    return at if at <= first_started_at + policy.max_age else None
