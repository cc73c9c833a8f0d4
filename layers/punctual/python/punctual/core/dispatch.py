"""Which slots one visit of a job hands over, and the claim that follows."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from punctual.core.identity import JobKey, RunKey
from punctual.core.jobs import CatchUp, DueJob, JobState
from punctual.core.runs import Run, Stretch
from punctual.core.slots import next_slot, slots_between

LOOK_AHEAD = timedelta(seconds=150)
"""How far ahead slots are handed over: each at least 90 s early, so a lost tick makes none late."""

AHEAD_MAX = timedelta(seconds=840)
"""How far ahead a visit goes on for the sake of few claims; the queue delays at most 900 s."""

AHEAD_SLOTS = 10
"""How many slots a visit gathers that way: a one-minute job pays one claim per ten runs."""

SLOTS_PER_VISIT_MAX = 250
"""A visit hands over no more; the job stays due, and the next visit goes on from there."""

STRETCH_SLOTS_MAX = 20_000
"""A visit leaves out no more late slots at once; the next visit leaves out the following ones."""

LATE_AFTER = timedelta(seconds=60)
"""A slot that reaches its visit later than this came due during an outage: `catch_up` applies."""

TICK = timedelta(milliseconds=1)
"""The resolution of slots: `slot - TICK` is the last instant before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The conditional update that moves a job's pointer past what was handed over."""

    key: JobKey
    expected_slot: datetime
    expected_revision: int
    expected_state: JobState
    """Active, but for a change of the slots while paused, which first hands over what is owed."""
    next_slot: datetime | None
    ordinal: int
    state: JobState
    """What the job is after it: `ended` when no slot follows."""
    last_slot: datetime | None
    """Set when no slot follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What dispatch does for one due job: these runs, that stretch, then the claim."""

    job: DueJob
    runs: tuple[Run, ...]
    """Rows to insert, oldest slot first."""
    left_out: Stretch | None
    claim: Claim
    more: bool
    """Whether slots of the window remain: the visit reached one of its bounds."""


def plan_visit(
    job: DueJob, *, now: datetime, until: datetime | None = None, paused: bool = False
) -> Visit | None:
    """Name the slots to hand over now, and the claim that moves past them.

    Pure: equal arguments give an equal plan, so a visit that died half-way is simply done again.

    Args:
        job: The job as read; its pointer, revision and state are what the claim expects.
        now: Aware datetime.
        until: Hand over the slots up to this instant and none after it: what a change of the
            slot set does first. None: the look-ahead window, and on as the bounds allow.
        paused: Whether a paused job is visited too, for the slots that it owes.

    Returns:
        A plan; None when the window holds no slot of this job.
    """
    handed_over_in = {JobState.ACTIVE, JobState.PAUSED} if paused else {JobState.ACTIVE}
    window = now + LOOK_AHEAD if until is None else until
    if job.state not in handed_over_in or job.next_slot is None or job.next_slot > window:
        return None

    left_out, first = _leave_out(job, now=now, until=until)
    slots = list(_window(job, first=first, now=now, until=until)) if first else []
    ordinal = job.ordinal + len(slots)
    following = first
    if slots:
        following = next_slot(job.schedule, after=slots[-1])
    if job.schedule.max_runs is not None and ordinal >= job.schedule.max_runs:
        following = None
    state = job.state
    if following is None and state is JobState.ACTIVE:
        state = JobState.ENDED
    last = slots[-1] if slots else (left_out.until if left_out else None)
    return Visit(
        job=job,
        runs=tuple(
            queued_run(job, slot, schedule_revision=job.schedule_revision) for slot in slots
        ),
        left_out=left_out,
        claim=Claim(
            key=job.key,
            expected_slot=job.next_slot,
            expected_revision=job.revision,
            expected_state=job.state,
            next_slot=following,
            ordinal=ordinal,
            state=state,
            last_slot=last if following is None else None,
        ),
        more=following is not None and following <= window,
    )


def _window(
    job: DueJob, *, first: datetime, now: datetime, until: datetime | None
) -> Iterator[datetime]:
    """Name the slots of one visit: the window's, then on to ten slots or 840 s."""
    bound = SLOTS_PER_VISIT_MAX
    if job.schedule.max_runs is not None:
        bound = min(bound, job.schedule.max_runs - job.ordinal)
    horizon = now + AHEAD_MAX if until is None else until
    slots = slots_between(job.schedule, after=first - TICK, until=horizon)
    for count, slot in enumerate(islice(slots, max(bound, 0))):
        if until is None and slot > now + LOOK_AHEAD and count >= AHEAD_SLOTS:
            return
        yield slot


def _leave_out(
    job: DueJob, *, now: datetime, until: datetime | None
) -> tuple[Stretch | None, datetime | None]:
    """Apply `catch_up`: the stretch of late slots that do not run, and the first slot that may.

    A slot before the job's creation is late by the user's own wish, so it runs.
    """
    first = job.next_slot
    assert first is not None, "an active job has a pointer"
    late_until = now - LATE_AFTER
    if job.resumed_at is not None:
        late_until = max(late_until, job.resumed_at)
    if until is not None:
        late_until = min(late_until, until)
    if job.policy.catch_up is CatchUp.ALL or first > late_until or first <= job.created_at:
        return None, first

    late = list(
        islice(
            slots_between(job.schedule, after=first - TICK, until=late_until),
            STRETCH_SLOTS_MAX,
        )
    )
    # When the bound cut the list, a later late slot exists, so the latest is not among these.
    complete = len(late) < STRETCH_SLOTS_MAX
    keeps_one = job.policy.catch_up is CatchUp.LATEST and complete
    out = late[:-1] if keeps_one else late
    if not out:
        return None, first
    stretch = Stretch(incarnation=job.incarnation, since=out[0], until=out[-1], count=len(out))
    return stretch, late[-1] if keeps_one else next_slot(job.schedule, after=out[-1])


def queued_run(job: DueJob, slot: datetime, *, schedule_revision: int) -> Run:
    """Return the row that hands over `slot`, with the policies it is pinned to."""
    return Run(
        key=RunKey.of_slot(job.key, incarnation=job.incarnation, slot=slot),
        scheduled_at=slot,
        schedule_revision=schedule_revision,
        max_attempts=job.policy.attempts,
        delivery=job.policy.delivery,
        lane=job.policy.lane,
    )
