"""A cron expression as a walk over naive wall-clock time, and its instants in a zone."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

from punctual.core.cron_days import days_of, kind_of, kinds_of
from punctual.core.cron_fields import (
    HOUR,
    MINUTE,
    MONTH,
    SECOND,
    lowest,
    refusal,
    split_fields,
    values_of,
)
from punctual.core.instants import EPOCH
from punctual.core.schedules import Dst, Gap, Repeat
from punctual.core.wall_time import next_instant
from punctual.core.zones import Zone, zone

WALKS_REMEMBERED = 16_384
"""How many expressions, each with its zone, are not read twice."""

_ONE_SECOND = timedelta(seconds=1)
_EPOCH_ORDINAL = EPOCH.toordinal()
_LAST_ORDINAL = date.max.toordinal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """Which wall-clock times an expression names; a set of numbers is an integer's bits.

    Expressions that name the same times have equal sets, however they are written.
    """

    seconds: int
    minutes: int
    hours: int
    months: int
    days: tuple[int, ...]
    """The days of the month, for each kind of month; see `kind_of`."""
    first: int
    """The first time of a day, in seconds."""
    wildcard: bool
    """Whether the minute or the hour field opens with `*`: such jobs go by the time that passes,
    others by the time that clocks show."""

    def next(self, wall: int) -> int | None:
        """Return the first time named at or after `wall`; None when it is beyond the year 9999.

        Both are seconds since 1970-01-01 00:00 on a clock that knows no zone.
        """
        ordinal, second = divmod(wall, 86_400)
        ordinal += _EPOCH_ORDINAL
        if ordinal < 1:
            ordinal, second = 1, 0
        elif ordinal > _LAST_ORDINAL:
            return None
        today = date.fromordinal(ordinal)
        year, month, day = today.year, today.month, today.day
        if self.months >> month & 1:
            days = self.days[kind_of(year, month, ordinal - day + 1)] >> day
            if days & 1:
                time = self._next_of_day(second)
                if time is not None:
                    return (ordinal - _EPOCH_ORDINAL) * 86_400 + time
                days -= 1
            if days:
                return (ordinal + lowest(days) - _EPOCH_ORDINAL) * 86_400 + self.first
        while True:
            months = self.months >> (month + 1)
            if months:
                month += 1 + lowest(months)
            else:
                year, month = year + 1, lowest(self.months)
                if year > date.max.year:
                    return None
            first = date(year, month, 1).toordinal()
            days = self.days[kind_of(year, month, first)]
            if days:
                return (first - 1 + lowest(days) - _EPOCH_ORDINAL) * 86_400 + self.first

    def _next_of_day(self, second: int) -> int | None:
        """Return the first time of a day at or after `second`, in seconds."""
        minute, rest = divmod(second, 60)
        hour, minute = divmod(minute, 60)
        if self.hours >> hour & 1:
            minutes = self.minutes >> minute
            if minutes & 1:
                seconds = self.seconds >> rest
                if seconds:
                    return second + lowest(seconds)
                minutes -= 1
            if minutes:
                return hour * 3600 + (minute + lowest(minutes)) * 60 + self.first % 60
        hours = self.hours >> (hour + 1)
        if hours:
            return (hour + 1 + lowest(hours)) * 3600 + self.first % 3600
        return None


class Walk:
    """An expression's instants in a zone."""

    __slots__ = ("expression", "gap", "overlap", "text", "zone")

    def __init__(self, text: str, zone: Zone, *, dst: Dst | None) -> None:
        self.text = text
        self.expression = parse(text)
        self.zone = zone
        self.gap = Gap.SKIP if self.expression.wildcard else Gap.AFTER
        self.overlap = Repeat.BOTH if self.expression.wildcard else Repeat.FIRST
        if dst is not None:
            self.gap = dst.gap or self.gap
            self.overlap = dst.overlap or self.overlap

    def next(self, after: datetime) -> datetime | None:
        """Return the first instant later than `after`, UTC; None when none comes."""
        seconds = next_instant(
            self.expression.next,
            self.zone,
            gap=self.gap,
            overlap=self.overlap,
            after=(after - EPOCH) // _ONE_SECOND,
        )
        return None if seconds is None else EPOCH + timedelta(seconds=seconds)

    def first_after(self, after: datetime) -> datetime:
        """Return the first instant later than `after`, UTC.

        Raises:
            InvalidSchedule: None comes.
        """
        slot = self.next(after)
        if slot is None:
            raise refusal("the zone's clocks skip each of its times", self.text)
        return slot


@lru_cache(maxsize=WALKS_REMEMBERED)
def walk(expression: str, timezone: str, dst: Dst | None = None) -> Walk:
    """Return the walk over an expression's instants in a zone.

    Raises:
        InvalidSchedule: The expression cannot be used, or there is no such zone.
    """
    return Walk(expression, zone(timezone), dst=dst)


def next_slot(expr: str, tz: str, after: datetime) -> datetime:
    """Return the first instant strictly later than `after` that an expression names in a zone.

    Args:
        expr: Five fields, six with the seconds first, or a macro such as `@daily`.
        tz: IANA name.
        after: Aware datetime.

    Returns:
        An aware datetime in UTC, of whole seconds.

    Raises:
        InvalidSchedule: The expression or the zone cannot be used, or no such instant comes.
    """
    return walk(expr, tz).first_after(after)


def parse(expression: str) -> Expression:
    """Read a cron expression.

    Raises:
        InvalidSchedule: It is not one, or names no date that ever comes; the message says why in
            at most 500 characters.
    """
    second, minute, hour, day, month, weekday = split_fields(expression)
    seconds = values_of(SECOND, second)
    minutes = values_of(MINUTE, minute)
    hours = values_of(HOUR, hour)
    days = days_of(day, weekday)
    months = values_of(MONTH, month)
    if not any(days[kind] for kind in kinds_of(months)):
        raise refusal("names no date that ever comes", expression)
    return Expression(
        seconds=seconds,
        minutes=minutes,
        hours=hours,
        months=months,
        days=days,
        first=lowest(hours) * 3600 + lowest(minutes) * 60 + lowest(seconds),
        wildcard=minute.startswith("*") or hour.startswith("*"),
    )
