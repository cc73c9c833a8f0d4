"""A schedule in words, for people who do not read cron.

Imported where people ask, never where slots are planned: the library takes a while to load.
"""

import re
from datetime import timedelta
from typing import assert_never

from cron_descriptor import (  # type: ignore[import-untyped] # it has types, and does not say so
    ExpressionDescriptor,
    Options,
)

from punctual.core.cron_fields import (
    DAY,
    HOUR,
    MINUTE,
    MONTH,
    SECOND,
    WEEKDAY,
    Field,
    members,
    split_fields,
    values_of,
)
from punctual.core.instants import format_instant
from punctual.core.schedules import At, Cron, Every, Rule, Schedule

_OPTIONS = Options(locale_code="en_US", use_24hour_time_format=True)
_SPECIAL_DAY = re.compile(r"L|LW|L-[0-9]+|[0-9]+W")
_SPECIAL_WEEKDAY = re.compile(r"[0-9A-Z]+(L|#[0-9])")
_STEPPED = {SECOND: 60, MINUTE: 60, HOUR: 24}
"""Fields in which a step that divides the whole is told as one: every 15 minutes."""


def describe(schedule: Schedule) -> str:
    """Return a schedule in words: `At 09:00, Monday through Friday, Europe/Berlin time`.

    Says of an expression that has no words that it has none.
    """
    parts = [_rule(schedule.rule)]
    if schedule.start_at is not None:
        parts.append(f"from {format_instant(schedule.start_at)}")
    if schedule.end_at is not None:
        parts.append(f"until {format_instant(schedule.end_at)}")
    if schedule.max_runs is not None:
        parts.append(f"at most {_count(schedule.max_runs, 'run')}")
    if schedule.exclude:
        parts.append(f"but for {_count(len(schedule.exclude), 'exclusion')}")
    if schedule.spread:
        parts.append(f"shifted by less than {duration(schedule.spread)}")
    return "; ".join(parts)


def duration(length: timedelta) -> str:
    """Return a duration in words: `1 hour 30 minutes`, `1.5 seconds`."""
    minutes, rest = divmod(length, timedelta(minutes=1))
    hours, minutes = divmod(minutes, 60)
    seconds = rest / timedelta(seconds=1)
    parts = [
        _count(number, unit)
        for number, unit in ((hours, "hour"), (minutes, "minute"), (seconds, "second"))
        if number
    ]
    return " ".join(parts)


def _rule(rule: Rule) -> str:
    match rule:
        case At(at=at):
            return f"Once, at {format_instant(at)}"
        case Every(every=every):
            length = duration(every)
            alone = re.fullmatch(r"1 ([a-z]+)", length)
            return f"Every {alone[1] if alone else length}"
        case Cron(expression=expression, timezone=timezone):
            zone = "UTC" if timezone == "UTC" else f"{timezone} time"
            words = words_of(expression)
            if words is None:
                return f"{expression}, {zone} (an expression for which we have no words)"
            return f"{words}, {zone}"
        case _:
            assert_never(rule)


def words_of(expression: str) -> str | None:
    """Return what the library says of an expression; None when it would not say it right.

    It is shown the same times written in the one way that it reads as we do: it would call `*/90`
    every 90 minutes, and `5/2` every two weeks.
    """
    second, minute, hour, day, month, weekday = split_fields(expression)
    days = _days(day, weekday)
    if days is None:
        return None
    fields = [_plain(MINUTE, minute), _plain(HOUR, hour), days[0], _plain(MONTH, month), days[1]]
    seconds = _plain(SECOND, second)
    if seconds != "0":
        fields.insert(0, seconds)
    return str(ExpressionDescriptor(" ".join(fields), _OPTIONS).get_description())


def _days(day: str, weekday: str) -> tuple[str, str] | None:
    """Return the two day fields as the library is shown them, None if it would not get them."""
    by_month = _day_field(DAY, day, _SPECIAL_DAY)
    by_week = _day_field(WEEKDAY, weekday, _SPECIAL_WEEKDAY)
    if by_month is None or by_week is None:
        return None
    if not (day.startswith(("*", "?")) or weekday.startswith(("*", "?"))):
        # Either is enough, which is what the library says; and of every day, any day is.
        return ("*", "*") if "*" in {by_month, by_week} else (by_month, by_week)
    # Both must match, which it does not say: one of them has to be every day.
    return (by_month, by_week) if "*" in {by_month, by_week} else None


def _day_field(field: Field, text: str, special: re.Pattern[str]) -> str | None:
    if text == "?":
        return "*"
    if special.fullmatch(text):
        return text
    if any(special.fullmatch(item) for item in text.split(",")):
        return None
    return _plain(field, text)


def _plain(field: Field, text: str) -> str:
    """Write the values of a field as a star, one number, a step from zero, a range or a list."""
    values = values_of(field, text)
    if values == field.every:
        return "*"
    numbers = list(members(values))
    first, last = numbers[0], numbers[-1]
    whole = _STEPPED.get(field, 0)
    step = numbers[1] - first if len(numbers) > 1 else 0
    if step and whole % step == 0 and numbers == list(range(0, whole, step)):
        return f"*/{step}"
    if len(numbers) > 2 and numbers == list(range(first, last + 1)):  # noqa: PLR2004 - a pair is no range
        return f"{first}-{last}"
    return ",".join(map(str, numbers))


def _count(number: float, unit: str) -> str:
    return f"{number:g} {unit}{'' if number == 1 else 's'}"
