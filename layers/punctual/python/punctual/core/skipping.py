"""Which slots of a job may still be left out by its user."""

from datetime import datetime

from punctual.core.dispatch import TICK
from punctual.core.jobs import Job
from punctual.core.slots import count_slots, is_slot

REASON = "skip"
"""Why a run reads `skipped` whose slot a user left out."""

BOUNDED_MAX = 100_000
"""Slots counted for a job that has a bound; one farther ahead is not known to be its own."""


def is_to_come(job: Job, slot: datetime, *, now: datetime) -> bool:
    """Say whether a job is to carry out `slot`, later than `now`, as its schedule is.

    It may be handed over already, or not for long. A paused job's slots are to come: the pause may
    end before them.
    """
    if slot <= now or not is_slot(job.schedule, slot):
        return False
    if job.next_slot is None:
        return job.last_slot is not None and slot <= job.last_slot
    if slot < job.next_slot or job.schedule.max_runs is None:
        return True
    left = min(job.schedule.max_runs - job.ordinal, BOUNDED_MAX)
    counted = count_slots(job.schedule, after=job.next_slot - TICK, until=slot, limit=left + 1)
    return counted <= left
