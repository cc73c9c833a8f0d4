"""Our reading of cron fields beside the one that most of the field uses."""

import pytest
from croniter import croniter
from hypothesis import assume, given
from hypothesis import strategies as st

from punctual.core.cron_fields import DAY, HOUR, MINUTE, MONTH, WEEKDAY, Field, set_of, values_of
from tests.property.schedules import field

FIELDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)
"""In the order of an expression of five fields."""


def read_by_croniter(kind: Field, text: str) -> int:
    """Return the set of values that croniter takes a field for."""
    columns = ["*"] * len(FIELDS)
    columns[FIELDS.index(kind)] = text
    values = croniter.expand(" ".join(columns))[0][FIELDS.index(kind)]
    return kind.every if "*" in values else set_of(int(value) for value in values)


def is_read_alike(kind: Field, item: str) -> bool:
    """Say whether the rule follows croniter in an item.

    A range whose ends are equal is one value to us and every value to croniter; a step out of a
    weekday goes on to 7, which is Sunday again, where croniter stops at 6.
    """
    span, _, step = item.partition("/")
    first, _, last = span.partition("-")
    return first != last and not (kind is WEEKDAY and step and not last and first != "*")


@pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.name)
@given(data=st.data())
def test_a_field_that_croniter_reads_too_is_read_alike(kind: Field, data: st.DataObject) -> None:
    text = data.draw(field(kind.low, kind.high, kind.names)).upper()
    assume(all(is_read_alike(kind, item) for item in text.split(",")))
    assert values_of(kind, text) == read_by_croniter(kind, text)
