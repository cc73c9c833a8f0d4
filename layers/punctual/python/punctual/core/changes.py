"""What a user's request makes of a job: created, changed, paused, resumed, deleted."""

from dataclasses import dataclass, replace
from datetime import datetime

from punctual.core.dispatch import TICK
from punctual.core.errors import Conflict, InvalidSchedule, RevisionConflict
from punctual.core.identity import JobKey
from punctual.core.jobs import (
    EPOCH_KEPT,
    EPOCHS_MAX,
    Content,
    Epoch,
    Job,
    JobState,
    Policy,
)
from punctual.core.schedules import At, Every, Schedule, spread_offset
from punctual.core.slots import count_slots, next_slot, same_slots

HANDED_OVER_MAX = 2000
"""More slots than are ever handed over ahead: two visits' worth of the densest schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A job as a user wants it."""

    name: str | None = None
    schedule: Schedule
    """An interval without `start_at` has an anchor of no meaning here; `placed` sets it."""
    policy: Policy
    content: Content


def placed(schedule: Schedule, key: JobKey, *, before: Schedule | None, now: datetime) -> Schedule:
    """Return the schedule with what only its job knows: the spread's offset, and the anchor.

    An interval without `start_at` begins one interval after it was first asked for; writing the
    same interval again keeps its slots where they are.
    """
    rule = schedule.rule
    if isinstance(rule, Every) and schedule.start_at is None:
        anchor = now + rule.every
        if (
            before is not None
            and isinstance(before.rule, Every)
            and before.start_at is None
            and before.rule.every == rule.every
        ):
            anchor = before.rule.anchor
        rule = replace(rule, anchor=anchor)
    offset = spread_offset(f"{key.tenant}/{key.job_id}", schedule.spread)
    if rule is schedule.rule and offset == schedule.offset:
        return schedule  # a copy takes several times as long as all else here
    return replace(schedule, rule=rule, offset=offset)


def created(
    key: JobKey,
    spec: JobSpec,
    *,
    content: str,
    fingerprint: str,
    tombstone: Job | None,
    now: datetime,
) -> Job:
    """Return a new job, with its pointer at its first slot.

    Args:
        key: Its name.
        spec: What is wanted.
        content: Digest of the spec's content.
        fingerprint: Digest of the request, to tell its repetition from another one.
        tombstone: What an earlier job of this name left: the new one counts on from it.
        now: When it is created.

    Raises:
        InvalidSchedule: The schedule has no slot any more.
    """
    schedule = placed(spec.schedule, key, before=None, now=now)
    first = _first_slot(schedule, created_at=now)
    if first is None:
        raise InvalidSchedule("has no slot after now", field="schedule")
    return Job(
        key=key,
        incarnation=tombstone.incarnation + 1 if tombstone else 1,
        revision=tombstone.revision + 1 if tombstone else 1,
        schedule=schedule,
        policy=spec.policy,
        next_slot=first,
        created_at=now,
        name=spec.name,
        content=content,
        fingerprint=fingerprint,
        updated_at=now,
    )


def _first_slot(schedule: Schedule, *, created_at: datetime) -> datetime | None:
    """Return where a new job's pointer stands; a single instant that is past still runs."""
    if isinstance(schedule.rule, At):
        earlier = min(created_at, schedule.rule.at - TICK)
        return next_slot(schedule, after=earlier)
    return next_slot(schedule, after=created_at)


def refuse_stale(job: Job, if_match: int | None) -> None:
    """Refuse a change that was made to another revision than the job has.

    Raises:
        RevisionConflict: `if_match` is not the job's revision.
    """
    if if_match is not None and if_match != job.revision:
        raise RevisionConflict(f"the job is at revision {job.revision}, not {if_match}")


def moves_slots(job: Job, schedule: Schedule) -> bool:
    """Say whether taking on `schedule`, as placed, changes which slots the job has."""
    return not same_slots(job.schedule, schedule) or job.schedule.max_runs != schedule.max_runs


def parting(job: Job, *, now: datetime) -> datetime:
    """Return the instant at which a change of the slots takes over.

    Slots up to it belong to the schedule as it was, later ones to the new one. While a job is
    paused that is the pause, since no later slot was handed over. Epochs follow each other even if
    the clocks of two hosts do not.
    """
    at = job.paused_at if job.state is JobState.PAUSED and job.paused_at is not None else now
    last = job.epochs[-1]
    since = last.begins or last.since
    return at if since is None else max(at, since)


def changed(job: Job, spec: JobSpec, *, content: str, now: datetime) -> Job:
    """Return the job with a new definition whose slots are the same."""
    schedule = placed(spec.schedule, job.key, before=job.schedule, now=now)
    return replace(
        job,
        name=spec.name,
        schedule=schedule,
        policy=spec.policy,
        content=content,
        revision=job.revision + 1,
        updated_at=now,
    )


def rescheduled(job: Job, spec: JobSpec, *, content: str, at: datetime, now: datetime) -> Job:
    """Return the job with a new definition whose slots differ from `at` on.

    Args:
        job: As it is, with every slot up to `at` handed over.
        spec: What is wanted.
        content: Digest of the spec's content.
        at: Where the old slots end and the new ones begin; see `parting`.
        now: When the change is made.

    Raises:
        InvalidSchedule: The only slot is past.
        Conflict: The slots were changed too often in too short a time.
    """
    assert job.next_slot is None or job.next_slot > at, "what is owed was handed over"
    schedule = placed(spec.schedule, job.key, before=job.schedule, now=now)
    if isinstance(schedule.rule, At) and schedule.rule.at + schedule.offset <= at:
        raise InvalidSchedule("lies in the past", field="schedule.at")
    ordinal = job.ordinal - _handed_over_after(job, at)
    first = next_slot(schedule, after=at)
    if schedule.max_runs is not None and ordinal >= schedule.max_runs:
        first = None
    return replace(
        changed(job, spec, content=content, now=now),
        schedule_revision=job.schedule_revision + 1,
        epochs=_with_epoch(job, at=at, now=now),
        last_slot=None,
    ).with_pointer(first, ordinal=ordinal)


def _with_epoch(job: Job, *, at: datetime, now: datetime) -> tuple[Epoch, ...]:
    """Return the job's epochs with one more, which begins at `at`."""
    epochs = list(job.epochs)
    last = epochs[-1]
    since = at
    if last.since is not None:
        first = next_slot(job.schedule, after=last.begins or last.since)
        if first is None or first > at:
            # No slot was ever its, so the new one takes its place: what it took away from the one
            # before stays away, and is none of the new one's either.
            epochs.pop()
            since = last.since
    begins = at if at > since else None
    epochs.append(Epoch(schedule_revision=job.schedule_revision + 1, since=since, begins=begins))
    while len(epochs) > 1 and (ended := epochs[1].since) and ended < now - EPOCH_KEPT:
        epochs.pop(0)
    if len(epochs) > EPOCHS_MAX:
        raise Conflict(
            f"its slots were changed {EPOCHS_MAX} times in {EPOCH_KEPT.days} days: "
            "try again later, or delete the job and create it anew"
        )
    return tuple(epochs)


def _handed_over_after(job: Job, instant: datetime) -> int:
    """Count the slots after `instant` that were handed over ahead of their time."""
    until = job.last_slot if job.next_slot is None else job.next_slot - TICK
    if until is None or until <= instant:
        return 0
    return count_slots(job.schedule, after=instant, until=until, limit=HANDED_OVER_MAX)


def paused(job: Job, *, note: str | None, now: datetime) -> Job:
    """Return the job paused; a paused one at most takes a new note.

    Raises:
        Conflict: The job has ended: there is nothing to pause.
    """
    if job.state is JobState.PAUSED:
        if note is None or note == job.pause_note:
            return job
        return replace(job, pause_note=note, revision=job.revision + 1, updated_at=now)
    if job.state_at(now) is JobState.ENDED:
        raise Conflict("the job has ended: it has no slot that could be paused")
    return replace(
        job,
        state=JobState.PAUSED,
        paused_at=now,
        pause_note=note,
        revision=job.revision + 1,
        updated_at=now,
    )


def resumed(job: Job, *, now: datetime) -> Job:
    """Return the job active again, its pointer back at the first slot the pause withheld.

    Slots after the pause began may have been handed over ahead of it; executors undo those that
    come due while it lasts, so they are handed over again. A job that is not paused stays as it is.
    """
    if job.state is not JobState.PAUSED or job.paused_at is None:
        return job
    withheld = next_slot(job.schedule, after=job.paused_at)
    ordinal = job.ordinal - _handed_over_after(job, job.paused_at)
    if job.schedule.max_runs is not None and ordinal >= job.schedule.max_runs:
        withheld = None
    pointer = min((s for s in (withheld, job.next_slot) if s is not None), default=None)
    return replace(
        job,
        state=JobState.ACTIVE,
        paused_at=None,
        pause_note=None,
        resumed_at=now,
        revision=job.revision + 1,
        updated_at=now,
    ).with_pointer(pointer, ordinal=ordinal)


def deleted(job: Job, *, now: datetime) -> Job:
    """Return the tombstone of a job: no attempt starts once it is written."""
    return replace(job, state=JobState.DELETED, revision=job.revision + 1, updated_at=now)
