"""The fields of a cron expression as sets of numbers, checked before anything reads them.

A scheduler must not guess: what other readers take for something, such as `22-2`, `5-5` or `R`, is
refused here. Where both can read a field, a test holds the sets to croniter's.

A set of numbers is an integer: 5 is in the set if bit 5 is set.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from punctual.core.errors import InvalidSchedule

LENGTH_MAX = 256
"""Characters of an expression; a longer one is nobody's schedule."""

ECHO_MAX = 40
"""Characters of the input that an error repeats."""

FIELDS_REMEMBERED = 4_096
"""How many fields are not expanded twice: those of many expressions are few."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """What may stand in one field."""

    name: str
    low: int
    high: int
    every: int
    """The set of all values; day 7 of the week is in it as 0."""
    names: tuple[str, ...] = ()
    """Names of values, the first of `low`."""


SECOND = Field(name="second", low=0, high=59, every=(1 << 60) - 1)
MINUTE = Field(name="minute", low=0, high=59, every=(1 << 60) - 1)
HOUR = Field(name="hour", low=0, high=23, every=(1 << 24) - 1)
DAY = Field(name="day-of-month", low=1, high=31, every=(1 << 32) - 2)
MONTH = Field(
    name="month",
    low=1,
    high=12,
    every=(1 << 13) - 2,
    names=("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"),
)
WEEKDAY = Field(
    name="day-of-week",
    low=0,
    high=7,
    every=(1 << 7) - 1,
    names=("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"),
)

_FIELDS = 5
_MACROS = {
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
    "@MONTHLY": "0 0 1 * *",
    "@WEEKLY": "0 0 * * 0",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@HOURLY": "0 * * * *",
}
_ITEM = re.compile(r"(?:\*|([0-9]{1,2}|[A-Z]{3})(?:-([0-9]{1,2}|[A-Z]{3}))?)(?:/([0-9]{1,4}))?")


def split_fields(expression: str) -> list[str]:
    """Return an expression's six fields, in upper case, seconds first.

    Raises:
        InvalidSchedule: It is too long, not ASCII, an unknown macro, or has other than 5 or 6.
    """
    if len(expression) > LENGTH_MAX:
        raise refusal(f"longer than {LENGTH_MAX} characters", expression)
    if not expression.isascii():
        raise refusal("holds characters other than ASCII", expression)
    text = expression.strip(" \t").upper()
    if text.startswith("@"):
        if text not in _MACROS:
            known = " ".join(_MACROS).lower()
            raise refusal(f"unknown macro (there are {known})", expression)
        text = _MACROS[text]
    fields = text.replace("\t", " ").split(" ")
    if "" in fields:
        fields = [field for field in fields if field]
    if len(fields) == _FIELDS:
        return ["0", *fields]
    if len(fields) == _FIELDS + 1:
        return fields
    raise refusal(
        f"has {len(fields)} fields in place of 5 (minute hour day-of-month month day-of-week), "
        "or 6 with the seconds first",
        expression,
    )


@lru_cache(maxsize=FIELDS_REMEMBERED)
def values_of(field: Field, text: str) -> int:
    """Return the set of values that a field names; days such as `L` and `?` are not known here.

    Raises:
        InvalidSchedule: It cannot be read.
    """
    bits = 0
    for item in text.split(","):
        bits |= _values_of_item(field, item)
    return bits


def _values_of_item(field: Field, item: str) -> int:
    """Return the set of values that one item of a list names."""
    match = _ITEM.fullmatch(item)
    if match is None:
        raise refusal(f"the {field.name} field cannot be read", item)
    first, last, step = match.groups()
    if step and not int(step):
        raise refusal(f"a step in the {field.name} field is zero", item)
    if first is None:
        low, high = field.low, field.high
    else:
        low = high = value_of(field, first)
        if last:
            high = value_of(field, last)
            if low > high:
                raise refusal(f"a range in the {field.name} field runs backwards (write two)", item)
        elif step:
            high = field.high
    values = range(low, high + 1, int(step or 1))
    return set_of(value % 7 for value in values) if field is WEEKDAY else set_of(values)


def value_of(field: Field, text: str) -> int:
    """Return one value, a number or a name, in the bounds of its field.

    Raises:
        InvalidSchedule: It is neither.
    """
    if text in field.names:
        return field.low + field.names.index(text)
    value = int(text) if text.isdigit() else -1
    if not field.low <= value <= field.high:
        named = f", or {field.names[0]} to {field.names[-1]}" if field.names else ""
        raise refusal(f"the {field.name} is {field.low} to {field.high}{named}, not", text)
    return value


def refusal(reason: str, text: str) -> InvalidSchedule:
    """Return the error that says why `text` cannot be used, repeating a little of it."""
    return InvalidSchedule(f"{reason}: {echo(text)}", field="cron")


def echo(text: str) -> str:
    """Return what an error repeats of its input: at most 40 characters, made printable."""
    cut = ascii(text[:ECHO_MAX])
    return f"{cut}…" if len(text) > ECHO_MAX else cut


def set_of(numbers: Iterable[int]) -> int:
    """Return a set as an integer."""
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits


def members(bits: int) -> Iterator[int]:
    """Yield the numbers of a set, smallest first."""
    while bits:
        yield lowest(bits)
        bits &= bits - 1


def lowest(bits: int) -> int:
    """Return the smallest number of a set that is not empty."""
    return (bits & -bits).bit_length() - 1
