"""Names of runs that were asked for sort by time, and one list holds all strands."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punctual.core.identity import parse_run_id, slot_name
from punctual.core.strands import (
    MANUAL,
    REPLAYS,
    SLOTS,
    STRANDS,
    asked_at,
    asked_name,
    end_of,
    first_name,
    place_of,
    strand_of,
)
from tests.support.builders import SECOND, TENANT, TICK, a_run_key
from tests.support.clock import NINE

instants = st.integers(0, 3000).map(lambda ms: NINE + ms * TICK)


@st.composite
def names(draw: st.DrawFn) -> str:
    """A name of any strand, within three seconds."""
    strand, at = draw(st.sampled_from(STRANDS)), draw(instants)
    if strand == SLOTS:
        return slot_name(at)
    return asked_name(strand, at=at, token=draw(st.text(max_size=3)))


def test_a_name_says_when_its_run_was_asked_for_and_is_part_of_an_id() -> None:
    name = asked_name(MANUAL, at=NINE + 123 * TICK, token="a")

    assert name == "m.20261201T090000123.ca978112ca1bbdca"
    assert asked_at(name) == NINE + timedelta(milliseconds=123)
    key = a_run_key(name=name)
    assert parse_run_id(TENANT, key.run_id) == key
    assert key.slot is None


@pytest.mark.parametrize(
    "name",
    [
        "20261201T090000Z",
        "m.20261201T090000123",
        "m.20261301T090000123.ca978112ca1bbdca",
        "m.x",
        "",
    ],
)
def test_no_other_name_was_asked_for(name: str) -> None:
    assert asked_at(name) is None


def test_requests_of_one_millisecond_name_different_runs() -> None:
    assert asked_name(MANUAL, at=NINE, token="a") != asked_name(MANUAL, at=NINE, token="b")


@given(strand=st.sampled_from([MANUAL, REPLAYS]), one=instants, other=instants)
def test_names_of_a_strand_sort_by_the_instant(strand: str, one: datetime, other: datetime) -> None:
    if one < other:
        assert asked_name(strand, at=one, token="z") < asked_name(strand, at=other, token="a")


@given(listed=st.lists(names(), unique=True), before=names())
def test_what_stands_before_a_name_follows_it_in_the_list_whatever_its_strand(
    listed: list[str], before: str
) -> None:
    followers = {name for name in listed if place_of(name) < place_of(before)}

    found = {name for name in listed if name < end_of(strand_of(name), before=before)}

    assert found == followers


@given(listed=st.lists(names(), unique=True), since=instants, until=instants)
def test_bounds_in_time_hold_for_every_strand_to_the_second(
    listed: list[str], since: datetime, until: datetime
) -> None:
    bounds = {s: (first_name(s, since=since), end_of(s, until=until)) for s in STRANDS}

    found = {n for n in listed if bounds[strand_of(n)][0] <= n < bounds[strand_of(n)][1]}

    first, last = since.replace(microsecond=0), until.replace(microsecond=0)
    assert found == {name for name in listed if first <= second_of(name) <= last}


def second_of(name: str) -> datetime:
    return datetime.strptime(f"{place_of(name)[0]}+0000", "%Y%m%dT%H%M%S%z")


@given(names())
def test_without_bounds_a_strand_is_whole(name: str) -> None:
    strand = strand_of(name)

    assert first_name(strand, since=None) <= name < end_of(strand)
    assert second_of(name) - NINE <= 3 * SECOND
