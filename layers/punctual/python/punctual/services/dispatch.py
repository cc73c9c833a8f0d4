"""Visit the due jobs of some shards: watch, rows, send, claim."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from punctual.core.dispatch import LOOK_AHEAD, Visit, plan_visit
from punctual.core.identity import JobKey
from punctual.core.jobs import DueJob
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

JOBS_AT_ONCE = 25
"""Jobs whose visits share their requests: as many claims as one request carries."""

SLOTS_AT_ONCE = 200
"""Slots after which no further job joins, so that no transaction keeps starts waiting for long."""


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
        for page in self._jobs.due(shards, until=now + LOOK_AHEAD):
            waiting: Sequence[DueJob] = page
            while waiting:
                again: list[DueJob] = []
                for visits in self._together(waiting, done):
                    if self._clock.now() >= deadline:
                        done.finished = False
                        return done
                    again += self._carry_out(visits, done)
                # Jobs that owe more slots than one visit hands over are visited again at once.
                waiting = again
        return done

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
        plan = plan_visit(job, now=self._clock.now(), until=until, paused=paused)
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
            return plan_visit(job, now=now)
        except Exception as error:  # noqa: BLE001 - one broken job must not stop its shard
            reason = f"parked: its slots cannot be computed ({type(error).__name__}: {error})"[:200]
            self._jobs.park(job.key, reason=reason, now=now)
            done.parked[job.key] = reason
            return None

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
        """Carry out the four steps in their order, dropping the visits that one of them fails.

        The watch comes first so that no row is ever left unwatched, and the claim last so that a
        visit that dies is done again. Every step refuses its own repetition.
        """
        whole = self._watched(visits)
        whole = self._inserted(whole)
        whole = self._sent(whole)
        whole = self._left_out(whole)
        done.failed += len(visits) - len(whole)

        answers = self._jobs.claim([visit.claim for visit in whole]) if whole else []
        held = [visit for visit, holds in zip(whole, answers, strict=True) if holds]
        done.claims_lost += len(whole) - len(held)
        done.jobs += len(held)
        done.slots += sum(len(visit.runs) for visit in held)
        done.left_out += sum(visit.left_out.count for visit in held if visit.left_out)
        return held

    def _watched(self, visits: Sequence[Visit]) -> list[Visit]:
        now = self._clock.now()
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
        runs = [run for visit in visits for run in visit.runs]
        return _whole(visits, self._runs.insert(runs) if runs else [])

    def _sent(self, visits: Sequence[Visit]) -> list[Visit]:
        messages = [
            Outgoing(key=run.key, lane=run.lane, at=run.scheduled_at)
            for visit in visits
            for run in visit.runs
        ]
        return _whole(visits, self._queue.send(messages) if messages else [])

    def _left_out(self, visits: Sequence[Visit]) -> list[Visit]:
        stretches = [(v.job.key, v.left_out) for v in visits if v.left_out is not None]
        if not stretches:
            return list(visits)
        recorded = iter(self._runs.put_stretches(stretches))
        return [v for v in visits if v.left_out is None or next(recorded)]


def _whole(visits: Sequence[Visit], answers: Sequence[bool]) -> list[Visit]:
    """Keep the visits of which every run succeeded; `answers` has one entry per run, in order."""
    remaining = iter(answers)
    return [v for v in visits if sum(next(remaining) for _ in v.runs) == len(v.runs)]
