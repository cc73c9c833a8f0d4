"""Whether a host is worth a call: after failures in a row it is left alone for a while.

What counts is whether the host is *there*: no connection, or no byte of an answer in time. An
answer is a sign of life whatever its status, for a host that answers one path with 500 serves
others, and each run's retry policy deals with it.
"""

from dataclasses import dataclass, replace

FAILURES = 5
"""Calls in a row that must find nobody before a host counts as down."""

WINDOW = 60.0
"""Seconds within which they must fall; rarer failures tell nothing of the present."""

REST_MIN = 5.0
"""Seconds that a host is left alone at first."""

REST_MAX = 40.0
"""Seconds that it is left alone at most, after probe upon probe found nobody. With the jitter of
the runs that wait this is within what a message may be hidden for."""

PROBE_MAX = 60.0
"""Seconds after which a probe counts as forgotten: its call was closed before it told anything."""


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of one host. Instants are seconds of any clock that only goes forward."""

    failures: int = 0
    """Calls in a row that found nobody."""
    failing_since: float = 0.0
    """When the first of them ended."""
    rests: int = 0
    """How often it was left alone since it last gave a sign of life."""
    down_until: float = 0.0
    """When a call may go to it again."""
    probed_at: float | None = None
    """When the one call went that tells whether it is back; None when none is going."""

    @property
    def is_well(self) -> bool:
        """Whether nothing speaks against it, so that it need not be remembered."""
        return self.failures == 0 and self.rests == 0

    def wait(self, now: float) -> float | None:
        """Return in how many seconds to ask again; None when a call may go now."""
        if self.rests == 0:
            return None
        if now < self.down_until:
            return self.down_until - now
        if self.probed_at is not None and now < self.probed_at + PROBE_MAX:
            return REST_MIN
        return None

    def calling(self, now: float) -> "Health":
        """Return what is known once a call goes; to a host that is down it is the probe."""
        return self if self.rests == 0 else replace(self, probed_at=now)

    def found_nobody(self, now: float) -> "Health":
        """Return what is known after a call found nobody."""
        if self.rests > 0:
            if self.probed_at is None:
                return self  # a call that went before the host counted as down
            rest = min(REST_MIN * 2.0 ** min(self.rests, 16), REST_MAX)
            return replace(self, rests=self.rests + 1, down_until=now + rest, probed_at=None)
        if self.failures == 0 or now > self.failing_since + WINDOW:
            return Health(failures=1, failing_since=now)
        failed = replace(self, failures=self.failures + 1)
        if failed.failures < FAILURES:
            return failed
        return replace(failed, rests=1, down_until=now + REST_MIN)


WELL = Health()
"""A host of which nothing is known, or that gave a sign of life."""
