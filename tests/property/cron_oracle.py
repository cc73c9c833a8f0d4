"""Cron by the letter of its rule: look at every minute, slowly, and shares nothing with our code.

What a field means is found by asking of each value whether the text allows it; what the clocks
show, by asking `zoneinfo` at each instant.
"""

import io
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
GAP_MAX = timedelta(hours=3)


@lru_cache(maxsize=1024)
def pinned(name: str) -> ZoneInfo:
    """Return a zone as the pinned package has it."""
    file = resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    return ZoneInfo.from_file(io.BytesIO(file), key=name)


def oracle(
    expression: str,
    zone: ZoneInfo,
    *,
    after: datetime,
    until: datetime,
    gap: str | None = None,
    overlap: str | None = None,
) -> Iterator[datetime]:
    """Yield the instants with after < instant <= until, by looking at each of them.

    Args:
        expression: As in a job.
        zone: Whose clocks.
        after: UTC, whole minutes.
        until: UTC.
        gap: `after` or `skip`; None for the rule.
        overlap: `first`, `second` or `both`; None for the rule.
    """
    fields = MACROS.get(expression.lower(), expression).upper().split()
    step = timedelta(minutes=1)
    seconds = frozenset({0})
    if len(fields) == 6:
        step = timedelta(seconds=1)
        seconds = allowed(fields.pop(0), range(60))
    minute, hour, day, month, weekday = fields
    minutes, hours = allowed(minute, range(60)), allowed(hour, range(24))
    wildcard = minute[0] == "*" or hour[0] == "*"
    gap = gap or ("skip" if wildcard else "after")
    overlap = overlap or ("both" if wildcard else "first")

    @cache
    def right_day(today: date) -> bool:
        return day_matches(day, month, weekday, today)

    def wanted(wall: datetime) -> bool:
        return (
            wall.minute in minutes
            and wall.hour in hours
            and wall.second in seconds
            and right_day(wall.date())
        )

    at, shown = after, after.astimezone(zone)
    while at < until:
        at += step
        before, shown = shown, at.astimezone(zone)
        skipped = shown.replace(tzinfo=None) - before.replace(tzinfo=None) - step
        if (wanted(shown) and right_pass(shown, overlap)) or (
            gap == "after"
            and timedelta(0) < skipped <= GAP_MAX
            and any(
                wanted(before.replace(tzinfo=None) + n * step)
                for n in range(1, skipped // step + 1)
            )
        ):
            yield at


def right_pass(shown: datetime, overlap: str) -> bool:
    """Say whether a time that may be shown twice counts on this pass."""
    if overlap == "first":
        return shown.fold == 0
    if overlap == "second":
        return shown.fold == 1 or shown.utcoffset() == shown.replace(fold=1).utcoffset()
    return True


def day_matches(day: str, month: str, weekday: str, today: date) -> bool:
    """Say whether the three date fields allow a date."""
    if today.month not in allowed(month, range(1, 13), MONTHS):
        return False
    by_month = any(day_allows(item, today) for item in day.split(","))
    by_week = any(weekday_allows(item, today) for item in weekday.split(","))
    if day[0] in "*?" or weekday[0] in "*?":
        return by_month and by_week
    return by_month or by_week


def day_allows(item: str, today: date) -> bool:
    """Say whether one item of a day-of-month field allows a date."""
    month = days_of_month(today)
    workdays = [date for date in month if date.isoweekday() <= 5]
    if item == "?":
        return True
    if item == "LW":
        return today == workdays[-1]
    if item == "L":
        return today == month[-1]
    if item.startswith("L-"):
        return today == month[-1] - timedelta(days=int(item[2:]))
    if item.endswith("W"):
        number = int(item[:-1])
        return number <= len(month) and today == min(
            workdays, key=lambda workday: abs(workday.day - number)
        )
    return today.day in allowed(item, range(1, 32))


def weekday_allows(item: str, today: date) -> bool:
    """Say whether one item of a day-of-week field allows a date."""
    if item == "?":
        return True
    same = [date for date in days_of_month(today) if date.weekday() == today.weekday()]
    if item.endswith("L"):
        return today == same[-1] and weekday_allows(item[:-1], today)
    if "#" in item:
        name, number = item.split("#")
        return today in same[int(number) - 1 : int(number)] and weekday_allows(name, today)
    return today.isoweekday() % 7 in {n % 7 for n in allowed(item, range(8), WEEKDAYS)}


@lru_cache(maxsize=4096)
def month_days(year: int, month: int) -> tuple[date, ...]:
    """Return the days of a month."""
    dates = [date(year, month, 1)]
    while (following := dates[-1] + timedelta(days=1)).month == month:
        dates.append(following)
    return tuple(dates)


def days_of_month(today: date) -> tuple[date, ...]:
    """Return the days of a date's month."""
    return month_days(today.year, today.month)


@lru_cache(maxsize=4096)
def allowed(text: str, values: range, names: tuple[str, ...] | None = None) -> frozenset[int]:
    """Return the values that a field's text allows, found by asking of each."""
    return frozenset(n for n in values if any(allows(i, n, values, names) for i in text.split(",")))


def allows(item: str, value: int, values: range, names: tuple[str, ...] | None) -> bool:
    """Say whether one item allows a value."""
    span, _, step = item.partition("/")
    if span == "*":
        low, high = values[0], values[-1]
    else:
        ends = [number_of(end, values, names) for end in span.split("-")]
        low, high = ends[0], ends[-1]
        if step and len(ends) == 1:
            high = values[-1]
    return low <= value <= high and (value - low) % int(step or 1) == 0


def number_of(text: str, values: range, names: tuple[str, ...] | None) -> int:
    """Return the number that a name or a number stands for."""
    if names and text in names:
        return values[0] + names.index(text)
    return int(text)
