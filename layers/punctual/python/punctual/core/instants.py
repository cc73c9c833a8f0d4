"""Instants as text and as numbers: aware UTC datetimes of millisecond resolution in between."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


INSTANTS_REMEMBERED = 4096
"""How many instants are not written twice; runs that are due together have the same one."""


@lru_cache(maxsize=INSTANTS_REMEMBERED)
def format_instant(instant: datetime) -> str:
    """Write an instant in RFC 3339, UTC: `2026-12-01T09:00:00Z`, or `…00.123Z` when not whole.

    Args:
        instant: Aware; what it has beyond milliseconds is cut off.
    """
    assert instant.tzinfo is not None, "an instant is aware"
    utc = instant.astimezone(UTC)
    precision = "milliseconds" if utc.microsecond // 1000 else "seconds"
    return utc.isoformat(timespec=precision).removesuffix("+00:00") + "Z"


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 instant with any offset; what it has beyond milliseconds is cut off.

    Raises:
        ValueError: It is not RFC 3339, has no offset, or names no instant of the calendar in the
            years 1 to 9999 (leap seconds included).
    """
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 instant with an offset, such as 2026-12-01T09:00:00Z")
    try:
        utc = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        raise ValueError("an instant lies in the years 1 to 9999") from None
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def epoch_ms(instant: datetime) -> int:
    """Return the whole milliseconds since 1970, exact (no floats), rounded down.

    Args:
        instant: Aware.
    """
    return (instant - EPOCH) // MILLISECOND


def from_epoch_ms(milliseconds: int) -> datetime:
    """Return the instant so many milliseconds after 1970; the inverse of `epoch_ms`."""
    return EPOCH + milliseconds * MILLISECOND
