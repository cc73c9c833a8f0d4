"""Wall-clock times as instants: the rule for times that the clocks skip or repeat."""

from collections.abc import Callable

from punctual.core.schedules import Gap, Repeat
from punctual.core.zones import Zone

GAP_MAX = 3 * 3600
"""Longer gaps are not caught up: a whole day left out of the calendar was nobody's plan."""

PERIODS_MAX = 100
"""How many periods are looked at for one instant. Times that the clocks skip every year take three
of these a year, and an expression that hits nothing else for thirty years never comes."""

DAY = 86_400


def next_instant(
    next_wall: Callable[[int], int | None], zone: Zone, *, gap: Gap, overlap: Repeat, after: int
) -> int | None:
    """Return the first instant later than `after` at which the zone's clocks show a wanted time.

    A skipped time counts, if `gap` is AFTER, at the first instant after the gap; several such
    times, and one wanted at that very instant, are one. Wall-clock times are seconds since
    1970-01-01 00:00 on a clock that knows no zone.

    Args:
        next_wall: Returns the first wanted wall-clock time at or after the given one, or None.
        zone: Whose clocks.
        gap: What becomes of wanted times that are skipped.
        overlap: Which pass of wanted times that come twice counts.
        after: Seconds since 1970, UTC.

    Returns:
        Seconds since 1970, UTC; None when no wanted time comes.
    """
    period = zone.period_at(after)
    earliest = after + 1 + period.offset
    for _ in range(PERIODS_MAX):
        offset, before = period.offset, period.before
        begin = period.start + offset
        if before < offset <= before + GAP_MAX and gap is Gap.AFTER and after < period.start:
            skipped = next_wall(period.start + before)
            if skipped is not None and skipped < begin:
                return period.start
        if overlap is Repeat.FIRST and before > offset:
            begin = period.start + before
        end = period.end + offset
        if overlap is Repeat.SECOND and period.after < offset:
            end = period.end + period.after

        wall = next_wall(max(earliest, begin))
        if wall is None:
            return None
        if wall < end:
            return wall - offset
        # What lies between here and `wall` is not wanted, so the periods between are passed over;
        # but where the clocks go back now, times before `wall` come again.
        if period.after < offset:
            period = zone.period_at(period.end)
            earliest = period.start + period.offset
        else:
            period = zone.period_at(max(period.end, wall - offset - DAY))
            earliest = wall
    return None
