"""A cron expression as a walk over naive wall-clock time, and its instants in a zone.

Five fields, `minute hour day-of-month month day-of-week`, or six with the seconds first. What we
read is checked here first, since a scheduler must not guess: croniter, which then reads and expands
the fields, would take `22-2`, `5-5` or `R` for something, and days such as `LW` for nothing.
"""

import re
from calendar import isleap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

from croniter import croniter

from punctual.core.errors import InvalidSchedule
from punctual.core.instants import EPOCH
from punctual.core.schedules import Dst, Gap, Repeat
from punctual.core.wall_time import next_instant
from punctual.core.zones import Zone, zone

LENGTH_MAX = 256
"""Characters of an expression; a longer one is nobody's schedule."""

ECHO_MAX = 40
"""Characters of the input that an error repeats."""

WALKS_REMEMBERED = 16_384
"""How many expressions, each with its zone, are not read twice."""

FIELDS_REMEMBERED = 4_096
"""How many fields are not expanded twice: those of many expressions are few."""

_SECOND = timedelta(seconds=1)
_EPOCH_ORDINAL = EPOCH.toordinal()
_LAST_ORDINAL = date.max.toordinal()

_MACROS = {
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
    "@MONTHLY": "0 0 1 * *",
    "@WEEKLY": "0 0 * * 0",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@HOURLY": "0 * * * *",
}

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_SUNDAY, _SATURDAY = 0, 6
_MONTH_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SHORTEST, _LEAP, _LONGEST = 28, 29, 31

_ITEM = re.compile(r"(?:(\*)|([0-9]{1,2}|[A-Z]{3})(?:-([0-9]{1,2}|[A-Z]{3}))?)(?:/([0-9]{1,4}))?")
_FROM_THE_END = re.compile(r"L(?:-([0-9]{1,2}))?")
_NEAREST_WORKDAY = re.compile(r"([0-9]{1,2})W")
_NTH_WEEKDAY = re.compile(r"([0-7]|[A-Z]{3})(?:L|#([1-5]))")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """What may stand in one field."""

    name: str
    column: int
    """Where croniter reads it; seconds are read as minutes are."""
    low: int
    high: int
    names: tuple[str, ...] = ()
    """Names of values, the first of `low`."""


_SECONDS = _Field(name="second", column=0, low=0, high=59)
_FIELDS = (
    _Field(name="minute", column=0, low=0, high=59),
    _Field(name="hour", column=1, low=0, high=23),
    _Field(name="day-of-month", column=2, low=1, high=31),
    _Field(name="month", column=3, low=1, high=12, names=_MONTHS),
    _Field(name="day-of-week", column=4, low=0, high=7, names=_WEEKDAYS),
)
_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY = _FIELDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """Which wall-clock times an expression names. Sets of numbers are bits: 5 is in if bit 5 is.

    Two expressions that name the same times are equal, however they are written, but for
    `wildcard`.
    """

    seconds: int
    minutes: int
    hours: int
    months: int
    days: tuple[int, ...]
    """The days of a month of 28 days that begins on a Sunday, on a Monday …; then of 29 days …"""
    first: int
    """The first time of a day, in seconds."""
    wildcard: bool
    """Whether the minute or the hour field opens with `*`: runs go by the clock, not by the day."""

    def next(self, wall: int) -> int | None:
        """Return the first time named at or after `wall`, both in seconds since 1970-01-01 00:00.

        None when there is none before the year 10000.
        """
        day, second = divmod(wall, 86_400)
        ordinal = day + _EPOCH_ORDINAL
        if ordinal < 1:
            ordinal, second = 1, 0
        elif ordinal > _LAST_ORDINAL:
            return None
        today = date.fromordinal(ordinal)
        year, month, day = today.year, today.month, today.day
        before = ordinal - day
        if self.months >> month & 1:
            days = self._days_of(year, month, before + 1) >> day
            if days & 1:
                time = self._next_time(second)
                if time is not None:
                    return (ordinal - _EPOCH_ORDINAL) * 86_400 + time
            if days > 1:
                later = ordinal + _lowest(days & ~1)
                return (later - _EPOCH_ORDINAL) * 86_400 + self.first
        while True:
            months = self.months >> (month + 1)
            if months:
                month += 1 + _lowest(months)
            else:
                year, month = year + 1, _lowest(self.months)
                if year > date.max.year:
                    return None
            first = date(year, month, 1).toordinal()
            days = self._days_of(year, month, first)
            if days:
                later = first - 1 + _lowest(days)
                return (later - _EPOCH_ORDINAL) * 86_400 + self.first

    def _days_of(self, year: int, month: int, first: int) -> int:
        """Return the days of a month whose first day is the `first`th since 0001-01-01."""
        length = _MONTH_LENGTHS[month]
        if length == _SHORTEST and isleap(year):
            length = _LEAP
        return self.days[(length - _SHORTEST) * 7 + first % 7]

    def _next_time(self, second: int) -> int | None:
        """Return the first time of day at or after `second`, in seconds."""
        minute, rest = divmod(second, 60)
        hour, minute = divmod(minute, 60)
        if self.hours >> hour & 1:
            minutes = self.minutes >> minute
            if minutes & 1:
                seconds = self.seconds >> rest
                if seconds:
                    return second + _lowest(seconds)
            if minutes > 1:
                minute += _lowest(minutes & ~1)
                return hour * 3600 + minute * 60 + self.first % 60
        hours = self.hours >> (hour + 1)
        if hours:
            return (hour + 1 + _lowest(hours)) * 3600 + self.first % 3600
        return None


class Walk:
    """An expression in a zone, with the rule for times that its clocks skip or repeat."""

    __slots__ = ("_text", "expression", "gap", "overlap", "zone")

    def __init__(self, text: str, zone: Zone, *, dst: Dst | None) -> None:
        self._text = text
        self.expression = expression = parse(text)
        self.zone = zone
        self.gap = Gap.SKIP if expression.wildcard else Gap.AFTER
        self.overlap = Repeat.BOTH if expression.wildcard else Repeat.FIRST
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
            after=(after - EPOCH) // _SECOND,
        )
        return None if seconds is None else EPOCH + timedelta(seconds=seconds)

    def first_after(self, after: datetime) -> datetime:
        """Return the first instant later than `after`, UTC.

        Raises:
            InvalidSchedule: None comes.
        """
        slot = self.next(after)
        if slot is None:
            raise InvalidSchedule(
                f"no time of {echo(self._text)} comes any more: the clocks skip each of them",
                field="cron",
            )
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
    seconds, minute, hour, day, month, weekday = _fields_of(expression)
    second_bits = _bits(_SECONDS, seconds)
    minute_bits = _bits(_MINUTE, minute)
    hour_bits = _bits(_HOUR, hour)
    month_bits = _bits(_MONTH, month)
    days = _days(day, weekday)
    if not any(days[index] for index in _kinds_of_month(month_bits)):
        raise _refusal("names no date that ever comes", expression)
    return Expression(
        seconds=second_bits,
        minutes=minute_bits,
        hours=hour_bits,
        months=month_bits,
        days=days,
        first=_lowest(hour_bits) * 3600 + _lowest(minute_bits) * 60 + _lowest(second_bits),
        wildcard=minute.startswith("*") or hour.startswith("*"),
    )


def echo(text: str) -> str:
    """Return what an error repeats of its input: at most 40 characters, all of them printable."""
    cut = ascii(text[:ECHO_MAX])
    return f"{cut}…" if len(text) > ECHO_MAX else cut


def _refusal(reason: str, text: str) -> InvalidSchedule:
    return InvalidSchedule(f"{reason}: {echo(text)}", field="cron")


def _fields_of(expression: str) -> list[str]:
    """Return the six fields in upper case."""
    if len(expression) > LENGTH_MAX:
        raise _refusal(f"longer than {LENGTH_MAX} characters", expression)
    if not expression.isascii():
        raise _refusal("holds characters other than ASCII", expression)
    text = expression.strip(" \t").upper()
    if text.startswith("@"):
        if text not in _MACROS:
            known = " ".join(_MACROS).lower()
            raise _refusal(f"unknown macro (there are {known})", expression)
        text = _MACROS[text]
    texts = [field for field in re.split(r"[ \t]+", text) if field]
    if len(texts) == len(_FIELDS):
        texts.insert(0, "0")
    if len(texts) != len(_FIELDS) + 1:
        raise _refusal(
            f"has {len(texts)} fields in place of 5 (minute hour day-of-month month day-of-week), "
            "or 6 with the seconds first",
            expression,
        )
    return texts


@lru_cache(maxsize=FIELDS_REMEMBERED)
def _bits(field: _Field, text: str) -> int:
    """Return the values that a field names, special days aside."""
    items = [_checked(field, item, text) for item in text.split(",")]
    return _expand(field, ",".join(items))


def _checked(field: _Field, item: str, text: str) -> str:
    """Return one item of a field's list the way croniter reads it as we do."""
    match = _ITEM.fullmatch(item)
    if match is None:
        raise _refusal(f"the {field.name} field cannot be read at {echo(item)}", text)
    star, low_text, high_text, step_text = match.groups()
    step = int(step_text) if step_text else None
    if step == 0:
        raise _refusal(f"a step of zero in the {field.name} field", text)
    if star:
        return item
    low = high = _value(field, low_text, text)
    if high_text:
        high = _value(field, high_text, text)
        if low > high:
            raise _refusal(
                f"the {field.name} range {item} runs backwards: write it as two ranges", text
            )
    elif step:
        high = field.high
    if low == high:
        return str(low % 7 if field is _WEEKDAY else low)
    return f"{low}-{high}/{step or 1}"


def _value(field: _Field, text: str, whole: str) -> int:
    if text in field.names:
        return field.low + field.names.index(text)
    value = int(text) if text.isdigit() else -1
    if not field.low <= value <= field.high:
        raise _refusal(
            f"{text} is no {field.name}: those are {field.low} to {field.high}"
            + (f", {field.names[0]} to {field.names[-1]}" if field.names else ""),
            whole,
        )
    return value


def _expand(field: _Field, text: str) -> int:
    columns = ["*"] * len(_FIELDS)
    columns[field.column] = text
    expanded, _ = croniter.expand(" ".join(columns))
    values = expanded[field.column]
    if values == ["*"]:
        return _set(range(field.low, 7 if field is _WEEKDAY else field.high + 1))
    return _set(value for value in values if isinstance(value, int))


@lru_cache(maxsize=FIELDS_REMEMBERED)
def _days(day: str, weekday: str) -> tuple[int, ...]:
    """Return which days of a month two fields name, for each kind of month; see `Expression`."""
    either = not (day.startswith(("*", "?")) or weekday.startswith(("*", "?")))
    in_month = _DaysOfMonth.read(day)
    in_week = _DaysOfWeek.read(weekday)
    kinds = []
    for length in range(_SHORTEST, _LONGEST + 1):
        for first in range(7):
            by_month = in_month.of(length, first)
            by_week = in_week.of(length, first)
            kinds.append(by_month | by_week if either else by_month & by_week)
    return tuple(kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class _DaysOfMonth:
    """What a day-of-month field says."""

    plain: int
    from_the_end: tuple[int, ...]
    """0 is the last day of the month, 1 the one before."""
    nearest: tuple[int, ...]
    """Days whose nearest workday of the same month is meant."""
    last_workday: bool

    @classmethod
    def read(cls, text: str) -> "_DaysOfMonth":
        """Read the field; `?` is every day."""
        plain, from_the_end, nearest, last_workday = [], [], [], False
        for item in ("*" if text == "?" else text).split(","):
            if item == "LW":
                last_workday = True
            elif match := _FROM_THE_END.fullmatch(item):
                distance = int(match[1] or 0)
                if match[1] and not 1 <= distance < _LONGEST:
                    raise _refusal("L- is followed by 1 to 30", text)
                from_the_end.append(distance)
            elif match := _NEAREST_WORKDAY.fullmatch(item):
                nearest.append(_value(_DAY, match[1], text))
            else:
                plain.append(item)
        return cls(
            plain=_bits(_DAY, ",".join(plain)) if plain else 0,
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
    """Weekday and which of the month's: 1 is the first, 0 the last."""

    @classmethod
    def read(cls, text: str) -> "_DaysOfWeek":
        """Read the field; `?` is every day."""
        plain, nth = [], []
        for item in ("*" if text == "?" else text).split(","):
            match = _NTH_WEEKDAY.fullmatch(item)
            if match is None:
                plain.append(item)
                continue
            nth.append((_value(_WEEKDAY, match[1], text) % 7, int(match[2] or 0)))
        return cls(plain=_bits(_WEEKDAY, ",".join(plain)) if plain else 0, nth=tuple(nth))

    def of(self, length: int, first: int) -> int:
        """Return the days meant in a month of `length` days that begins on weekday `first`."""
        days = 0
        for weekday in _members(self.plain):
            days |= _set(range(1 + (weekday - first) % 7, length + 1, 7))
        for weekday, number in self.nth:
            dates = range(1 + (weekday - first) % 7, length + 1, 7)
            if number <= len(dates):
                days |= 1 << dates[number - 1]
        return days


def _nearest_workday(day: int, length: int, first: int) -> int:
    """Return the day from Monday to Friday next to `day`, within its month."""
    weekday = (first + day - 1) % 7
    if weekday == _SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == _SUNDAY:
        return day + 1 if day < length else day - 2
    return day


def _kinds_of_month(months: int) -> Iterator[int]:
    """Name where in `Expression.days` the months of a set are found."""
    lengths = {_MONTH_LENGTHS[month] for month in _members(months)}
    for length in lengths | ({_LEAP} if _SHORTEST in lengths else set()):
        kind = (length - _SHORTEST) * 7
        yield from range(kind, kind + 7)


def _lowest(bits: int) -> int:
    """Return the smallest number of a set that is not empty."""
    return (bits & -bits).bit_length() - 1


def _set(values: Iterable[int]) -> int:
    bits = 0
    for value in values:
        bits |= 1 << value
    return bits


def _members(bits: int) -> Iterator[int]:
    while bits:
        yield _lowest(bits)
        bits &= bits - 1
