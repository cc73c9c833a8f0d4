"""Which slots one visit of a job hands over, and the claim that follows."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from punctual.core.identity import JobKey, RunKey
from punctual.core.jobs import CatchUp, DueJob, Job, JobState
from punctual.core.runs import Run, Stretch
from punctual.core.slots import is_slot, next_slot

LOOK_AHEAD = timedelta(seconds=210)
"""How far ahead slots are handed over. Ticks come anywhere within their minute, so those around a
lost one are up to 180 s apart: even then each slot is handed over 30 s early."""

AHEAD_MAX = timedelta(seconds=840)
"""How far ahead a visit goes on for the sake of few claims; the queue delays at most 900 s."""

AHEAD_SLOTS = 10
"""How many slots a visit gathers that way: a one-minute job pays one claim per ten runs."""

SLOTS_PER_VISIT_MAX = 250
"""A visit hands over no more; the job stays due, and the next visit goes on from there."""

SLOTS_WALKED_MAX = 20_000
"""A visit that leaves slots out looks at no more; the next visit goes on from there."""

LATE_AFTER = timedelta(seconds=60)
"""A slot that reaches its visit later than this came due during an outage: `catch_up` applies."""

VISIT_MAX = timedelta(seconds=60)
"""A visit takes no longer than this: so long lives whoever makes it."""

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

    def holds_for(self, job: Job | None) -> bool:
        """Say whether the job stands as the claim expects it."""
        return job is not None and (job.next_slot, job.revision, job.state) == (
            self.expected_slot,
            self.expected_revision,
            self.expected_state,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What dispatch does for one due job: that is left out, these runs, then the claim."""

    job: DueJob
    left_out: tuple[Stretch, ...]
    """Earliest first; no slot of a stretch has a run."""
    runs: tuple[Run, ...]
    """Rows to insert, oldest slot first."""
    claim: Claim
    more: bool
    """Whether slots of the window remain: the visit reached one of its bounds."""
    planned_at: datetime

    def is_over(self, now: datetime) -> bool:
        """Say whether whoever planned the visit should no longer be there.

        One that stood still may be. By then others have visited the job, and what this one would
        write may part the slots otherwise than they did.
        """
        return now > self.planned_at + VISIT_MAX

    def agrees_with(self, accounted: "Accounted") -> bool:
        """Say whether no run has begun of what is left out, and nothing of it is recorded.

        A run between two slots, of the schedule before, is no business of the visit.
        """
        begun = [slot for slot in accounted.runs if is_slot(self.job.schedule, slot)]
        return not any(
            any(stretch.holds(slot) for slot in begun)
            or any(
                other.meets(since=stretch.since, until=stretch.until)
                for other in accounted.stretches
            )
            for stretch in self.left_out
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounted:
    """What was made of late slots before: by a visit that never claimed, or before a pause."""

    runs: frozenset[datetime] = frozenset()
    """Slots whose run has begun: they were handed over, and are not left out any more."""
    stretches: tuple[Stretch, ...] = ()
    """Slots in these are left out for good, whatever the rule is by now.

    All are of the job's schedule as it is: others name other slots.
    """

    def leaves_out(self, slot: datetime) -> bool:
        """Say whether a slot is recorded as left out."""
        return any(stretch.holds(slot) for stretch in self.stretches)


NOTHING = Accounted()


def plan_visit(
    job: DueJob,
    *,
    now: datetime,
    until: datetime | None = None,
    paused: bool = False,
    accounted: Accounted = NOTHING,
) -> Visit | None:
    """Name the slots to hand over now, and the claim that moves past them.

    Pure: equal arguments give an equal plan, so a visit that died half-way is simply done again.

    Args:
        job: The job as read; its pointer, revision and state are what the claim expects.
        now: Aware datetime.
        until: Hand over the slots up to this instant and none after it: what a change of the
            slot set does first. None: the look-ahead window, and on as the bounds allow.
        paused: Whether a paused job is visited too, for the slots that it owes.
        accounted: What is recorded already of the slots that this plan leaves out; only asked
            for when a plan without it leaves some out.

    Returns:
        A plan; None when the window holds no slot of this job.
    """
    handed_over_in = {JobState.ACTIVE, JobState.PAUSED} if paused else {JobState.ACTIVE}
    window = now + LOOK_AHEAD if until is None else until
    if job.state not in handed_over_in or job.next_slot is None or job.next_slot > window:
        return None

    walk = _walk(job, now=now, until=until, accounted=accounted)
    state = job.state
    if walk.following is None and state is JobState.ACTIVE:
        state = JobState.ENDED
    return Visit(
        job=job,
        left_out=tuple(
            Stretch(
                incarnation=job.incarnation,
                schedule_revision=job.schedule_revision,
                since=slots[0],
                until=slots[-1],
                count=len(slots),
            )
            for slots in walk.left_out
        ),
        runs=tuple(
            queued_run(job, slot, schedule_revision=job.schedule_revision)
            for slot in walk.handed_over
        ),
        claim=Claim(
            key=job.key,
            expected_slot=job.next_slot,
            expected_revision=job.revision,
            expected_state=job.state,
            next_slot=walk.following,
            ordinal=job.ordinal + len(walk.handed_over),
            state=state,
            last_slot=walk.last if walk.following is None else None,
        ),
        more=walk.following is not None and walk.following <= window,
        planned_at=now,
    )


@dataclass(slots=True, kw_only=True)
class _Walk:
    """The slots of one visit, from the pointer on."""

    last: datetime
    """The last slot that was looked at."""
    following: datetime | None
    """The slot after it: where the pointer goes; None when there is none."""
    handed_over: list[datetime] = field(default_factory=list)
    left_out: list[list[datetime]] = field(default_factory=list)
    """Each without a slot in between that is not left out here."""


def _walk(job: DueJob, *, now: datetime, until: datetime | None, accounted: Accounted) -> _Walk:
    """Go through the window's slots, then on to ten or to 840 s, as far as the bounds allow."""
    assert job.next_slot is not None, "a due job has a pointer"
    late_until = _late_until(job, now=now, until=until)
    ahead = until if until is not None else now + LOOK_AHEAD
    further = until if until is not None else now + AHEAD_MAX
    walk = _Walk(last=job.next_slot, following=job.next_slot)
    together = False
    for _ in range(SLOTS_WALKED_MAX):
        slot, handed_over = walk.following, len(walk.handed_over)
        if slot is None or handed_over == SLOTS_PER_VISIT_MAX:
            break
        if slot > (ahead if handed_over >= AHEAD_SLOTS else further):
            break
        walk.last, walk.following = slot, next_slot(job.schedule, after=slot)
        if accounted.leaves_out(slot):
            together = False
        elif _is_left_out(slot, walk.following, job, late_until, accounted):
            if not together:
                walk.left_out.append([])
            walk.left_out[-1].append(slot)
            together = True
        else:
            walk.handed_over.append(slot)
            together = False
            if _is_last(job, ordinal=job.ordinal + len(walk.handed_over)):
                walk.following = None
    return walk


def _is_last(job: DueJob, *, ordinal: int) -> bool:
    """Say whether `max_runs` lets no slot follow after so many."""
    return job.schedule.max_runs is not None and ordinal >= job.schedule.max_runs


def _is_left_out(
    slot: datetime,
    following: datetime | None,
    job: DueJob,
    late_until: datetime,
    accounted: Accounted,
) -> bool:
    """Apply `catch_up` to a slot, which the slot `following` comes after."""
    if slot > late_until or slot in accounted.runs:
        return False
    match job.policy.catch_up:
        case CatchUp.ALL:
            return False
        case CatchUp.LATEST:
            return following is not None and following <= late_until
        case CatchUp.NONE:
            return True


def _late_until(job: DueJob, *, now: datetime, until: datetime | None) -> datetime:
    """Return up to which instant slots are late: an outage withheld them, or a pause.

    A slot before the job's creation is late by the user's own wish, so nothing is late then.
    """
    assert job.next_slot is not None, "a due job has a pointer"
    if job.next_slot <= job.created_at:
        return job.next_slot - TICK
    late_until = now - LATE_AFTER
    if job.resumed_at is not None:
        late_until = max(late_until, job.resumed_at)
    return late_until if until is None else min(late_until, until)


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
