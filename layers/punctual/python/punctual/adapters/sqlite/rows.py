"""Jobs, runs and the rest as rows of the database, and back: the one module that knows columns.

Instants are epoch milliseconds. Rows come out as JSON arrays, see `statements`. Written by hand for
speed: on a busy host this is where the time goes.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import compress
from json.encoder import encode_basestring
from operator import attrgetter, is_not
from typing import Any

from punctual.adapters.sqlite.statements import ForRows, Row
from punctual.core.calls import CallError
from punctual.core.identity import JobKey, RunKey
from punctual.core.instants import MILLISECOND, epoch_ms, from_epoch_ms
from punctual.core.jobs import Delivery, DueJob, Job, JobState, Lane
from punctual.core.records import (
    UnreadableRecord,
    epochs_from_text,
    epochs_to_text,
    policy_from_text,
    policy_to_text,
    references_from_text,
    references_to_text,
    schedule_from_text,
    schedule_to_text,
)
from punctual.core.runs import Failure, Mark, Result, Run, RunState, Stretch, Trigger
from punctual.core.watching import WatchRow

_text = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def _ms(instant: datetime | None) -> int | None:
    return None if instant is None else epoch_ms(instant)


def _instant(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_epoch_ms(milliseconds)


# Jobs

JOB_COLUMNS = (
    "tenant",
    "job_id",
    "shard",
    "state",
    "incarnation",
    "revision",
    "schedule_revision",
    "schedule",
    "policy",
    "next_slot",
    "ordinal",
    "resumed_at",
    "created_at",
    "epochs",
    "name",
    "content",
    "fingerprint",
    "last_slot",
    "paused_at",
    "pause_note",
    "updated_at",
    "expires_at",
)

JOB = f"json_array(id, {', '.join(JOB_COLUMNS)})"


def job_to_row(job: Job, *, expires_at: datetime | None) -> Row:
    """Write a job in the order of `JOB_COLUMNS`; only a tombstone expires."""
    return (
        job.key.tenant,
        job.key.job_id,
        job.shard,
        job.state.value,
        job.incarnation,
        job.revision,
        job.schedule_revision,
        schedule_to_text(job.schedule),
        policy_to_text(job.policy),
        _ms(job.next_slot),
        job.ordinal,
        _ms(job.resumed_at),
        epoch_ms(job.created_at),
        epochs_to_text(job.epochs),
        job.name,
        job.content,
        job.fingerprint,
        _ms(job.last_slot),
        _ms(job.paused_at),
        job.pause_note,
        epoch_ms(job.updated_at),
        _ms(expires_at),
    )


def job_from_row(row: Row) -> Job:
    """Read a `JOB`.

    Raises:
        UnreadableRecord: It is not a job as `job_to_row` writes it.
    """
    try:
        return Job(
            key=job_key_of(row),
            state=JobState(row[4]),
            incarnation=row[5],
            revision=row[6],
            schedule_revision=row[7],
            schedule=schedule_from_text(row[8]),
            policy=policy_from_text(row[9]),
            next_slot=_instant(row[10]),
            ordinal=row[11],
            resumed_at=_instant(row[12]),
            created_at=from_epoch_ms(row[13]),
            epochs=epochs_from_text(row[14]),
            name=row[15],
            content=row[16],
            fingerprint=row[17],
            last_slot=_instant(row[18]),
            paused_at=_instant(row[19]),
            pause_note=row[20],
            updated_at=from_epoch_ms(row[21]),
        )
    except (TypeError, ValueError) as error:
        raise UnreadableRecord("not a job") from error


def due_job_from_row(row: Row) -> DueJob:
    """Read what a visit needs of a `JOB`.

    Raises:
        UnreadableRecord: It is not a job as `job_to_row` writes it.
    """
    try:
        return DueJob(
            key=job_key_of(row),
            state=JobState(row[4]),
            incarnation=row[5],
            revision=row[6],
            schedule_revision=row[7],
            schedule=schedule_from_text(row[8]),
            policy=policy_from_text(row[9]),
            next_slot=from_epoch_ms(row[10]),
            ordinal=row[11],
            resumed_at=_instant(row[12]),
            created_at=from_epoch_ms(row[13]),
        )
    except (TypeError, ValueError) as error:
        raise UnreadableRecord("not a due job") from error


def job_key_of(row: Row) -> JobKey:
    """Return whose row a `JOB` is, though the rest of it may not be readable."""
    return JobKey(row[1], row[2])


def due_place(row: Row) -> tuple[int, int]:
    """Return where a `JOB` stands among the due ones: by its pointer, then by its row's id."""
    return row[10], row[0]


def job_expired(row: Row, *, now: datetime) -> bool:
    """Say whether a `JOB` is a tombstone past its time, though it may not be swept yet."""
    expires_at = row[22]
    return expires_at is not None and expires_at <= epoch_ms(now)


# Runs

RUN_BORN_WITH = (
    "tenant",
    "job_id",
    "incarnation",
    "name",
    "trigger",
    "scheduled_at",
    "schedule_revision",
    "max_attempts",
    "delivery",
    "lane",
    "content",
    "state",
    "attempt",
)
"""What a run has when it comes into being; all else is NULL by then."""

_RUN_GAINS = (
    "owner",
    "lease_until",
    "lease_boot",
    "retry_at",
    "cancel_requested_at",
    "starts",
    "failures",
    "finished_at",
    "finished_by",
    "reason",
    "status_code",
    "content_type",
    "body",
    "body_bytes",
    "truncated",
    "stored",
    "error_type",
    "error_message",
    "expires_at",
)

_AS_JSON = {"starts": "json(starts)", "failures": "json(failures)", "body": "hex(body)"}

RUN = "json_array(id, {})".format(
    ", ".join(_AS_JSON.get(column, column) for column in (*RUN_BORN_WITH[3:], *_RUN_GAINS))
)
"""A run without what names its job."""

REBORN = ", ".join(f"{column} = excluded.{column}" for column in (*RUN_BORN_WITH[4:], *_RUN_GAINS))
"""Makes a row what it would be if it had just come into being."""

_TRIGGERS = {trigger.value: trigger for trigger in Trigger}
_DELIVERIES = {delivery.value: delivery for delivery in Delivery}
_LANES = {lane.value: lane for lane in Lane}
_STATES = {state.value: state for state in RunState}


def run_to_row(run: Run) -> Row:
    """Write a run that is new, in the order of `RUN_BORN_WITH`: queued, and never started."""
    assert run.state is RunState.QUEUED, "a run comes into being queued"
    assert run.attempt == 0, "a run comes into being without an attempt"
    return (
        run.key.job.tenant,
        run.key.job.job_id,
        run.key.incarnation,
        run.key.name,
        run.trigger.value,
        epoch_ms(run.scheduled_at),
        run.schedule_revision,
        run.max_attempts,
        run.delivery.value,
        run.lane.value,
        run.content,
        RunState.QUEUED.value,
        0,
    )


def run_from_row(row: Row, *, job: JobKey, incarnation: int, boot: int) -> Run:
    """Read a `RUN` of one life of a job; a lease that an earlier boot gave has ended with it."""
    (
        _,
        name,
        trigger,
        scheduled_at,
        schedule_revision,
        max_attempts,
        delivery,
        lane,
        content,
        state,
        attempt,
        owner,
        lease_until,
        lease_boot,
        retry_at,
        cancel_requested_at,
        starts,
        failures,
        finished_at,
        finished_by,
        reason,
        status_code,
        content_type,
        body,
        body_bytes,
        truncated,
        stored,
        error_type,
        error_message,
        expires_at,
    ) = row
    return Run(
        key=RunKey(job, incarnation, name),
        state=_STATES[state],
        trigger=_TRIGGERS[trigger],
        scheduled_at=from_epoch_ms(scheduled_at),
        schedule_revision=schedule_revision,
        max_attempts=max_attempts,
        delivery=_DELIVERIES[delivery],
        lane=_LANES[lane],
        content=content,
        attempt=attempt,
        owner=owner,
        lease_until=_instant(lease_until) if lease_boot in {None, boot} else None,
        retry_at=_instant(retry_at),
        cancel_requested_at=_instant(cancel_requested_at),
        starts=() if starts is None else tuple(map(_started_at, starts)),
        marks=() if starts is None else tuple(map(_mark_from_record, starts)),
        failures=() if failures is None else tuple(map(_failure_from_record, failures)),
        finished_at=_instant(finished_at),
        finished_by=finished_by,
        reason=reason,
        result=None
        if status_code is None
        else Result(
            status_code=status_code,
            content_type=content_type,
            body=bytes.fromhex(body),
            body_bytes=body_bytes,
            stored=stored,
            truncated=bool(truncated),
        ),
        error=None if error_type is None else CallError(type=error_type, message=error_message),
        expires_at=_instant(expires_at),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """What one field of a run takes in its row."""

    columns: tuple[str, ...]
    values: Callable[[Run, int], tuple[Any, ...]]
    """Takes the run and the boot."""


_PARTS: dict[str, _Part] = {
    "state": _Part(("state",), lambda run, _: (run.state.value,)),
    "attempt": _Part(("attempt",), lambda run, _: (run.attempt,)),
    "owner": _Part(("owner",), lambda run, _: (run.owner,)),
    "lease_until": _Part(
        ("lease_until", "lease_boot"),
        lambda run, boot: (
            _ms(run.lease_until),
            None if run.lease_until is None or run.heartbeat is not None else boot,
        ),
    ),
    "retry_at": _Part(("retry_at",), lambda run, _: (_ms(run.retry_at),)),
    "cancel_requested_at": _Part(
        ("cancel_requested_at",), lambda run, _: (_ms(run.cancel_requested_at),)
    ),
    "marks": _Part(
        ("starts",), lambda run, _: (f"[{','.join(map(_start_text, run.starts, run.marks))}]",)
    ),
    "failures": _Part(
        ("failures",), lambda run, _: (_text(list(map(_failure_to_record, run.failures))),)
    ),
    "finished_at": _Part(("finished_at",), lambda run, _: (_ms(run.finished_at),)),
    "finished_by": _Part(("finished_by",), lambda run, _: (run.finished_by,)),
    "reason": _Part(("reason",), lambda run, _: (run.reason,)),
    "result": _Part(
        ("status_code", "content_type", "body", "body_bytes", "truncated", "stored"),
        lambda run, _: (None,) * 6 if run.result is None else _result_values(run.result),
    ),
    "error": _Part(
        ("error_type", "error_message"),
        lambda run, _: (
            (None, None) if run.error is None else (str(run.error.type), run.error.message)
        ),
    ),
    "expires_at": _Part(("expires_at",), lambda run, _: (_ms(run.expires_at),)),
}
"""Every field that a move may change; `starts` change together with `marks`."""

_fields_of = attrgetter(*_PARTS)


def changed_parts(before: Run, after: Run) -> tuple[str, ...]:
    """Name the fields in which a run differs from what a move left of it."""
    return tuple(compress(_PARTS, map(is_not, _fields_of(before), _fields_of(after))))


def parts_to_row(run_id: int, run: Run, parts: Sequence[str], *, boot: int) -> Row:
    """Write some fields of the run in row `run_id`, as `update_of` the same ones wants them."""
    row: list[Any] = [run_id]
    for part in parts:
        row += _PARTS[part].values(run, boot)
    return row


@cache
def update_of(parts: tuple[str, ...]) -> ForRows:
    """Return the statement that changes some fields of runs, each found by its row's id."""
    columns = [column for part in parts for column in _PARTS[part].columns]
    sets = ", ".join(f"{column} = new.{column}" for column in columns)
    return ForRows(
        f"WITH new (id, {', '.join(columns)}) AS ({{rows}})"
        f" UPDATE runs SET {sets} FROM new WHERE runs.id = new.id",
        width=1 + len(columns),
    )


def _result_values(result: Result) -> tuple[Any, ...]:
    return (
        result.status_code,
        result.content_type,
        result.body,
        result.body_bytes,
        int(result.truncated),
        result.stored,
    )


def _start_text(at: datetime, mark: Mark) -> str:
    """Write the start of one attempt: `[1764579600000,"q3Jk9-aB"]`, then its heartbeat if any."""
    heartbeat = "" if mark.heartbeat is None else f",{mark.heartbeat // MILLISECOND}"
    return f"[{epoch_ms(at)},{encode_basestring(mark.owner)}{heartbeat}]"


def _started_at(record: list[Any] | int) -> datetime:
    """Read when an attempt started; the first version wrote nothing else."""
    return from_epoch_ms(record if isinstance(record, int) else record[0])


def _mark_from_record(record: list[Any] | int) -> Mark:
    if isinstance(record, int):
        return Mark("")
    _, owner, *heartbeat = record
    return Mark(owner, heartbeat[0] * MILLISECOND if heartbeat else None)


def _failure_to_record(failure: Failure) -> list[Any]:
    """Write how one attempt failed: `[1,1764579601000,"timeout","no answer",1764579603000]`."""
    return [
        failure.attempt,
        epoch_ms(failure.finished_at),
        failure.error.type,
        failure.error.message,
        epoch_ms(failure.retry_at),
    ]


def _failure_from_record(record: Sequence[Any]) -> Failure:
    attempt, finished_at, error_type, error_message, retry_at = record
    return Failure(
        attempt=attempt,
        finished_at=from_epoch_ms(finished_at),
        error=CallError(type=error_type, message=error_message),
        retry_at=from_epoch_ms(retry_at),
    )


# Stretches that were left out, and the watch

STRETCH = "json_array(incarnation, schedule_revision, since, until, count, reason, announced_by)"


def stretch_to_row(key: JobKey, stretch: Stretch, *, expires_at: datetime) -> Row:
    """Write a stretch: its job, what it says, its end of life, and who announced it."""
    return (
        key.tenant,
        key.job_id,
        stretch.incarnation,
        stretch.schedule_revision,
        epoch_ms(stretch.since),
        epoch_ms(stretch.until),
        stretch.count,
        stretch.reason,
        epoch_ms(expires_at),
        stretch.announced_by,
    )


def stretch_from_row(row: Row) -> Stretch:
    """Read a `STRETCH`."""
    incarnation, schedule_revision, since, until, count, reason, announced_by = row
    return Stretch(
        incarnation=incarnation,
        schedule_revision=schedule_revision,
        since=from_epoch_ms(since),
        until=from_epoch_ms(until),
        count=count,
        reason=reason,
        announced_by=announced_by,
    )


WATCH_ROW = "json_array(minute, shard, row_id, runs)"


def watch_row_to_row(row: WatchRow) -> Row:
    """Write a watch row in the order of `WATCH_ROW`."""
    return (*watch_row_key(row), references_to_text(row.references))


def watch_row_key(row: WatchRow) -> Row:
    """Return what tells a watch row from others."""
    return (epoch_ms(row.minute), row.shard, row.row_id)


def watch_row_from_row(row: Row) -> WatchRow:
    """Read a `WATCH_ROW`."""
    minute, shard, row_id, runs = row
    return WatchRow(
        minute=from_epoch_ms(minute),
        shard=shard,
        row_id=row_id,
        references=references_from_text(runs),
    )
