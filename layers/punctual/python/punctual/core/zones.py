"""Time zones as tables of offsets, from the pinned `tzdata` package and nothing else.

Every host must name the same slots, so the zone tables of the machine are never read: two releases
differ in what Casablanca's or Havana's clocks show next year.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

from punctual.core.errors import InvalidSchedule
from punctual.core.instants import EPOCH

SPAN_BITS = 25
"""Periods are looked up by spans of 2^25 s, a bit more than a year, each read when first asked."""

PROBE_STEP = 3 * 86_400
"""Offsets are compared three days apart: since 1970 no zone changed its clocks and back again in
less than the week that Boa Vista's summer of 2000 lasted."""

MARGIN = 3 * 86_400
"""How far past a span's ends changes are looked for: more than any change of the clocks."""

_SECOND = timedelta(seconds=1)
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

    def __init__(self, info: ZoneInfo) -> None:
        self._info = info
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
        changes = self._changes(first - MARGIN, last + MARGIN)
        starts = [first, *(change for change in changes if change < last)]
        ends = [change for change in changes if change > first][: len(starts)]
        while starts[1:] and starts[1] <= first:
            starts.pop(0)
        if len(ends) < len(starts):
            ends.append(last)
        return tuple(
            Period(
                start=start,
                end=end,
                offset=self._offset(start),
                before=self._offset(start - 1),
                after=self._offset(end),
            )
            for start, end in zip(starts, ends, strict=True)
        )

    def _changes(self, since: int, until: int) -> list[int]:
        """Return the instants in (since, until] at which the offset changes."""
        changes = []
        at, offset = since, self._offset(since)
        while at < until:
            probe = min(at + PROBE_STEP, until)
            ahead = self._offset(probe)
            if ahead == offset:
                at = probe
                continue
            low, high = at, probe
            while high - low > 1:
                middle = (low + high) // 2
                if self._offset(middle) == offset:
                    low = middle
                else:
                    high = middle
            changes.append(high)
            at, offset = high, self._offset(high)
        return changes

    def _offset(self, instant: int) -> int:
        seconds = min(max(instant, _EARLIEST), _LATEST)
        offset = (EPOCH + timedelta(seconds=seconds)).astimezone(self._info).utcoffset()
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
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return Zone(ZoneInfo.from_file(file, key=name))


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("ascii").split())
