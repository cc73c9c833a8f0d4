"""Which days of a month the two day fields of a cron expression name.

They depend on two things only: how long the month is, and the weekday it begins on. So there are
28 kinds of month, and the days of each are read once.
"""

import re
from calendar import isleap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from punctual.core.cron_fields import (
    DAY,
    FIELDS_REMEMBERED,
    WEEKDAY,
    members,
    refusal,
    value_of,
    values_of,
)

_SUNDAY, _SATURDAY = 0, 6
_SHORTEST, _LEAP, _LONGEST = 28, 29, 31
_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_WEEKS = 1 << 1 | 1 << 8 | 1 << 15 | 1 << 22 | 1 << 29
"""The first days of a month's weeks, as a set; times a set of weekdays it is their dates."""

_FROM_THE_END = re.compile(r"L(?:-([0-9]{1,2}))?")
_NEAREST_WORKDAY = re.compile(r"([0-9]{1,2})W")
_NTH_WEEKDAY = re.compile(r"([0-7]|[A-Z]{3})(?:L|#([1-5]))")


def kind_of(year: int, month: int, first: int) -> int:
    """Return which of the 28 kinds a month is.

    Args:
        year: Year of the month.
        month: 1 to 12.
        first: Its first day, counted so that 0001-01-01 is 1.
    """
    length = _LENGTHS[month]
    if length == _SHORTEST and isleap(year):
        length = _LEAP
    return (length - _SHORTEST) * 7 + first % 7


def kinds_of(months: int) -> Iterator[int]:
    """Yield the kinds that the months of a set take over the years: each of them comes."""
    lengths = {_LENGTHS[month] for month in members(months)}
    for length in lengths | ({_LEAP} if _SHORTEST in lengths else set()):
        yield from range((length - _SHORTEST) * 7, (length - _SHORTEST + 1) * 7)


@lru_cache(maxsize=FIELDS_REMEMBERED)
def days_of(day: str, weekday: str) -> tuple[int, ...]:
    """Return the days that the day-of-month and day-of-week fields name, for each kind of month.

    A day matches either field, but where one of them opens with `*` (or is `?`) it matches both.

    Raises:
        InvalidSchedule: One of them cannot be read.
    """
    both = day.startswith(("*", "?")) or weekday.startswith(("*", "?"))
    in_month, in_week = _DaysOfMonth.read(day), _DaysOfWeek.read(weekday)
    kinds = []
    for length in range(_SHORTEST, _LONGEST + 1):
        for first in range(7):
            of_month, of_week = in_month.of(length, first), in_week.of(length, first)
            kinds.append(of_month & of_week if both else of_month | of_week)
    return tuple(kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class _DaysOfMonth:
    """What a day-of-month field says."""

    plain: int
    from_the_end: tuple[int, ...]
    """0 is the last day of the month, 1 the one before."""
    nearest: tuple[int, ...]
    """Days in whose place the nearest workday of their month is meant."""
    last_workday: bool

    @classmethod
    def read(cls, text: str) -> "_DaysOfMonth":
        plain, from_the_end, nearest, last_workday = [], [], [], False
        for item in ("*" if text == "?" else text).split(","):
            if item == "LW":
                last_workday = True
            elif match := _FROM_THE_END.fullmatch(item):
                distance = int(match[1] or 0)
                if match[1] and not 1 <= distance < _LONGEST:
                    raise refusal(f"L- is followed by 1 to {_LONGEST - 1}", item)
                from_the_end.append(distance)
            elif match := _NEAREST_WORKDAY.fullmatch(item):
                nearest.append(value_of(DAY, match[1]))
            else:
                plain.append(item)
        return cls(
            plain=values_of(DAY, ",".join(plain)) if plain else 0,
            from_the_end=tuple(from_the_end),
            nearest=tuple(nearest),
            last_workday=last_workday,
        )

    def of(self, length: int, first: int) -> int:
        """Return the days meant in a month of `length` days that begins on weekday `first`."""
        days = self.plain & ((2 << length) - 1)
        for distance in self.from_the_end:
            if distance < length:
                days |= 1 << (length - distance)
        for day in self.nearest:
            if day <= length:
                days |= 1 << _nearest_workday(day, length, first)
        if self.last_workday:
            days |= 1 << _nearest_workday(length, length, first)
        return days


@dataclass(frozen=True, slots=True, kw_only=True)
class _DaysOfWeek:
    """What a day-of-week field says."""

    plain: int
    nth: tuple[tuple[int, int], ...]
    """A weekday, and which of the month's: 1 is the first, 0 the last."""

    @classmethod
    def read(cls, text: str) -> "_DaysOfWeek":
        plain, nth = [], []
        for item in ("*" if text == "?" else text).split(","):
            if match := _NTH_WEEKDAY.fullmatch(item):
                nth.append((value_of(WEEKDAY, match[1]) % 7, int(match[2] or 0)))
            else:
                plain.append(item)
        return cls(plain=values_of(WEEKDAY, ",".join(plain)) if plain else 0, nth=tuple(nth))

    def of(self, length: int, first: int) -> int:
        """Return the days meant in a month of `length` days that begins on weekday `first`."""
        week = (self.plain >> first | self.plain << (7 - first)) & WEEKDAY.every
        days = week * _WEEKS & ((2 << length) - 1)
        for weekday, number in self.nth:
            dates = range(1 + (weekday - first) % 7, length + 1, 7)
            if number <= len(dates):
                days |= 1 << dates[number - 1]
        return days


def _nearest_workday(day: int, length: int, first: int) -> int:
    """Return the day from Monday to Friday nearest to `day`, within its month."""
    weekday = (first + day - 1) % 7
    if weekday == _SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == _SUNDAY:
        return day + 1 if day < length else day - 2
    return day
