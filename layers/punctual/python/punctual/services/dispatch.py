"""Visit the due jobs of some shards: watch, rows, send, claim."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from punctual.core.dispatch import LOOK_AHEAD, Accounted, Claim, Visit, plan_visit
from punctual.core.errors import StoreUnavailable
from punctual.core.identity import JobKey, slot_name
from punctual.core.jobs import DueJob
from punctual.core.runs import Run, RunState, Stretch, VoidQueued
from punctual.core.watching import Look, Reference, look_after
from punctual.ports import (
    Beat,
    Beats,
    Chance,
    Clock,
    JobStore,
    Outgoing,
    RunQueue,
    RunStore,
    Transact,
    WatchList,
)
from punctual.services.looks import note_down
from punctual.services.stretches import settled_stretches

JOBS_AT_ONCE = 25
"""Jobs whose visits share their requests: as many claims as one request carries."""

SLOTS_AT_ONCE = 200
"""Slots after which no further job joins, so that no transaction keeps starts waiting for long."""

ROWS_AT_ONCE = 25
"""Runs read together where a visit leaves slots out; mostly there is none."""

SECOND = timedelta(seconds=1)


@dataclass(kw_only=True)
class Dispatched:
    """What one dispatch did; counts are of this call."""

    jobs: int = 0
    """Visits whose claim held."""
    slots: int = 0
    """Slots that these visits handed over."""
    left_out: int = 0
    """Slots that a catch-up rule left out."""
    claims_lost: int = 0
    """Visits whose claim was refused: another one was first, or the job was changed."""
    failed: int = 0
    """Visits that stopped half-way, for want of an answer from store or queue; they stay due."""
    parked: dict[JobKey, str] = field(default_factory=dict)
    """Jobs whose plan cannot be made, and why."""
    finished: bool = True
    """Whether every due job was visited before the time was up."""


class Dispatch:
    """Hands over the slots of due jobs."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        runs: RunStore,
        watch_list: WatchList,
        queue: RunQueue,
        beats: Beats,
        clock: Clock,
        chance: Chance,
        transact: Transact,
    ) -> None:
        self._jobs = jobs
        self._runs = runs
        self._watch_list = watch_list
        self._queue = queue
        self._beats = beats
        self._clock = clock
        self._chance = chance
        self._transact = transact

    def __call__(self, shards: Sequence[int], *, deadline: datetime) -> Dispatched:
        """Visit every job of `shards` that is due within the look-ahead window.

        Stops taking up jobs at `deadline`; what is left stays due for the next tick.
        """
        done = Dispatched()
        now = self._clock.now()
        self._beats.beat(Beat(shards=tuple(shards), at=now))
        owing: list[DueJob] = []
        for page in self._jobs.due(shards, until=now + LOOK_AHEAD):
            if not self._visit_all(page, owing, deadline=deadline, done=done):
                return done
        # Jobs that owe more than one visit hands over are visited again at once, but every job
        # once before: none is late because another one owes much.
        while owing:
            again, owing = owing, []
            if not self._visit_all(again, owing, deadline=deadline, done=done):
                return done
        return done

    def _visit_all(
        self, jobs: Sequence[DueJob], owing: list[DueJob], *, deadline: datetime, done: Dispatched
    ) -> bool:
        """Visit jobs once each, and add those that owe more; False when the time is up."""
        for visits in self._together(jobs, done):
            if self._clock.now() >= deadline:
                done.finished = False
                return False
            owing += self._carry_out(visits, done)
        return True

    def visit(
        self, job: DueJob, *, until: datetime | None = None, paused: bool = False
    ) -> Dispatched:
        """Visit one job now: what the API does for a slot that is near.

        Args:
            job: The job as just read or written.
            until: Hand over the slots up to here and none after; see `plan_visit`.
            paused: Whether a paused job is visited for the slots that it owes.
        """
        done = Dispatched()
        now = self._clock.now()
        plan = plan_visit(job, now=now, until=until, paused=paused)
        if plan is not None and plan.left_out:
            accounted = self._account(plan)
            if accounted is None:
                done.failed += 1
                done.finished = False
                return done
            plan = plan_visit(job, now=now, until=until, paused=paused, accounted=accounted)
        if plan is not None:
            done.finished = not self._carry_out([plan], done)
        return done

    def _together(self, jobs: Sequence[DueJob], done: Dispatched) -> Iterator[list[Visit]]:
        """Plan the jobs, and gather the plans that share their requests."""
        visits: list[Visit] = []
        slots = 0
        for job in jobs:
            plan = self._plan(job, done)
            if plan is None:
                continue
            visits.append(plan)
            slots += len(plan.runs)
            if len(visits) == JOBS_AT_ONCE or slots >= SLOTS_AT_ONCE:
                yield visits
                visits, slots = [], 0
        if visits:
            yield visits

    def _plan(self, job: DueJob, done: Dispatched) -> Visit | None:
        now = self._clock.now()
        try:
            plan = plan_visit(job, now=now)
        except Exception as error:  # noqa: BLE001 - one broken job must not stop its shard
            reason = f"parked: its slots cannot be computed ({type(error).__name__}: {error})"[:200]
            self._jobs.park(job.key, reason=reason, now=now)
            done.parked[job.key] = reason
            return None
        if plan is None or not plan.left_out:
            return plan
        accounted = self._account(plan)
        if accounted is None:
            done.failed += 1
            return None
        return plan_visit(job, now=now, accounted=accounted)

    def _account(self, plan: Visit, *, announced_by: str | None = None) -> Accounted | None:
        """Look what was made before of the slots that a plan leaves out; None without an answer.

        Runs of them that nobody started are taken back: left out means that they do not run. What
        others announced is withdrawn, and what `announced_by` did is left alone.
        """
        revision = plan.job.schedule_revision
        try:
            rows = self._rows_among(plan)
            queued = [
                row
                for row in rows
                # Those of a later schedule are no business of a visit that has not heard of it.
                if row.state is RunState.QUEUED and row.schedule_revision <= revision
            ]
            moved = self._runs.move(
                [VoidQueued(key=row.key, schedule_revision=row.schedule_revision) for row in queued]
            )
            stretches = settled_stretches(
                plan.job.key,
                incarnation=plan.job.incarnation,
                since=plan.left_out[0].since,
                until=plan.left_out[-1].until,
                runs=self._runs,
                announced_by=announced_by,
            )
        except StoreUnavailable:
            return None
        if any(void.failed for void in moved):
            return None
        gone = {row.key for row, void in zip(queued, moved, strict=True) if void.applied}
        return Accounted(
            runs=frozenset(row.scheduled_at for row in rows if row.key not in gone),
            stretches=tuple(each for each in stretches if each.schedule_revision == revision),
        )

    def _rows_among(self, plan: Visit) -> list[Run]:
        """Return the runs that there are between the first and the last slot left out."""
        since, until = plan.left_out[0].since, plan.left_out[-1].until
        before = slot_name(until.replace(microsecond=0) + SECOND)
        rows: list[Run] = []
        while True:
            page = self._runs.list(
                plan.job.key, incarnation=plan.job.incarnation, before=before, limit=ROWS_AT_ONCE
            )
            rows += [run for run in page if run.scheduled_at >= since]
            if len(page) < ROWS_AT_ONCE or page[-1].scheduled_at < since:
                return rows
            before = page[-1].key.name

    def _carry_out(self, visits: Sequence[Visit], done: Dispatched) -> list[DueJob]:
        """Hand the planned slots over; return the jobs that owe more, as their claims left them."""
        held = self._transact(lambda: self._hand_over(visits, done))
        return [
            replace(
                visit.job,
                next_slot=visit.claim.next_slot,
                ordinal=visit.claim.ordinal,
                state=visit.claim.state,
            )
            for visit in held
            if visit.more
        ]

    def _hand_over(self, visits: Sequence[Visit], done: Dispatched) -> list[Visit]:
        """Carry out the steps in their order, dropping the visits that one of them fails.

        What is left out is settled before anything is handed over, so that two visits cannot part
        the slots differently. Then the watch comes first so that no row is ever left unwatched, and
        the claim last so that a visit that dies is done again. Every step refuses its own
        repetition. One that stood still meanwhile goes no further.
        """
        whole = self._left_out(visits)
        whole = self._watched(whole)
        whole = self._inserted(whole)
        whole = self._sent(whole)
        done.failed += len(visits) - len(whole)

        answers = self._jobs.claim([visit.claim for visit in whole]) if whole else []
        held = [visit for visit, holds in zip(whole, answers, strict=True) if holds]
        done.claims_lost += len(whole) - len(held)
        done.jobs += len(held)
        done.slots += sum(len(visit.runs) for visit in held)
        done.left_out += sum(stretch.count for visit in held for stretch in visit.left_out)
        return held

    def _in_time(self, visits: Sequence[Visit]) -> list[Visit]:
        """Keep the visits whose maker is not too late to go on with them."""
        now = self._clock.now()
        return [visit for visit in visits if not visit.is_over(now)]

    def _watched(self, visits: Sequence[Visit]) -> list[Visit]:
        visits, now = self._in_time(visits), self._clock.now()
        looks = [
            Look(
                reference=Reference(run.key, run.schedule_revision),
                at=look_after(max(now, run.scheduled_at)),
            )
            for visit in visits
            for run in visit.runs
        ]
        watched = note_down(looks, watch_list=self._watch_list, chance=self._chance)
        return [v for v in visits if watched.issuperset(run.key for run in v.runs)]

    def _inserted(self, visits: Sequence[Visit]) -> list[Visit]:
        visits = self._in_time(visits)
        runs = [run for visit in visits for run in visit.runs]
        return _whole(visits, self._runs.insert(runs) if runs else [])

    def _sent(self, visits: Sequence[Visit]) -> list[Visit]:
        visits = self._in_time(visits)
        messages = [
            Outgoing(key=run.key, lane=run.lane, at=run.scheduled_at, handed_over=run)
            for visit in visits
            for run in visit.runs
        ]
        return _whole(visits, self._queue.send(messages) if messages else [])

    def _left_out(self, visits: Sequence[Visit]) -> list[Visit]:
        """Announce what is left out, look again whether a run of it began, and settle it.

        An executor starts its run and then looks for stretches. So a run that it called is seen
        here, or it met the announcement and withdrew it: however late any of these writes arrives.
        """
        visits = self._in_time(visits)
        if not any(visit.left_out for visit in visits):
            return list(visits)
        token = self._chance.token()
        visits = _settled(visits, self._runs.put_stretches(_announced(visits, by=token)))
        visits = [v for v in visits if not v.left_out or self._is_clear(v, announced_by=token)]
        return _settled(visits, self._runs.settle_stretches(_announced(visits, by=token)))

    def _is_clear(self, visit: Visit, *, announced_by: str) -> bool:
        """Say whether nothing came up, since it was planned, about what a visit leaves out."""
        accounted = self._account(visit, announced_by=announced_by)
        return (
            accounted is not None and visit.agrees_with(accounted) and self._would_hold(visit.claim)
        )

    def _would_hold(self, claim: Claim) -> bool:
        """Say whether a claim would hold now: an edit may have taken such slots away meanwhile."""
        try:
            jobs = self._jobs.read([claim.key])
        except StoreUnavailable:
            return False
        return claim.holds_for(jobs.get(claim.key))


def _announced(visits: Sequence[Visit], *, by: str) -> list[tuple[JobKey, Stretch]]:
    return [
        (visit.job.key, replace(stretch, announced_by=by))
        for visit in visits
        for stretch in visit.left_out
    ]


def _settled(visits: Sequence[Visit], answers: Sequence[bool]) -> list[Visit]:
    """Keep the visits of which every stretch stands; one answer for each stretch, in order."""
    remaining = iter(answers)
    return [v for v in visits if sum(next(remaining) for _ in v.left_out) == len(v.left_out)]


def _whole(visits: Sequence[Visit], answers: Sequence[bool]) -> list[Visit]:
    """Keep the visits of which every run succeeded; `answers` has one entry per run, in order."""
    remaining = iter(answers)
    return [v for v in visits if sum(next(remaining) for _ in v.runs) == len(v.runs)]
