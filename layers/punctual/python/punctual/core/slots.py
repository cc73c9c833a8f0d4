"""A schedule's slots: its rule's instants within its bounds, less its exclusions, shifted.

`start_at`, `end_at` and `exclude` speak of the instants that the rule names; `offset` then shifts
what is left. So whether a slot exists does not depend on which job it belongs to.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import assert_never

from punctual.core import cron
from punctual.core.errors import InvalidSchedule
from punctual.core.instants import EPOCH, MILLISECOND
from punctual.core.schedules import At, Cron, Every, Rule, Schedule

EVERY_MIN = timedelta(seconds=1)
"""The shortest interval."""

EVERY_MAX = timedelta(days=36_525)
"""The longest interval: a century."""

SPREAD_MAX = timedelta(days=1)
"""The widest window over which slots are spread."""

EXCLUSIONS_MAX = 500
"""Finding a slot passes over at most so many; ten years of holidays fit."""

JUST_BEFORE = timedelta(microseconds=1)
"""The resolution of an instant: what is later than `x - JUST_BEFORE` is `x` or later."""

DAY = timedelta(days=1)

ANY_TIME = datetime(2025, 1, 1, tzinfo=UTC)
"""Whether a cron expression ever comes in its zone is tried from here: the present rules hold."""


def next_slot(schedule: Schedule, *, after: datetime) -> datetime | None:
    """Return the first slot strictly later than `after`.

    Keeps no place of its own: equal arguments give an equal answer, and walking on from each
    answer gives every slot once. `max_runs` is not looked at: whoever hands slots over counts.

    Args:
        schedule: The rule, its bounds and its shift.
        after: Aware datetime.

    Returns:
        An aware datetime in UTC, or None when no further slot comes.

    Raises:
        InvalidSchedule: The rule cannot be read; `check` lets no such schedule in.
    """
    try:
        nominal = after - schedule.offset
        if schedule.start_at is not None and nominal < schedule.start_at:
            nominal = schedule.start_at - JUST_BEFORE
        slot = _next_of_rule(schedule.rule, nominal)
        if schedule.exclude:
            slot = _next_not_excluded(schedule, slot)
        if slot is None or (schedule.end_at is not None and slot > schedule.end_at):
            return None
        return slot + schedule.offset
    except OverflowError:
        return None  # beyond the year 9999


def is_slot(schedule: Schedule, instant: datetime) -> bool:
    """Say whether a schedule names an instant, an aware datetime."""
    return next_slot(schedule, after=instant - JUST_BEFORE) == instant


def slots_between(schedule: Schedule, *, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the slots with after < slot <= until, in order.

    However an interval is split, its parts hold the same slots as the whole.
    """
    slot = next_slot(schedule, after=after)
    while slot is not None and slot <= until:
        yield slot
        slot = next_slot(schedule, after=slot)


def count_slots(schedule: Schedule, *, after: datetime, until: datetime, limit: int) -> int:
    """Count the slots with after < slot <= until, no further than to `limit`."""
    return sum(1 for _ in islice(slots_between(schedule, after=after, until=until), limit))


def same_slots(a: Schedule, b: Schedule) -> bool:
    """Say whether two schedules surely name the same slots, `max_runs` aside.

    Cheap, so it does not see through everything: False may be wrong, True never is.
    """
    return a == b or _normal_form(a) == _normal_form(b)


def check(schedule: Schedule) -> None:
    """Refuse a schedule that cannot be used.

    Raises:
        InvalidSchedule: Naming the field: a rule that cannot be read, a bound that makes no
            sense, or no slot at all.
    """
    _check_rule(schedule.rule)
    if (
        schedule.start_at is not None
        and schedule.end_at is not None
        and schedule.end_at < schedule.start_at
    ):
        raise InvalidSchedule("lies before start_at", field="end_at")
    if schedule.max_runs is not None and schedule.max_runs < 1:
        raise InvalidSchedule("is at least 1", field="max_runs")
    if len(schedule.exclude) > EXCLUSIONS_MAX:
        raise InvalidSchedule(f"holds more than {EXCLUSIONS_MAX} entries", field="exclude")
    if not timedelta(0) <= schedule.spread <= SPREAD_MAX:
        raise InvalidSchedule(
            f"lies between 0 and {SPREAD_MAX // EVERY_MIN}", field="spread_seconds"
        )
    _check_that_it_fires(schedule)


def _next_of_rule(rule: Rule, after: datetime) -> datetime | None:
    match rule:
        case Cron():
            return cron.walk(rule.expression, rule.timezone, rule.dst).next(after)
        case Every(every=every, anchor=anchor):
            if after < anchor:
                return anchor
            return anchor + ((after - anchor) // every + 1) * every
        case At(at=at):
            return at if after < at else None
        case _:
            assert_never(rule)


def _next_not_excluded(schedule: Schedule, slot: datetime | None) -> datetime | None:
    """Return `slot` or the first later instant of the rule that is not excluded.

    Each turn leaves an exclusion behind for good, so there are no more turns than exclusions.
    """
    dates, instants = _exclusions(schedule.exclude)
    while slot is not None:
        if slot in instants:
            slot = _next_of_rule(schedule.rule, slot)
        elif dates and (end := _end_of_excluded_date(schedule.rule, slot, dates)) is not None:
            slot = _next_of_rule(schedule.rule, end - JUST_BEFORE)
        else:
            return slot
    return None


@lru_cache(maxsize=1024)
def _exclusions(exclude: tuple[date, ...]) -> tuple[frozenset[date], frozenset[datetime]]:
    """Return the excluded dates and the excluded instants."""
    instants = frozenset(entry for entry in exclude if isinstance(entry, datetime))
    return frozenset(exclude) - instants, instants


def _end_of_excluded_date(rule: Rule, slot: datetime, dates: frozenset[date]) -> datetime | None:
    """Return the first instant after `slot` of another date, None when its date is not excluded.

    Where clocks go back over midnight a date is left and comes again; this is when it is left.
    """
    if not isinstance(rule, Cron):
        if slot.date() not in dates:
            return None
        return datetime.combine(slot.date() + DAY, time(), UTC)
    period = cron.walk(rule.expression, rule.timezone, rule.dst).zone.period_at(
        (slot - EPOCH) // timedelta(seconds=1)
    )
    offset = timedelta(seconds=period.offset)
    today = (slot + offset).date()
    if today not in dates:
        return None
    midnight = datetime.combine(today + DAY, time(), UTC) - offset
    return min(midnight, EPOCH + timedelta(seconds=period.end))


def _check_rule(rule: Rule) -> None:
    match rule:
        case Cron():
            cron.walk(rule.expression, rule.timezone, rule.dst)
        case Every(every=every):
            if not EVERY_MIN <= every <= EVERY_MAX:
                raise InvalidSchedule(
                    f"lies between 1 and {EVERY_MAX // EVERY_MIN}", field="every_seconds"
                )
            if every % MILLISECOND:
                raise InvalidSchedule("is a whole number of milliseconds", field="every_seconds")
        case At():
            pass
        case _:
            assert_never(rule)


def _check_that_it_fires(schedule: Schedule) -> None:
    rule = schedule.rule
    if isinstance(rule, Cron):
        cron.walk(rule.expression, rule.timezone, rule.dst).first_after(ANY_TIME)
    since = rule.at if isinstance(rule, At) else schedule.start_at
    if since is None:
        return  # whether a slot is left before `end_at` depends on when the job is created
    bare = _bare(schedule)
    if next_slot(bare, after=since - JUST_BEFORE) is None:
        field = "at" if isinstance(rule, At) else "end_at"
        raise InvalidSchedule("no slot lies between start_at and end_at", field=field)
    if not schedule.exclude:
        return
    if next_slot(replace(bare, exclude=schedule.exclude), after=since - JUST_BEFORE) is None:
        raise InvalidSchedule("leaves no slot", field="exclude")


def _bare(schedule: Schedule) -> Schedule:
    """Return a schedule without its exclusions and its shift."""
    if not schedule.exclude and not schedule.offset:
        return schedule
    return replace(schedule, exclude=(), offset=timedelta(0))


def _normal_form(schedule: Schedule) -> tuple[object, ...]:
    """Return what decides the slots: schedules with equal ones have the same."""
    exclude = frozenset(schedule.exclude)
    match schedule.rule:
        case At(at=at):
            return (next_slot(schedule, after=at + schedule.offset - JUST_BEFORE),)
        case Every(every=every, anchor=anchor):
            bare = _bare(schedule)
            first = next_slot(bare, after=anchor - JUST_BEFORE)
            last = None
            if first is not None and schedule.end_at is not None:
                last = first + (schedule.end_at - first) // every * every
            return every, first, last, exclude, schedule.offset
        case Cron() as rule:
            walk = cron.walk(rule.expression, rule.timezone, rule.dst)
            return (
                replace(walk.expression, wildcard=False),
                walk.gap,
                walk.overlap,
                rule.timezone,
                schedule.start_at,
                schedule.end_at,
                exclude,
                schedule.offset,
            )
        case _:
            assert_never(schedule.rule)
