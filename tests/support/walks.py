"""The instants of a cron expression, short enough to be read in a test."""

from datetime import UTC, datetime

from punctual.core.cron import walk
from punctual.core.schedules import Dst


def instants(
    expr: str, tz: str = "UTC", *, after: str, count: int, dst: Dst | None = None
) -> list[str]:
    """Return the instants that follow `after`, in UTC as it is: `2026-12-01 09:00`, `… 09:00:30`.

    Ends with `never` where nothing follows.
    """
    found: list[str] = []
    at = datetime.fromisoformat(after).replace(tzinfo=UTC)
    for _ in range(count):
        following = walk(expr, tz, dst).next(at)
        if following is None:
            return [*found, "never"]
        at = following
        found.append(f"{at:%Y-%m-%d %H:%M:%S}".removesuffix(":00"))
    return found
