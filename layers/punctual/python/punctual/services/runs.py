"""Look at runs, coming ones included, and cancel them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from heapq import merge
from itertools import islice

from punctual.core.dispatch import TICK, queued_run
from punctual.core.errors import Conflict, JobNotFound, NotFound, RunNotFound, StoreUnavailable
from punctual.core.execution import may_be_left_out, was_left_out
from punctual.core.identity import JobKey, RunKey, slot_name
from punctual.core.jobs import Job, JobState
from punctual.core.log_lines import told
from punctual.core.runs import (
    Result,
    Run,
    RunState,
    Stretch,
    cancellation,
)
from punctual.core.slots import count_slots, next_slot
from punctual.core.strands import SLOTS, STRANDS, end_of, first_name, place_of
from punctual.core.timeline import LogLine, timeline
from punctual.ports import Clock, JobStore, LogStore, Results, RunStore
from punctual.services.stretches import settled_stretches

COMING_LISTED = 10
"""Slots not handed over yet that a list of runs begins with."""

COMING_READABLE = 100
"""Slots not handed over yet that can be read by the id that their run will have."""

PAGES_AT_ONCE = 10
"""Pages read for one listing whose filter leaves little; the next listing goes on from there."""

FILTERED_AT_ONCE = 100
"""Runs of a page that a filter is put to: a job of a run each second has hundreds to come, and the
first listing of those that ended must get past them."""

TRIES = 10
"""How often a cancel follows a run that moves on meanwhile."""


class Stage(StrEnum):
    """Where a run stands as users see it: the states that are stored, and two that are not."""

    SCHEDULED = "scheduled"
    """Named by the schedule, and not handed over yet."""
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    CANCELLING = "cancelling"
    """Running, and asked to stop."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    MISSED = "missed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A run as users see it."""

    run: Run
    """For a coming slot the row that a visit would insert."""
    stage: Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class RunListing:
    """Part of a job's runs, newest first."""

    items: tuple[Seen, ...]
    gaps: tuple[Stretch, ...]
    """Stretches among the slots asked for that a catch-up rule left out, latest first."""
    before: str | None
    """The name before which the next part begins; None when this is the last."""


class Runs:
    """What users do with runs."""

    def __init__(
        self, *, jobs: JobStore, runs: RunStore, results: Results, logs: LogStore, clock: Clock
    ) -> None:
        self._jobs = jobs
        self._runs = runs
        self._results = results
        self._logs = logs
        self._clock = clock

    def list(
        self,
        job_key: JobKey,
        *,
        stage: Stage | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: str | None = None,
        limit: int,
    ) -> RunListing:
        """List the runs of a job's present life, newest first, the next coming ones included.

        Those that were asked for stand among the others at the second in which they were. What a
        deleted job did can be listed until it expires.

        Args:
            job_key: Whose.
            stage: Only runs that stand there.
            since: Only slots at this instant or later, and runs asked for then.
            until: Only slots before this instant, and runs asked for before it.
            before: Begin before this name.
            limit: At most so many; there may be fewer though more follow.

        Raises:
            JobNotFound: There is no such job, nor was there one lately.
        """
        job = self._jobs.read([job_key]).get(job_key)
        if job is None:
            raise JobNotFound(f"there is no job {job_key.job_id!r}")
        gaps = tuple(
            stretch
            for stretch in self._runs.stretches(job_key, incarnation=job.incarnation)
            if stretch.announced_by is None
            and _overlaps(stretch, since=since, until=until)
            and job.in_force(stretch.since) == stretch.schedule_revision
        )
        found: list[Seen] = []
        last: str | None = None
        page_size = limit if stage is None else max(limit, FILTERED_AT_ONCE)
        runs = self._newest_first(job, since=since, until=until, before=before, limit=page_size)
        for looked_at, seen in enumerate(runs):
            if len(found) == limit or looked_at == page_size * PAGES_AT_ONCE:
                return RunListing(items=tuple(found), gaps=gaps, before=last)
            last = seen.run.key.name
            if stage in {None, seen.stage} and _lies_in(seen.run, since=since, until=until):
                found.append(seen)
        return RunListing(items=tuple(found), gaps=gaps, before=None)

    def get(self, key: RunKey) -> Seen:
        """Return a run, a coming one too.

        Raises:
            RunNotFound: There is none, or it expired.
        """
        run = self._runs.read([key]).get(key)
        if run is not None:
            return Seen(run=run, stage=stage_of(run))
        slot = key.slot
        if slot is not None:
            job = self._jobs.read([key.job]).get(key.job)
            if job is not None and job.incarnation == key.incarnation and _is_coming(job, slot):
                return _coming(job, slot)
        raise RunNotFound(f"there is no run {key.run_id!r}")

    def logs(self, key: RunKey) -> Sequence[LogLine]:
        """Return what happened to a run, in order, and what its targets wrote meanwhile.

        Raises:
            RunNotFound: There is none, or it expired.
        """
        run = self.get(key).run
        written = told(self._logs.read(key)) if run.starts else ()
        return sorted([*timeline(run), *written], key=lambda line: line.at)

    def result(self, key: RunKey) -> Result:
        """Return what the target answered, its body as long as it is kept.

        Raises:
            NotFound: There is no such run, or it has no answer.
            StoreUnavailable: The body cannot be read now.
        """
        result = self.get(key).run.result
        if result is None:
            raise NotFound(f"the run {key.run_id!r} has no result")
        if result.stored is None:
            return result
        body = self._results.get(result.stored)
        return replace(result, truncated=True) if body is None else replace(result, body=body)

    def cancel(self, key: RunKey) -> Seen:
        """Cancel a run: at once if no attempt is live, else by asking its executor to stop.

        Cancelling twice is fine while the first is under way.

        Raises:
            RunNotFound: There is none, or it expired.
            Conflict: It has its outcome, or is not handed over yet.
            StoreUnavailable: The run may be cancelled or not.
        """
        is_ours = False
        for _ in range(TRIES):
            seen = self.get(key)
            now = self._clock.now()
            if seen.stage is Stage.SCHEDULED:
                raise Conflict("the run is not handed over yet: nothing is there to be cancelled")
            if seen.run.state.terminal and not is_ours:
                raise Conflict(f"the run has ended: {seen.stage}")
            if self._is_left_out(seen.run, now=now):
                raise Conflict("the slot was left out: its run never starts, and is not kept")
            move = cancellation(seen.run, now=now)
            if move is None:
                return seen
            moved = self._runs.move([move])[0]
            if moved.failed:
                raise StoreUnavailable("the store gave no answer")
            is_ours = is_ours or moved.applied or _was_cancelled_at(moved.run, now)
        raise Conflict("the run moves on all the time: try again")

    def _is_left_out(self, run: Run, *, now: datetime) -> bool:
        """Say whether a catch-up rule left a slot out whose row was written too late.

        It is recorded as left out; cancelled, it would be recorded twice.
        """
        if run.state is not RunState.QUEUED:
            return False
        key, slot = run.key, run.scheduled_at
        job = self._jobs.read([key.job]).get(key.job)
        if not may_be_left_out(run, job, now=now):
            return False
        stretches = settled_stretches(
            key.job, incarnation=key.incarnation, since=slot, until=slot, runs=self._runs
        )
        return was_left_out(run, stretches)

    def _newest_first(
        self,
        job: Job,
        *,
        since: datetime | None,
        until: datetime | None,
        before: str | None,
        limit: int,
    ) -> Iterator[Seen]:
        """Yield the runs of all strands in the order of their list, from `before` on."""
        strands: list[Iterator[Seen]] = []
        for strand in STRANDS:
            first = first_name(strand, since=since)
            end = end_of(strand, until=until, before=before)
            rows = self._rows(job, since=first, before=end, limit=limit)
            if strand == SLOTS:
                strands.append(_with_coming(job, rows, since=first, before=end))
            else:
                strands.append(rows)
        return merge(*strands, key=lambda seen: place_of(seen.run.key.name), reverse=True)

    def _rows(self, job: Job, *, since: str, before: str, limit: int) -> Iterator[Seen]:
        """Yield the runs that have a row, read in pages of a little more than `limit`."""
        follows = True
        while follows:
            rows = self._runs.list(
                job.key, incarnation=job.incarnation, since=since, before=before, limit=limit + 1
            )
            for run in rows:
                yield Seen(run=run, stage=stage_of(run))
            follows = len(rows) > limit
            if follows:
                before = rows[-1].key.name


def _with_coming(job: Job, rows: Iterator[Seen], *, since: str, before: str) -> Iterator[Seen]:
    """Yield rows of slots and coming slots among each other; a slot with a row is that row."""
    coming = sorted(
        (
            _coming(job, slot)
            for slot in islice(_coming_slots(job), COMING_LISTED)
            if since <= slot_name(slot) < before
        ),
        key=_name_of,
        reverse=True,
    )
    last: str | None = None
    for seen in merge(rows, coming, key=_name_of, reverse=True):
        if _name_of(seen) != last:
            yield seen
        last = _name_of(seen)


def _name_of(seen: Seen) -> str:
    return seen.run.key.name


def stage_of(run: Run) -> Stage:
    """Return where a run that has a row stands."""
    if run.state is RunState.RUNNING and run.cancel_requested_at is not None:
        return Stage.CANCELLING
    if run.state is RunState.RETRYING and run.attempt == 0:
        return Stage.QUEUED  # it waits for its first attempt; its reason says for what
    return Stage(run.state.value)


def _coming_slots(job: Job) -> Iterator[datetime]:
    """Yield the slots that visits of the job have still to hand over, as it is now."""
    slot = job.next_slot if job.state is JobState.ACTIVE else None
    left = job.schedule.max_runs
    if left is not None:
        left -= job.ordinal
    while slot is not None and left != 0:
        yield slot
        slot = next_slot(job.schedule, after=slot)
        if left is not None:
            left -= 1


def _is_coming(job: Job, slot: datetime) -> bool:
    """Say whether a slot is among the next ones, without a walk over all before it."""
    if job.state is not JobState.ACTIVE or job.next_slot is None or slot < job.next_slot:
        return False
    if next_slot(job.schedule, after=slot - TICK) != slot:
        return False
    most = COMING_READABLE
    if job.schedule.max_runs is not None:
        most = min(most, job.schedule.max_runs - job.ordinal)
    first = job.next_slot - TICK
    return count_slots(job.schedule, after=first, until=slot, limit=most + 1) <= most


def _coming(job: Job, slot: datetime) -> Seen:
    run = queued_run(job, slot, schedule_revision=job.schedule_revision)
    return Seen(run=run, stage=Stage.SCHEDULED)


def _lies_in(run: Run, *, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or run.due_at >= since) and (until is None or run.due_at < until)


def _overlaps(stretch: Stretch, *, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or stretch.until >= since) and (until is None or stretch.since < until)


def _was_cancelled_at(run: Run | None, now: datetime) -> bool:
    """Say whether the row in the way is what our own cancel left, whose answer was lost."""
    return run is not None and run.state is RunState.CANCELLED and run.finished_at == now
