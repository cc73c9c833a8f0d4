"""Valid values for tests: a test names what matters to it, and the rest is made up here."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from punctual.core.calls import CallError
from punctual.core.identity import JobKey, RunKey, slot_name
from punctual.core.jobs import Content, DueJob, HttpTarget, Job, JobState, Policy
from punctual.core.records import content_ref
from punctual.core.runs import HISTORY_KEPT, Ending, Failure, Result, Run, RunState, Stretch
from punctual.core.schedules import Every, Schedule
from punctual.core.watching import Reference, WatchRow, minute_of
from tests.support.clock import NINE

TENANT = "acme"

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TICK = timedelta(milliseconds=1)
"""The resolution of every instant that is stored."""


def a_job_key(job_id: str = "report", *, tenant: str = TENANT) -> JobKey:
    return JobKey(tenant, job_id)


def a_schedule(every: timedelta = MINUTE, *, anchor: datetime = NINE, **bounds: Any) -> Schedule:
    """Return an interval whose slots are the anchor and every multiple after it."""
    return Schedule(rule=Every(every=every, anchor=anchor), **bounds)


def a_content(url: str = "https://example.com/hook", **fields: Any) -> Content:
    """Return a content that posts to `url`; `tags` go to the content, all else to the target."""
    tags = fields.pop("tags", ())
    return Content(target=HttpTarget(url=url, **fields), tags=tags)


def a_job(job_id: str = "report", *, tenant: str = TENANT, **fields: Any) -> Job:
    """Return an active job of one run a minute, created at nine, whose pointer is its first slot.

    One that is paused or deleted is so from `updated_at` on.
    """
    created_at = fields.get("created_at", NINE)
    values: dict[str, Any] = {
        "key": JobKey(tenant, job_id),
        "schedule": a_schedule(),
        "next_slot": created_at + MINUTE,
        "content": content_ref(a_content()),
        "fingerprint": "f" * 64,
        "created_at": created_at,
        "updated_at": created_at,
    }
    return Job(**values | fields)


def a_due_job(job: Job | None = None, **fields: Any) -> DueJob:
    """Return what the due index carries of a job."""
    job = job or a_job(**fields)
    return DueJob(
        key=job.key,
        incarnation=job.incarnation,
        revision=job.revision,
        schedule_revision=job.schedule_revision,
        state=job.state,
        schedule=job.schedule,
        policy=job.policy,
        next_slot=job.next_slot,
        ordinal=job.ordinal,
        resumed_at=job.resumed_at,
        created_at=job.created_at,
    )


def a_tombstone(job: Job, *, at: datetime) -> Job:
    """Return what a job leaves when it is deleted."""
    return replace(
        job, state=JobState.DELETED, revision=job.revision + 1, next_slot=None, updated_at=at
    )


def a_run_key(
    slot: datetime = NINE,
    *,
    job_id: str = "report",
    tenant: str = TENANT,
    incarnation: int = 1,
    name: str | None = None,
) -> RunKey:
    """Return the key of the run at `slot`, or of one with a name of its own."""
    return RunKey(JobKey(tenant, job_id), incarnation, name or slot_name(slot))


def a_run(
    slot: datetime = NINE, *, key: RunKey | None = None, state: str = RunState.QUEUED, **fields: Any
) -> Run:
    """Return a run of the job `report`, as its moves would have left it in this state.

    A running one was started at its slot by the owner `first`, with a lease of a minute; one that
    retries failed a second after its slot, and tries again a second later; one that ended did so a
    second after its slot, by the owner `first`.
    """
    values: dict[str, Any] = {
        "key": key or a_run_key(slot),
        "state": RunState(state),
        "scheduled_at": slot,
        "schedule_revision": 1,
        "max_attempts": Policy().attempts,
    }
    match RunState(state):
        case RunState.QUEUED:
            pass
        case RunState.RUNNING:
            values |= {"attempt": 1, "owner": "first", "starts": (slot,)}
            values |= {"lease_until": slot + MINUTE}
        case RunState.RETRYING:
            failure = a_failure(finished_at=slot + SECOND)
            values |= {"attempt": 1, "starts": (slot,), "failures": (failure,)}
            values |= {"retry_at": failure.retry_at}
        case _:
            ending = an_ending(state, at=slot + SECOND)
            values |= {"attempt": 1, "starts": (slot,), "finished_by": "first"}
            values |= {"finished_at": ending.at, "result": ending.result, "error": ending.error}
            values |= {"reason": ending.reason, "expires_at": slot + SECOND + HISTORY_KEPT}
    return Run(**values | fields)


def a_failure(
    *, attempt: int = 1, finished_at: datetime = NINE + SECOND, after: timedelta = SECOND
) -> Failure:
    """Return a failed attempt that is followed by another one `after` it finished."""
    return Failure(
        attempt=attempt,
        finished_at=finished_at,
        error=CallError(type="http_status", message="the target answered 503"),
        retry_at=finished_at + after,
    )


def a_result(status_code: int = 200, body: bytes = b'{"ok":true}') -> Result:
    return Result(
        status_code=status_code,
        content_type="application/json",
        body=body,
        body_bytes=len(body),
    )


def an_ending(state: str = RunState.SUCCEEDED, *, at: datetime = NINE + SECOND) -> Ending:
    """Return an outcome with what outcomes of this state carry."""
    match RunState(state):
        case RunState.SUCCEEDED:
            return Ending(state=RunState.SUCCEEDED, at=at, result=a_result())
        case RunState.FAILED:
            error = CallError(type="http_status", message="the target answered 500")
            return Ending(state=RunState.FAILED, at=at, result=a_result(500, b""), error=error)
        case RunState.TIMED_OUT:
            error = CallError(type="timeout", message="no answer within 30 s")
            return Ending(state=RunState.TIMED_OUT, at=at, error=error)
        case RunState.UNKNOWN:
            error = CallError(type="lost", message="the executor died")
            return Ending(state=RunState.UNKNOWN, at=at, error=error)
        case RunState.CANCELLED | RunState.MISSED | RunState.SKIPPED as ended:
            return Ending(state=ended, at=at, reason=f"because it was {ended}")
        case other:
            raise AssertionError(f"{other} is no outcome")


def a_stretch(since: datetime = NINE, *, count: int = 10, **fields: Any) -> Stretch:
    """Return a stretch of slots a minute apart that a catch-up rule left out."""
    values: dict[str, Any] = {
        "incarnation": 1,
        "schedule_revision": 1,
        "until": since + (count - 1) * MINUTE,
    }
    return Stretch(since=since, count=count, **values | fields)


def a_watch_row(
    *references: RunKey, minute: datetime = NINE, shard: int = 7, row_id: str = "row"
) -> WatchRow:
    """Return a row that says to look at these runs, or at the one of nine o'clock."""
    return WatchRow(
        shard=shard,
        minute=minute_of(minute),
        row_id=row_id,
        references=tuple(Reference(key, 1) for key in references or (a_run_key(),)),
    )
