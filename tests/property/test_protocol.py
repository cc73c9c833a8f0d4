"""However a job is visited, changed, paused and made anew, each of its slots is accounted for once.

What runs and what was left out is held against an oracle that knows intervals and nothing else.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from punctual.core.dispatch import (
    AHEAD_MAX,
    LATE_AFTER,
    LOOK_AHEAD,
    SLOTS_PER_VISIT_MAX,
    SLOTS_WALKED_MAX,
    Accounted,
    plan_visit,
)
from punctual.core.errors import Conflict, JobNotFound
from punctual.core.jobs import CatchUp, DueJob, JobState, Policy
from punctual.core.runs import RunState
from punctual.core.schedules import Schedule
from tests.support.builders import DAY, HOUR, MINUTE, SECOND, a_due_job, a_job, a_schedule
from tests.support.clock import NINE
from tests.support.deployment import JOB, Deployment, a_deployment


def seconds(least: int, most: int) -> st.SearchStrategy[timedelta]:
    return st.integers(least, most).map(lambda count: count * SECOND)


catch_ups = st.sampled_from(CatchUp)


@st.composite
def due_jobs(draw: st.DrawFn) -> tuple[DueJob, datetime]:
    """A job that has handed over some slots, and when it is visited the next time."""
    now = NINE + draw(seconds(0, 20_000))
    every = draw(seconds(1, 4000))
    ordinal = draw(st.integers(0, 20))
    ends_after = draw(st.none() | seconds(0, 30_000))
    schedule = a_schedule(
        every,
        anchor=NINE + every,
        max_runs=draw(st.none() | st.integers(21, 600)),
        end_at=None if ends_after is None else NINE + every + ends_after,
    )
    policy = Policy(catch_up=draw(catch_ups))
    # The clock of whoever resumed it may be a little ahead.
    resumed_at = draw(st.none() | seconds(-20_000, 5).map(lambda after: now + after))
    job = a_job(
        schedule=schedule,
        next_slot=NINE + every,
        ordinal=ordinal,
        policy=policy,
        resumed_at=resumed_at,
    )
    return a_due_job(job), now


def carried_on(job: DueJob, *, now: datetime) -> tuple[DueJob, list[datetime], list[datetime]]:
    """Visit a job until it owes nothing; return it, what ran and what was left out."""
    ran: list[datetime] = []
    left_out: list[datetime] = []
    for _ in range(1000):
        visit = plan_visit(job, now=now)
        if visit is None:
            return job, ran, left_out
        assert visit.runs or visit.left_out
        assert len(visit.runs) <= SLOTS_PER_VISIT_MAX
        assert sum(stretch.count for stretch in visit.left_out) <= SLOTS_WALKED_MAX
        for run in visit.runs:
            assert run.scheduled_at <= now + AHEAD_MAX
        ran += [run.scheduled_at for run in visit.runs]
        for stretch in visit.left_out:
            inside = slots_of(job.schedule, since=stretch.since, until=stretch.until)
            assert len(inside) == stretch.count
            left_out += inside
        claim = visit.claim
        assert claim.ordinal == job.ordinal + len(visit.runs)
        assert (claim.state is JobState.ENDED) == (claim.next_slot is None)
        assert visit.more == (claim.next_slot is not None and claim.next_slot <= now + LOOK_AHEAD)
        job = replace(job, next_slot=claim.next_slot, ordinal=claim.ordinal, state=claim.state)
    raise AssertionError("the visits come to no end")


def slots_of(schedule: Schedule, *, since: datetime, until: datetime) -> list[datetime]:
    """Enumerate the slots of an interval, both ends included, by counting."""
    every = schedule.rule.every  # type: ignore[union-attr]
    anchor = schedule.rule.anchor  # type: ignore[union-attr]
    last = until if schedule.end_at is None else min(until, schedule.end_at)
    first = max(0, -((anchor - since) // every))
    return [anchor + n * every for n in range(first, (last - anchor) // every + 1)]


@settings(deadline=None)
@given(due=due_jobs())
def test_visits_part_the_slots_into_those_that_run_and_those_that_do_not(
    due: tuple[DueJob, datetime],
) -> None:
    """Up to the pointer each slot is one or the other, once; from there on none is either."""
    job, now = due

    after, ran, left_out = carried_on(job, now=now)

    accounted = Counter(ran + left_out)
    assert set(accounted.values()) <= {1}
    assert ran == sorted(ran)
    assert left_out == sorted(left_out)
    assert job.next_slot is not None
    spent = job.schedule.max_runs is not None and after.ordinal >= job.schedule.max_runs
    until = max(accounted, default=NINE) if after.next_slot is None else after.next_slot - SECOND
    assert sorted(accounted) == slots_of(job.schedule, since=job.next_slot, until=until)
    if after.next_slot is None and not spent:
        assert slots_of(job.schedule, since=until + SECOND, until=NINE + 2 * DAY) == []
    if after.next_slot is not None:
        assert after.next_slot > now + LOOK_AHEAD


@settings(deadline=None)
@given(due=due_jobs())
def test_a_rule_leaves_out_what_is_late_and_nothing_else(due: tuple[DueJob, datetime]) -> None:
    job, now = due
    late_until = max(now - LATE_AFTER, job.resumed_at or NINE)

    _, ran, left_out = carried_on(job, now=now)

    late_runs = [slot for slot in ran if slot <= late_until]
    assert all(slot <= late_until for slot in left_out)
    match job.policy.catch_up:
        case CatchUp.ALL:
            assert left_out == []
        case CatchUp.LATEST:
            assert len(late_runs) <= 1
            assert all(slot < late_runs[0] for slot in left_out)
        case CatchUp.NONE:
            assert late_runs == []


@settings(deadline=None)
@given(due=due_jobs(), then=seconds(0, 10_000), begun=st.sets(st.integers(0, 40)))
def test_a_visit_that_died_before_its_claim_parts_no_slot_twice(
    due: tuple[DueJob, datetime], then: timedelta, begun: set[int]
) -> None:
    """The next visit keeps what is recorded, and counts as handed over what has begun."""
    job, now = due
    died = plan_visit(job, now=now)
    if died is None:
        return
    rows = [run.scheduled_at for run in died.runs]
    standing = frozenset(slot for number, slot in enumerate(rows) if number in begun)
    known = Accounted(runs=standing, stretches=died.left_out)

    visit = plan_visit(job, now=now + then, accounted=known)

    assert visit is not None
    ran = {run.scheduled_at for run in visit.runs}
    for slot in standing:
        assert slot in ran or slot >= (visit.claim.next_slot or NINE + 2 * DAY)
    for stretch in visit.left_out:
        assert not any(stretch.holds(slot) for slot in standing)
        assert not any(stretch.holds(other.since) for other in died.left_out)
    for slot in ran:
        assert not known.leaves_out(slot)
        assert not any(stretch.holds(slot) for stretch in visit.left_out)


# Lives


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a user does, some time after the step before; the ticks may have failed meanwhile."""

    after: timedelta
    verb: str
    every: timedelta
    ticks: bool


@dataclass(kw_only=True)
class Life:
    """What an oracle remembers of one life of a job."""

    created: datetime
    periods: list[tuple[datetime, timedelta]] = field(default_factory=list)
    """From when on which interval holds, for slots later than that."""
    paused_at: datetime | None = None
    deleted_at: datetime | None = None

    def owed(self, *, until: datetime) -> set[datetime]:
        """Return the slots that are to have an outcome by then, or to be left out."""
        ends = min(end for end in (until, self.paused_at, self.deleted_at) if end is not None)
        owed: set[datetime] = set()
        for (since, every), following in zip(
            self.periods, [*self.periods[1:], (ends, every_day)], strict=True
        ):
            last = min(following[0], ends)
            first = (since - NINE) // every + 1
            owed |= {NINE + n * every for n in range(max(first, 0), (last - NINE) // every + 1)}
        return owed


every_day = DAY

steps = st.builds(
    Step,
    after=seconds(1, 240),
    verb=st.sampled_from(
        ["edit", "edit", "pause", "pause", "resume", "resume", "delete", "create"]
    ),
    every=st.sampled_from([20, 30, 60, 60, 90, 300]).map(lambda count: count * SECOND),
    ticks=st.sampled_from([True, True, True, False]),
)


RESUME = Step(after=MINUTE, verb="resume", every=MINUTE, ticks=True)
"""What a pause owes is handed over when it is over."""


def lived(deployed: Deployment, story: Sequence[Step], catch_up: CatchUp) -> list[Life]:
    """Do what the users do, and remember it as an oracle that was told of it would."""
    lives = [begun(deployed, MINUTE, catch_up)]
    for step in story:
        deployed.run_until(deployed.now + step.after, ticks=step.ticks)
        life, now = lives[-1], deployed.now
        with suppress(Conflict, JobNotFound):
            match step.verb:
                case "edit" if life.deleted_at is None:
                    deployed.edit(interval(step.every), catch_up=catch_up)
                    if life.periods[-1][1] != step.every:
                        life.periods.append((life.paused_at or now, step.every))
                case "pause":
                    deployed.pause()
                    life.paused_at = life.paused_at or now
                case "resume":
                    deployed.resume()
                    life.paused_at = None
                case "delete":
                    deployed.delete()
                    life.deleted_at = now
                case "create" if life.deleted_at is not None:
                    lives.append(begun(deployed, step.every, catch_up))
    return lives


def begun(deployed: Deployment, every: timedelta, catch_up: CatchUp) -> Life:
    deployed.edit(interval(every), catch_up=catch_up)
    return Life(created=deployed.now, periods=[(deployed.now, every)])


def interval(every: timedelta) -> Schedule:
    """Return an interval that counts from nine, whenever it is asked for."""
    return a_schedule(every, start_at=NINE)


@settings(max_examples=25, deadline=None)
@given(story=st.lists(steps, min_size=1, max_size=9), catch_up=catch_ups)
def test_each_slot_of_every_life_is_accounted_for_once(
    story: Sequence[Step], catch_up: CatchUp
) -> None:
    with a_deployment(Path("unused")) as deployed:
        lives = lived(deployed, [*story, RESUME], catch_up)
        end = deployed.now
        deployed.run_until(end + HOUR)

        for incarnation, life in enumerate(lives, start=1):
            states = deployed.states(incarnation=incarnation)
            stretches = deployed.engine.runs.stretches(JOB, incarnation=incarnation)
            owed = life.owed(until=end + 50 * MINUTE)
            inside = {s: sum(stretch.holds(s) for stretch in stretches) for s in owed | set(states)}
            for slot in owed:
                accounted = (slot in states) + inside[slot]
                # A job that is deleted owes nothing that it had not handed over by then.
                assert accounted == 1 or (accounted == 0 and life.deleted_at is not None), slot
            assert sum(stretch.count for stretch in stretches) == sum(inside.values())
            for slot, state in states.items():
                if slot not in owed:
                    assert slot > end + 50 * MINUTE or (
                        life.deleted_at is not None and state is RunState.CANCELLED
                    ), slot
                elif life.deleted_at is None:
                    assert state in {RunState.SUCCEEDED, RunState.SKIPPED}, slot
        assert max(Counter(deployed.targets.runs).values(), default=0) <= 1
