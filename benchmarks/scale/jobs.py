"""Jobs that are there already: their items, and what earlier visits have handed over of them."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from punctual.adapters.dynamodb import keys
from punctual.adapters.dynamodb.items import (
    Item,
    address,
    content_to_value,
    job_to_item,
    number,
    run_to_item,
)
from punctual.adapters.sqs.bodies import run_body
from punctual.core.dispatch import AHEAD_MAX, AHEAD_SLOTS, LOOK_AHEAD, queued_run
from punctual.core.identity import JobKey
from punctual.core.instants import epoch_ms
from punctual.core.jobs import Content, HttpTarget, Job
from punctual.core.records import content_ref
from punctual.core.schedules import At, Every, Schedule

TENANTS = 20

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Jobs of one period."""

    name: str
    count: int
    period: timedelta | None
    """None for jobs that run once."""
    first: timedelta = timedelta(0)
    """When the first of them has its first slot, counted from the beginning."""
    within: timedelta
    """Their first slots are spread evenly over so much time, in whole seconds."""

    def before(self, until: timedelta) -> "Kind":
        """Return it without those jobs that run once, and not before `until`."""
        if self.period is not None or until >= self.within:
            return self
        return replace(self, count=round(self.count * (until / self.within)), within=until)

    def first_slot(self, place: int) -> timedelta:
        """Return the first slot of job number `place`, counted from the beginning."""
        return self.first + self.within * place // self.count // SECOND * SECOND

    def slots_between(self, since: timedelta, until: timedelta) -> int:
        """Count the slots of all of them from `since` on and before `until`."""
        firsts = map(self.first_slot, range(self.count))
        if self.period is None:
            return sum(since <= first < until for first in firsts)
        period = self.period
        # Slots before an instant: those of whole periods since the first one, rounded up.
        return sum(
            max(0, -(-(until - first) // period)) - max(0, -(-(since - first) // period))
            for first in firsts
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """A run that an earlier visit has handed over."""

    row: Item
    body: str
    visible_at: int
    """When its message can be received, in milliseconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One job in the middle of its life."""

    items: tuple[Item, ...]
    """The job and its content."""
    handed_over: tuple[HandedOver, ...]


def standing_jobs(
    kinds: Sequence[Kind], *, now: datetime, until: datetime, chance: Random
) -> Iterator[Standing]:
    """Yield every job as it stands at `now`, as if its dispatchers had always been at work.

    A visit hands over up to ten slots; jobs are anywhere between two visits, evenly.

    Args:
        kinds: Which jobs there are.
        now: The beginning.
        until: The end: what was handed over for later is left out, as nobody gets to see it.
        chance: Decides how far each job is.
    """
    for kind in kinds:
        for place in range(kind.count):
            yield _standing(kind, place, now=now, until=until, chance=chance)


def _standing(
    kind: Kind, place: int, *, now: datetime, until: datetime, chance: Random
) -> Standing:
    key = JobKey(f"tenant-{place % TENANTS}", f"{kind.name}-{place}")
    content = Content(target=HttpTarget(url=f"https://hooks.example.com/{key.job_id}"))
    first = now + kind.first_slot(place)
    slots: list[datetime] = []
    if kind.period is None:
        schedule = Schedule(rule=At(at=first))
    else:
        schedule = Schedule(rule=Every(every=kind.period, anchor=first))
        left = _slots_due(first, kind.period, now=now)
        if left:  # else its first visit is still to come
            left += int(chance.random() * _slots_of_a_visit(kind.period))
        slots = [first + kind.period * number for number in range(left)]
    job = Job(
        key=key,
        schedule=schedule,
        next_slot=first if kind.period is None else first + kind.period * len(slots),
        content=content_ref(content),
        fingerprint=f"{zlib.crc32(key.job_id.encode()):064x}",
        created_at=now - AHEAD_MAX - LOOK_AHEAD,
        updated_at=now,
    )
    stored = address(keys.job_partition(key), keys.content_sort(job.content)) | {
        "content": content_to_value(content),
        "touched": number(1),
    }
    return Standing(
        items=(job_to_item(job), stored),
        handed_over=tuple(_handed_over(job, slot, chance) for slot in slots if slot <= until),
    )


def _slots_of_a_visit(period: timedelta) -> int:
    """Return how many slots a visit hands over of a job that it finds just within the window."""
    return max(1, min(AHEAD_SLOTS, 1 + (AHEAD_MAX - LOOK_AHEAD) // period))


def _slots_due(first: datetime, period: timedelta, *, now: datetime) -> int:
    """Return how many slots the tick of a minute ago has handed over for sure."""
    ahead = now + LOOK_AHEAD - MINUTE - first
    return 0 if ahead < timedelta(0) else 1 + ahead // period


def _handed_over(job: Job, slot: datetime, chance: Random) -> HandedOver:
    run = queued_run(job, slot, schedule_revision=job.schedule_revision)
    return HandedOver(
        row=run_to_item(run),
        body=run_body(run.key, run),
        # Delays are whole seconds, rounded down, from whenever it was sent.
        visible_at=epoch_ms(slot) - chance.randrange(1000),
    )
