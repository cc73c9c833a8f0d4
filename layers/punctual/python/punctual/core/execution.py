"""What an executor does with a run it has just started, and with the answer to its call."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from punctual.core.calls import Answer, Verdict, error_of, retry_after_seconds
from punctual.core.dispatch import LATE_AFTER, queued_run
from punctual.core.jobs import CatchUp, Job, JobState
from punctual.core.retry import RetryPolicy, retry_at
from punctual.core.runs import Ending, Failure, Result, Run, RunState, Stretch, silence
from punctual.core.slots import is_slot


class Go(StrEnum):
    """The two ways on that write no outcome."""

    CALL = "call"
    VOID = "void"


def decide(
    run: Run, job: Job | None, *, now: datetime, left_out: Sequence[Stretch] = ()
) -> Go | Ending:
    """Decide what a run that was just started is for, from its job read *after* the start.

    The order matters: a job read before the start may be deleted by the time of the call.

    Args:
        run: The run as its start left it.
        job: The job, read consistently after the start; None when it is gone.
        now: When the decision is made.
        left_out: Stretches of the job's life, read after the start too, where
            `may_be_left_out` says so.

    Returns:
        `Go.CALL`, `Go.VOID` for a run that should not have been handed over, or the outcome.
    """
    # A run that failed once was called: that cannot be undone, so it goes on to its outcome.
    slot = None if _was_called(run) else run.key.slot
    if slot is not None and was_left_out(run, left_out):
        return Go.VOID
    if job is None or is_gone(job, run.key.incarnation):
        return Ending(state=RunState.CANCELLED, at=now, reason="deleted")
    if slot is not None and (
        job.in_force(slot) != run.schedule_revision or _paused_before(job, slot)
    ):
        return Go.VOID
    heartbeat = _silent_before(run)
    if heartbeat is not None and now > run.starts[0] + job.policy.retry.max_age:
        return Ending(state=RunState.TIMED_OUT, at=now, error=silence(heartbeat))
    if run.attempt == 1:
        if job.state is JobState.PAUSED:
            return Ending(state=RunState.SKIPPED, at=now, reason="paused")
        if now > job.starts_by(run.due_at):
            return Ending(state=RunState.MISSED, at=now, reason="deadline")
    return Go.CALL


def _was_called(run: Run) -> bool:
    """Say whether a target is known to have been called for the run."""
    return bool(run.failures) or any(mark.heartbeat is not None for mark in run.marks)


def _silent_before(run: Run) -> timedelta | None:
    """Return how long the last attempt might be silent, if this one follows upon its silence.

    Its retry was granted by nobody, so that how old a run may be is still to be asked.
    """
    earlier = run.marks[:-1]
    if not earlier or any(failure.attempt == run.attempt - 1 for failure in run.failures):
        return None
    return earlier[-1].heartbeat


@dataclass(frozen=True, slots=True, kw_only=True)
class Postponed:
    """A run whose target was not called: its start is taken back, and it waits for another."""

    retry_at: datetime
    reason: str
    """What it waits for, such as `host_down: api.example.com takes no connections`."""


def may_be_left_out(run: Run, job: Job | None, *, now: datetime) -> bool:
    """Say whether a catch-up rule may have left the run's slot out after it was handed over.

    A visit looks for runs before it leaves slots out, but a row may be written after that: by a
    visit that was stopped, or by a request that nobody waits for any more.
    """
    slot = run.key.slot
    if job is None or slot is None:
        return False
    if job.policy.catch_up is CatchUp.ALL and job.updated_at == job.created_at:
        return False  # a job that was changed may have had another rule before
    # Half of what makes a slot late, since the clock of the visit may be another one.
    return now > slot + LATE_AFTER / 2 or (job.resumed_at is not None and slot <= job.resumed_at)


def was_left_out(run: Run, stretches: Sequence[Stretch]) -> bool:
    """Say whether a run's slot was left out, by the stretches of its job's life."""
    slot = run.key.slot
    return slot is not None and _holds(stretches, slot, run.schedule_revision)


def time_for_call(run: Run, job: Job, *, now: datetime) -> timedelta:
    """Return the total deadline of an attempt's call: what the job allows, within the lease.

    A job may allow more by now than the lane that its run was handed over to.
    """
    assert run.lease_until is not None, "a started run has a lease"
    left = run.lease_until - LEASE_MARGIN - CALL_MARGIN - now
    return max(min(job.policy.timeout, left), CALL_MIN)


def is_gone(job: Job | None, incarnation: int) -> bool:
    """Say whether the life of a job id that a run belongs to is over."""
    return job is None or job.state is JobState.DELETED or job.incarnation != incarnation


def _paused_before(job: Job, slot: datetime) -> bool:
    """Say whether the job's pause began before `slot`, so that the slot is not handed over."""
    return job.state is JobState.PAUSED and job.paused_at is not None and slot > job.paused_at


def _holds(stretches: Sequence[Stretch], slot: datetime, schedule_revision: int) -> bool:
    """Say whether a slot of this revision was left out.

    A visit that stood still through an edit may have left out slots of the schedule before it.
    """
    return any(
        stretch.schedule_revision == schedule_revision and stretch.holds(slot)
        for stretch in stretches
    )


def is_owed(
    run_slot: datetime | None,
    schedule_revision: int,
    incarnation: int,
    job: Job | None,
    *,
    left_out: Sequence[Stretch] = (),
) -> bool:
    """Say whether a run whose row is missing must have one.

    A manual run's row is written once, by the request that made it: a missing one is not owed.

    Args:
        run_slot: The run's slot; None for a manual run.
        schedule_revision: Which revision of the schedule named it.
        incarnation: Which life of the job it belongs to.
        job: The job, read consistently; None when it is gone.
        left_out: Stretches of that life, read consistently after the job.
    """
    return (
        job is not None
        and job.state is not JobState.DELETED
        and job.incarnation == incarnation
        and run_slot is not None
        and job.in_force(run_slot) == schedule_revision
        and not _paused_before(job, run_slot)
        and not _holds(left_out, run_slot, schedule_revision)
    )


def handed_over_anew(run: Run, job: Job | None, *, left_out: Sequence[Stretch] = ()) -> Run | None:
    """Return the row that is owed for the slot of a run that was just taken back; None for none.

    An edit or a resume at the very instant of a slot may have met the run begun, and so have handed
    nothing over. Once its executor, who had read the job before, takes it back, there is no row at
    all: the watch would find that out, but a quarter of an hour late.

    Args:
        run: The run as it was held.
        job: Its job, read consistently after it was taken back.
        left_out: Stretches of that life, read consistently after the job.
    """
    slot = run.key.slot
    if job is None or slot is None:
        return None
    revision = job.in_force(slot)
    if revision is None or not is_owed(slot, revision, run.key.incarnation, job, left_out=left_out):
        return None
    if revision != run.schedule_revision and (
        revision != job.schedule_revision
        or job.schedule.max_runs is not None  # which may have come to its end before
        or not is_slot(job.schedule, slot)
    ):
        return None
    return queued_run(job, slot, schedule_revision=revision)


def judge_attempt(
    run: Run,
    answer: Answer,
    verdict: Verdict,
    policy: RetryPolicy,
    *,
    now: datetime,
    draw: float,
) -> Ending | Failure:
    """Turn the answer to an attempt's call into the run's outcome, or into a failure to retry.

    Args:
        run: The run as held by the attempt.
        answer: What came back.
        verdict: How the answer is read.
        policy: The job's retry policy.
        now: When the answer was there.
        draw: A number in [0, 1) for the jitter.
    """
    if verdict is Verdict.SUCCEEDED:
        return Ending(state=RunState.SUCCEEDED, at=now, result=result_of(answer))
    error = error_of(answer)
    if verdict is Verdict.ABORTED:
        return Ending(state=RunState.CANCELLED, at=now, reason="cancelled", error=error)
    if verdict in {Verdict.RETRYABLE, Verdict.TIMED_OUT}:
        again = retry_at(
            policy,
            attempt=run.attempt,
            max_attempts=run.max_attempts,
            first_started_at=run.starts[0] if run.starts else run.scheduled_at,
            now=now,
            asked_for=retry_after_seconds(answer.retry_after, now=now),
            draw=draw,
        )
        if again is not None:
            return Failure(attempt=run.attempt, finished_at=now, error=error, retry_at=again)
    state = RunState.TIMED_OUT if verdict is Verdict.TIMED_OUT else RunState.FAILED
    return Ending(state=state, at=now, result=result_of(answer), error=error)


def postpone(
    run: Run, answer: Answer, job: Job, *, now: datetime, draw: float
) -> Postponed | Ending:
    """Put a run off whose target was not called, or end it where the wait would last too long.

    Waits are up to half as long again as the answer asks for, so that runs that were put off
    together do not come back together. A run that was never called has until its start deadline,
    and every run as long as its retries may take.

    Args:
        run: The run as held by the attempt.
        answer: Its `again_in` is set.
        job: The run's job.
        now: When the answer was there.
        draw: A number in [0, 1) for the jitter.
    """
    assert answer.again_in is not None, "only a call that was put off is put off"
    error = error_of(answer)
    seconds = answer.again_in.total_seconds() * (1 + draw / 2)
    again = now + timedelta(milliseconds=round(seconds * 1000))
    first = run.starts[0] if run.attempt > 1 and run.starts else run.due_at
    latest = max(first, job.created_at) + job.policy.retry.max_age
    if run.attempt == 1:
        latest = min(latest, job.starts_by(run.due_at))
    if again > latest:
        return Ending(state=RunState.FAILED, at=now, error=error)
    return Postponed(retry_at=again, reason=f"{error.type}: {error.message}")


def result_of(answer: Answer) -> Result | None:
    """Return the part of an answer that is kept with the run; None when no answer came."""
    if answer.status_code is None:
        return None
    return Result(
        status_code=answer.status_code,
        content_type=answer.content_type,
        body=answer.body,
        body_bytes=answer.body_bytes,
        stored=answer.stored,
        truncated=answer.truncated,
    )


LEASE_MARGIN = timedelta(seconds=5)
"""An attempt is presumed alive this much longer than its executor can live: clocks may differ."""

CALL_MIN = timedelta(seconds=1)
"""The shortest deadline of a call."""

CALL_MARGIN = timedelta(seconds=2)
"""No call goes on for longer than until this much before its executor's end."""

HIDE_MAX = timedelta(seconds=60)
"""Longer waits leave the queue for the watch, so that waiting runs never fill a lane."""

POLL = timedelta(seconds=3)
"""How often an executor looks whether a run it works on was cancelled or its job deleted."""
