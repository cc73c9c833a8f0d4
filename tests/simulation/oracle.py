"""Which slots a job owes, by its users' words alone: an enumerator that shares no code with ours.

Users know when they asked for something and when it was answered, not the instant in between at
which it came into force. So every change has a window, and a slot is owed, allowed or neither.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Json = dict[str, Any]

NEVER = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A change came into force after `low` and at `high` at the latest."""

    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A schedule, and from when on it was in force."""

    schedule: Json
    """As the API takes it."""
    since: Window
    anchor: int
    """First slot of an interval without `start_at`."""


@dataclass(kw_only=True)
class Life:
    """What users did with one life of a job, in the order in which it came into force."""

    periods: list[Period] = field(default_factory=list)
    pauses: list[tuple[Window, Window | None]] = field(default_factory=list)
    """When it was paused, and resumed if it was."""
    deleted: Window | None = None


@dataclass(frozen=True, slots=True)
class Owed:
    """The slots that must be accounted for, and those that may be."""

    must: frozenset[int]
    may: frozenset[int]
    """Beside those that must."""


def owed(life: Life, *, until: int) -> Owed:
    """Return the slots of a life up to an instant."""
    must: set[int] = set()
    may: set[int] = set()
    before: set[int] = set()
    for number, period in enumerate(life.periods):
        following = life.periods[number + 1] if number + 1 < len(life.periods) else None
        ends = following.since if following else Window(low=until, high=until)
        slots = set(slots_of(period, until=min(ends.high, until)))
        begun: set[int] = set()
        for slot in slots:
            # A single instant that is past when the job is created runs all the same; and what
            # both the old and the new schedule name is owed wherever one takes over.
            at_once = number == 0 and "at" in period.schedule
            if slot > period.since.high or slot in before or at_once:
                begun.add(slot)
                (must if slot <= ends.low else may).add(slot)
            elif slot > period.since.low:
                may.add(slot)
        before = {slot for slot in begun if ends.low < slot <= ends.high}
    max_runs = life.periods[0].schedule.get("max_runs")
    if max_runs is not None:
        must, may = _first(max_runs, must, may)
    withheld = life.pauses[-1] if life.pauses and life.pauses[-1][1] is None else None
    if withheld is not None:
        must, may = _cut(must, may, after=withheld[0])
    if life.deleted is not None:
        must, may = _cut(must, may, after=life.deleted)
        # What a delete finds unfinished is not finished any more.
        must, may = set(), must | may
    return Owed(frozenset(must), frozenset(may - must))


def _first(count: int, must: set[int], may: set[int]) -> tuple[set[int], set[int]]:
    """Leave out what cannot be among the first slots, and doubt what need not be.

    A slot is among them for sure if all those before it, the doubtful ones too, leave it room; and
    it may be if the sure ones do.
    """
    known = sorted(must | may)
    sure = must & set(known[:count])
    return sure, {slot for slot in known if sum(s < slot for s in must) < count} - sure


def _cut(must: set[int], may: set[int], *, after: Window) -> tuple[set[int], set[int]]:
    """Leave out what lies after a change, and doubt what lies within its window."""
    sure = {slot for slot in must if slot <= after.low}
    return sure, {slot for slot in must | may if slot <= after.high} - sure


def slots_of(period: Period, *, until: int) -> Iterator[int]:
    """Yield every slot that a schedule names, up to an instant."""
    schedule = period.schedule
    first = _instant(schedule.get("start_at"))
    last = min(_instant(schedule.get("end_at")) or NEVER, until)
    excluded = {_instant(text) for text in schedule.get("exclude", ())}
    for slot in _named(schedule, anchor=period.anchor, last=last, low=period.since.low):
        if (first is None or slot >= first) and slot <= last and slot not in excluded:
            yield slot


def _named(schedule: Json, *, anchor: int, last: int, low: int) -> Iterator[int]:
    if "at" in schedule:
        at = _instant(schedule["at"])
        assert at is not None, "an instant was asked for"
        yield at
    elif "every_seconds" in schedule:
        slot = _instant(schedule.get("start_at")) or anchor
        while slot <= last:
            yield slot
            slot += int(schedule["every_seconds"] * 1000)
    else:
        yield from _minutes(schedule["cron"], schedule.get("timezone", "UTC"), low=low, last=last)


def _minutes(cron: str, timezone: str, *, low: int, last: int) -> Iterator[int]:
    """Try every minute: no zone of the simulated worlds changes its clocks meanwhile."""
    fields = [_values(field) for field in cron.split()]
    minute = low // 60_000 * 60_000
    while minute <= last:
        wall = datetime.fromtimestamp(minute / 1000, UTC).astimezone(ZoneInfo(timezone))
        weekday = wall.isoweekday() % 7
        parts = (wall.minute, wall.hour, wall.day, wall.month, weekday)
        if all(f is None or part in f for f, part in zip(fields, parts, strict=True)):
            yield minute
        minute += 60_000


def _values(field: str) -> set[int] | None:
    """Read `*`, `*/n` or a list of numbers; None stands for every value."""
    if field == "*":
        return None
    if field.startswith("*/"):
        return set(range(0, 60, int(field[2:])))
    return {int(number) for number in field.split(",")}


def _instant(text: str | None) -> int | None:
    if text is None:
        return None
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        milliseconds=1
    )
