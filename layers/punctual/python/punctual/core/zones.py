"""Time zones as tables of offsets, from the pinned `tzdata` package and nothing else.

Every host must name the same slots, so the zone tables of the machine are never read: two releases
differ in what Casablanca's or Havana's clocks show next year.
"""

import io
import struct
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from zoneinfo import ZoneInfo

from punctual.core.errors import InvalidSchedule
from punctual.core.instants import EPOCH

SPAN_BITS = 25
"""Periods are looked up by spans of 2^25 s, a bit more than a year, each read when first asked."""

MARGIN = 3 * 86_400
"""How far past a span's ends changes are looked for: more than any change of the clocks."""

MONTH = 28 * 86_400
"""Beyond what a zone's file lists, its last rule goes on for ever: two changes a year or none, so
offsets that are compared a month apart miss none."""

QUARTER = 900
"""Clocks change at a quarter of an hour of UTC, but for some changes long ago."""

_SECOND = timedelta(seconds=1)
_TABLES = resources.files("tzdata")
_HEADER = struct.Struct(">4sc15x6l")
_EARLIEST = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _SECOND + MARGIN
_LATEST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _SECOND - MARGIN


@dataclass(frozen=True, slots=True)
class Period:
    """A time in which a zone's clocks run on without a change.

    Instants are seconds since 1970 in UTC, offsets seconds that the clocks are ahead of UTC. A
    period may also begin or end where nothing changes, days away from any change.
    """

    start: int
    end: int
    """The first instant after the period."""
    offset: int
    before: int
    """Offset just before `start`: smaller if wall-clock times were skipped, larger if repeated."""
    after: int
    """Offset at `end`."""


class Zone:
    """One zone's clocks: which period an instant lies in."""

    def __init__(self, file: bytes) -> None:
        """Read a zone.

        Args:
            file: What the zone's file holds, in the format of RFC 9636.
        """
        self._info = ZoneInfo.from_file(io.BytesIO(file))
        self._listed = _listed_changes(file)
        self._spans: dict[int, tuple[Period, ...]] = {}

    def period_at(self, instant: int) -> Period:
        """Return the period that holds `instant`, in seconds since 1970."""
        span = instant >> SPAN_BITS
        periods = self._spans.get(span)
        if periods is None:
            # Two threads may both read a span: they read the same, and one of them is kept.
            periods = self._spans[span] = self._read(span)
        for period in periods:
            if instant < period.end:
                return period
        raise AssertionError("the last period ends after its span")

    def _read(self, span: int) -> tuple[Period, ...]:
        """Return the periods that overlap a span."""
        first, last = span << SPAN_BITS, (span + 1) << SPAN_BITS
        # A bound without a change lies at least MARGIN away from any, so no pass is cut in two.
        changes = self._changes(first - MARGIN, last + MARGIN)
        bounds = [
            max((change for change in changes if change <= first), default=first),
            *(change for change in changes if first < change < last),
            min((change for change in changes if change >= last), default=last),
        ]
        return tuple(
            Period(
                start=start,
                end=end,
                offset=self._offset(start),
                before=self._offset(start - 1),
                after=self._offset(end),
            )
            for start, end in pairwise(bounds)
        )

    def _changes(self, since: int, until: int) -> list[int]:
        """Return the instants in (since, until] at which the offset changes."""
        listed = self._listed[bisect_right(self._listed, since) : bisect_right(self._listed, until)]
        changes = [at for at in listed if self._offset(at - 1) != self._offset(at)]
        at = max(since, self._listed[-1]) if self._listed else since
        offset = self._offset(at)
        while at < until:
            ahead = min(at + MONTH, until)
            if self._offset(ahead) == offset:
                at = ahead
                continue
            at = self._change_between(at, ahead, offset)
            changes.append(at)
            offset = self._offset(at)
        return changes

    def _change_between(self, at: int, ahead: int, offset: int) -> int:
        """Return the one instant in (at, ahead] from which on the offset is another one."""
        while ahead - at > 1:
            middle = (at + ahead) // 2
            quarter = middle - middle % QUARTER
            if quarter > at:
                middle = quarter
            elif ahead % QUARTER == 0:
                middle = ahead - 1  # mostly the last question
            if self._offset(middle) == offset:
                at = middle
            else:
                ahead = middle
        return ahead

    def _offset(self, instant: int) -> int:
        if not _EARLIEST <= instant <= _LATEST:
            instant = min(max(instant, _EARLIEST), _LATEST)
        offset = datetime.fromtimestamp(instant, self._info).utcoffset()
        assert offset is not None, "a zone has an offset at every instant"
        return offset // _SECOND


@lru_cache(maxsize=1024)
def zone(name: str) -> Zone:
    """Return a zone by its IANA name, such as `Europe/Berlin`.

    Raises:
        InvalidSchedule: There is no zone of this name; case counts.
    """
    if name not in _names():
        raise InvalidSchedule(
            f"unknown time zone {name[:40]!a}: write an IANA name such as Europe/Berlin",
            field="timezone",
        )
    return Zone(_TABLES.joinpath("zoneinfo", *name.split("/")).read_bytes())


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(_TABLES.joinpath("zones").read_text("ascii").split())


def _listed_changes(file: bytes) -> list[int]:
    """Return the instants that a zone's file lists, in order; at some no offset changes.

    A file begins with a block of 32-bit times for old readers; the one that counts follows it.
    """
    *_, is_utc, is_standard, leaps, times, types, letters = _HEADER.unpack_from(file)
    block = _HEADER.size + 5 * times + 6 * types + letters + 8 * leaps + is_standard + is_utc
    times = _HEADER.unpack_from(file, block)[5]
    return list(struct.unpack_from(f">{times}q", file, block + _HEADER.size))
