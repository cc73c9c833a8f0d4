"""Which slots a schedule would have, and which a job will have next."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice, takewhile

from punctual.core.dispatch import TICK
from punctual.core.jobs import Job, JobState
from punctual.core.schedules import At, Every, Schedule
from punctual.core.slots import JUST_BEFORE, count_slots, slots_between

PREVIEWED_MAX = 100
"""How many slots are shown at most."""

_FOR_EVER = datetime.max.replace(tzinfo=UTC)


def preview(schedule: Schedule, *, now: datetime, count: int) -> list[datetime]:
    """Return the first slots of a job created now with this schedule, without a spread's shift.

    Args:
        schedule: As wanted. A `start_at` that is past is where its slots begin.
        now: When the job would be created.
        count: How many at most; `max_runs` may allow fewer.
    """
    rule = schedule.rule
    after = now
    if isinstance(rule, At):
        after = rule.at - JUST_BEFORE
    elif schedule.start_at is not None:
        after = schedule.start_at - JUST_BEFORE
    elif isinstance(rule, Every):
        schedule = replace(schedule, rule=replace(rule, anchor=now + rule.every))
    bound = count if schedule.max_runs is None else min(count, schedule.max_runs)
    return list(islice(slots_between(schedule, after=after, until=_FOR_EVER), bound))


def upcoming(job: Job, *, now: datetime, count: int) -> list[datetime]:
    """Return the slots of a job that are still to come, handed over already or not.

    None while it is paused: nothing is going to run. Slots that are overdue are not to come any
    more, but they use up what `max_runs` allows.

    Args:
        job: As it stands.
        now: Slots later than this are to come.
        count: How many at most.
    """
    if job.state_at(now) is not JobState.ACTIVE:
        return []
    pointer, last = job.next_slot, job.last_slot
    coming = slots_between(job.schedule, after=now, until=_FOR_EVER)
    if pointer is None:
        assert last is not None, "a job without a next slot has a last one"
        return list(islice(takewhile(lambda slot: slot <= last, coming), count))
    if job.schedule.max_runs is None:
        return list(islice(coming, count))
    left = job.schedule.max_runs - job.ordinal
    if pointer <= now:
        left -= count_slots(job.schedule, after=pointer - TICK, until=now, limit=max(left, 0))
    else:
        left += count_slots(job.schedule, after=now, until=pointer - TICK, limit=count)
    return list(islice(coming, min(count, max(left, 0))))
