"""Schedules of every kind, near the days on which clocks change more often than chance has it."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib import resources

from hypothesis import strategies as st

from punctual.core.schedules import At, Cron, Dst, Every, Gap, Repeat, Schedule
from tests.property.cron_oracle import MONTHS, WEEKDAYS, pinned

ZONES = sorted(resources.files("tzdata").joinpath("zones").read_text("ascii").split())
SINCE, UNTIL = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)

zones = st.sampled_from(ZONES)


@cache
def days_of_change(zone: str, year: int) -> list[datetime]:
    """Return the UTC days of a year on which a zone's clocks change."""
    first = datetime(year, 1, 1, tzinfo=UTC)
    days = [first + day * DAY for day in range(366)]
    offsets = [day.astimezone(pinned(zone)).utcoffset() for day in days]
    return [
        day for day, at, next_day in zip(days, offsets, offsets[1:], strict=False) if at != next_day
    ]


@st.composite
def moments(draw: st.DrawFn, zone: str) -> datetime:
    """Return an instant of a whole minute, on three of four occasions near a change of clocks."""
    if draw(st.integers(0, 3)):
        days = days_of_change(zone, draw(st.integers(2000, 2099)))
        if days:
            return draw(st.sampled_from(days)) + timedelta(minutes=draw(st.integers(-720, 1440)))
    minutes = (UNTIL - SINCE) // timedelta(minutes=1)
    return SINCE + timedelta(minutes=draw(st.integers(0, minutes)))


def field(low: int, high: int, names: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    """Return texts of a field: stars, steps, lists, ranges, names."""

    def written(number: int) -> str:
        named = names and number - low < len(names) and number % 2
        return names[number - low] if named else str(number)

    numbers = st.integers(low, high)
    steps = st.integers(1, high + 2)
    spans = st.tuples(numbers, numbers).map(sorted)
    items = st.one_of(
        numbers.map(written),
        numbers.map(written),
        st.builds("{}/{}".format, numbers.map(written), steps),
        spans.map(lambda span: "-".join(map(written, span))),
        st.builds("{}/{}".format, spans.map(lambda span: "-".join(map(written, span))), steps),
    )
    return st.one_of(
        st.just("*"),
        steps.map("*/{}".format),
        items,
        st.lists(items, min_size=2, max_size=4).map(",".join),
    )


hours = field(0, 23) | st.lists(st.integers(0, 4), min_size=1, max_size=3).map(
    lambda numbers: ",".join(map(str, numbers))
)

special_days = st.one_of(
    st.just("L"),
    st.just("LW"),
    st.just("?"),
    st.integers(1, 30).map("L-{}".format),
    st.integers(1, 31).map("{}W".format),
)
days = st.one_of(
    st.just("*"),
    st.just("*"),
    field(1, 31),
    special_days,
    st.lists(
        special_days.filter(lambda item: item != "?") | field(1, 31), min_size=2, max_size=3
    ).map(",".join),
)

special_weekdays = st.one_of(
    st.just("?"),
    st.integers(0, 7).map("{}L".format),
    st.sampled_from(WEEKDAYS).map("{}L".format),
    st.builds("{}#{}".format, st.integers(0, 7), st.integers(1, 5)),
    st.builds("{}#{}".format, st.sampled_from(WEEKDAYS), st.integers(1, 5)),
)
weekdays = st.one_of(
    st.just("*"),
    st.just("*"),
    field(0, 7, WEEKDAYS),
    special_weekdays,
    st.lists(
        special_weekdays.filter(lambda item: item != "?") | field(0, 7, WEEKDAYS),
        min_size=2,
        max_size=3,
    ).map(",".join),
)
months = st.just("*") | st.just("*") | field(1, 12, MONTHS)
macros = st.sampled_from(["@hourly", "@daily", "@weekly", "@monthly", "@yearly"])

five_fields = st.tuples(field(0, 59), hours, days, months, weekdays).map(" ".join)
six_fields = st.tuples(field(0, 59), field(0, 59), hours, days, months, weekdays).map(" ".join)

wishes = st.none() | st.builds(
    Dst,
    gap=st.none() | st.sampled_from(Gap),
    overlap=st.none() | st.sampled_from(Repeat),
)


@st.composite
def schedules(draw: st.DrawFn, *, at: datetime, zone: str) -> Schedule:
    """Return a schedule of any kind with bounds and exclusions around `at`."""
    near = st.integers(-72 * 3600, 72 * 3600).map(lambda seconds: at + timedelta(seconds=seconds))
    rule = draw(
        st.one_of(
            st.builds(At, at=near),
            st.builds(
                Every,
                every=st.integers(60_000, 200_000_000).map(lambda ms: timedelta(milliseconds=ms)),
                anchor=near,
            ),
            st.builds(Cron, expression=five_fields, timezone=st.just(zone), dst=wishes),
            st.builds(Cron, expression=five_fields, timezone=st.just(zone), dst=wishes),
        )
    )
    dates = st.integers(-4, 4).map(lambda days: (at + days * DAY).date())
    named: st.SearchStrategy[date] = dates | near.map(lambda instant: instant.replace(second=0))
    return Schedule(
        rule=rule,
        start_at=draw(st.none() | near),
        end_at=draw(st.none() | near),
        exclude=tuple(draw(st.lists(named, max_size=4))),
        offset=draw(
            st.just(timedelta(0))
            | st.integers(0, 3_600_000).map(lambda ms: timedelta(milliseconds=ms))
        ),
    )
