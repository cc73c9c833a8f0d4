"""Jobs, runs and the rest as items of the table, and back.

The attribute names live here, in `moves.py` and in the few conditions of the stores. Instants are
epoch milliseconds, but for `ttl`: DynamoDB reads it, in whole seconds. An attribute is left out
where the value has its default. Names are words, yet short, since every write pays for them: a run
that ended well takes about 450 bytes without its answer's body, of the 1,024 of one unit.

Written by hand for speed: the dispatchers spend most of their time here.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from punctual.adapters.dynamodb import keys
from punctual.core.calls import CallError
from punctual.core.identity import JobKey
from punctual.core.instants import MILLISECOND, epoch_ms, from_epoch_ms
from punctual.core.jobs import Content, Delivery, DueJob, Job, JobState, Lane
from punctual.core.records import (
    UnreadableRecord,
    content_from_text,
    content_to_text,
    epochs_from_text,
    epochs_to_text,
    policy_from_text,
    policy_to_text,
    references_from_text,
    references_to_text,
    schedule_from_text,
    schedule_to_text,
)
from punctual.core.runs import (
    HISTORY_KEPT,
    Ending,
    Failure,
    Mark,
    Result,
    Run,
    RunState,
    Stretch,
    Trigger,
)
from punctual.core.watching import WatchRow
from punctual.ports import Beat

Item = Mapping[str, Any]
"""Attribute name to typed value, such as `{"attempt": {"N": "1"}}`."""


def text(value: str) -> dict[str, Any]:
    """Return a string as a typed value."""
    return {"S": value}


def number(value: int) -> dict[str, Any]:
    """Return a whole number as a typed value."""
    return {"N": str(value)}


def instant(value: datetime) -> dict[str, Any]:
    """Return an instant as a typed value."""
    return {"N": str(epoch_ms(value))}


def seconds(value: datetime) -> dict[str, Any]:
    """Return an instant as DynamoDB's time to live counts it, rounded up."""
    return {"N": str(-(-epoch_ms(value) // 1000))}


def whole_seconds(value: datetime) -> dict[str, Any]:
    """Return the present as a time to live is compared with it, rounded down."""
    return {"N": str(epoch_ms(value) // 1000)}


def address(partition: str, sort: str) -> dict[str, Any]:
    """Return the primary key of an item."""
    return {"pk": {"S": partition}, "sk": {"S": sort}}


def is_expired(item: Item, *, now: datetime) -> bool:
    """Say whether an item's life is over, though the table may take days to delete it."""
    return "ttl" in item and int(item["ttl"]["N"]) * 1000 <= epoch_ms(now)


def _optional_instant(item: Item, name: str) -> datetime | None:
    """Read an instant; None when it is missing or 0."""
    value = item.get(name)
    milliseconds = 0 if value is None else int(value["N"])
    return from_epoch_ms(milliseconds) if milliseconds else None


def _optional_text(item: Item, name: str) -> str | None:
    value = item.get(name)
    return None if value is None else str(value["S"])


def job_to_item(job: Job) -> dict[str, Any]:
    """Write a job: in the index of due jobs while it is active, in none once it is deleted."""
    item = address(keys.job_partition(job.key), keys.JOB) | {
        "state": text(job.state),
        "incarnation": number(job.incarnation),
        "revision": number(job.revision),
        "schedule_revision": number(job.schedule_revision),
        "schedule": text(schedule_to_text(job.schedule)),
        "policy": text(policy_to_text(job.policy)),
        "ordinal": number(job.ordinal),
        "epochs": text(epochs_to_text(job.epochs)),
        "content": text(job.content),
        "fingerprint": text(job.fingerprint),
        "created_at": instant(job.created_at),
        "updated_at": instant(job.updated_at),
    }
    for name, at in (
        ("next_slot", job.next_slot),
        ("last_slot", job.last_slot),
        ("paused_at", job.paused_at),
        ("resumed_at", job.resumed_at),
    ):
        if at is not None:
            item[name] = instant(at)
    if job.name is not None:
        item["name"] = text(job.name)
    if job.pause_note is not None:
        item["pause_note"] = text(job.pause_note)
    if job.due_at is not None:
        item["due_shard"] = number(job.shard)
        item["due_at"] = instant(job.due_at)
    if job.state is not JobState.DELETED:
        item["tenant"] = text(job.key.tenant)
        item["job_id"] = text(job.key.job_id)
    return item


def job_from_item(item: Item) -> Job:
    """Read what `job_to_item` wrote.

    Raises:
        UnreadableRecord: It did not write this.
    """
    try:
        return Job(
            key=keys.job_of(item["pk"]["S"]),
            state=JobState(item["state"]["S"]),
            incarnation=int(item["incarnation"]["N"]),
            revision=int(item["revision"]["N"]),
            schedule_revision=int(item["schedule_revision"]["N"]),
            schedule=schedule_from_text(item["schedule"]["S"]),
            policy=policy_from_text(item["policy"]["S"]),
            next_slot=_optional_instant(item, "next_slot"),
            ordinal=int(item["ordinal"]["N"]),
            epochs=epochs_from_text(item["epochs"]["S"]),
            name=_optional_text(item, "name"),
            content=item["content"]["S"],
            fingerprint=item["fingerprint"]["S"],
            last_slot=_optional_instant(item, "last_slot"),
            paused_at=_optional_instant(item, "paused_at"),
            pause_note=_optional_text(item, "pause_note"),
            resumed_at=_optional_instant(item, "resumed_at"),
            created_at=from_epoch_ms(int(item["created_at"]["N"])),
            updated_at=from_epoch_ms(int(item["updated_at"]["N"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableRecord("not a job") from error


def due_job_from_item(item: Item) -> DueJob:
    """Read what the index of due jobs carries; only active jobs are in it, at their pointer.

    Raises:
        UnreadableRecord: It is not a job as `job_to_item` writes it.
    """
    try:
        return DueJob(
            key=keys.job_of(item["pk"]["S"]),
            incarnation=int(item["incarnation"]["N"]),
            revision=int(item["revision"]["N"]),
            schedule_revision=int(item["schedule_revision"]["N"]),
            schedule=schedule_from_text(item["schedule"]["S"]),
            policy=policy_from_text(item["policy"]["S"]),
            next_slot=from_epoch_ms(int(item["due_at"]["N"])),
            ordinal=int(item["ordinal"]["N"]),
            resumed_at=_optional_instant(item, "resumed_at"),
            created_at=from_epoch_ms(int(item["created_at"]["N"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableRecord("not a due job") from error


def content_to_value(content: Content) -> dict[str, Any]:
    """Write a content as the one attribute that holds it."""
    return text(content_to_text(content))


def content_from_item(item: Item) -> Content:
    """Read the content in an item.

    Raises:
        UnreadableRecord: It is not one; the message shows nothing of it.
    """
    try:
        return content_from_text(item["content"]["S"])
    except (KeyError, TypeError):
        raise UnreadableRecord("not a content") from None


def run_to_item(run: Run) -> dict[str, Any]:
    """Write a run that is new: queued, and never started."""
    assert run.state is RunState.QUEUED, "a run comes into being queued"
    assert run.attempt == 0, "a run comes into being without an attempt"
    item = address(keys.job_partition(run.key.job), keys.run_sort(run.key)) | {
        "state": text(run.state),
        "scheduled_at": instant(run.scheduled_at),
        "attempt": number(0),
        "lease_until": number(0),
        "retry_at": number(0),
        "starts": {"L": []},
        "failures": {"L": []},
    }
    item |= pinned_to_values(run)
    if run.trigger is not Trigger.SCHEDULE:
        item["trigger"] = text(run.trigger)
    if run.content is not None:
        item["content"] = text(run.content)
    return item


PINNED_MAY_BE_LEFT_OUT = ("delivery", "lane")
"""What `pinned_to_values` does not always say."""


def pinned_to_values(run: Run) -> dict[str, Any]:
    """Write what a run that is new was handed over with: its revision and its policies."""
    values = {
        "schedule_revision": number(run.schedule_revision),
        "attempts_left": number(run.max_attempts),
    }
    if run.delivery is not Delivery.AT_LEAST_ONCE:
        values["delivery"] = text(run.delivery)
    if run.lane is not Lane.FAST:
        values["lane"] = text(run.lane)
    return values


def run_from_item(item: Item) -> Run:
    """Read a run, whatever its state."""
    attempt = int(item["attempt"]["N"])
    state = RunState(item["state"]["S"])
    scheduled_at = from_epoch_ms(int(item["scheduled_at"]["N"]))
    finished_at = _optional_instant(item, "finished_at")
    return Run(
        key=keys.run_of(item["pk"]["S"], item["sk"]["S"]),
        state=state,
        trigger=Trigger(item["trigger"]["S"]) if "trigger" in item else Trigger.SCHEDULE,
        scheduled_at=scheduled_at,
        schedule_revision=int(item["schedule_revision"]["N"]),
        max_attempts=attempt + int(item["attempts_left"]["N"]),
        delivery=Delivery(item["delivery"]["S"]) if "delivery" in item else Delivery.AT_LEAST_ONCE,
        lane=Lane(item["lane"]["S"]) if "lane" in item else Lane.FAST,
        content=_optional_text(item, "content"),
        attempt=attempt,
        owner=_optional_text(item, "owner"),
        lease_until=_optional_instant(item, "lease_until"),
        retry_at=_optional_instant(item, "retry_at"),
        cancel_requested_at=_optional_instant(item, "cancel_requested_at"),
        starts=tuple(_started_at(start) for start in item["starts"]["L"]),
        marks=tuple(_mark_from_value(start) for start in item["starts"]["L"]),
        failures=tuple(_failure_from_value(failure) for failure in item["failures"]["L"]),
        finished_at=finished_at,
        finished_by=_optional_text(item, "finished_by"),
        reason=_optional_text(item, "reason"),
        result=_result_from_value(item["result"]) if "result" in item else None,
        error=_error_from_value(item["error"]) if "error" in item else None,
        # To the millisecond, where `ttl` has only seconds.
        expires_at=max(finished_at, scheduled_at) + HISTORY_KEPT if finished_at else None,
    )


def ending_to_values(ending: Ending, *, by: str | None, scheduled_at: datetime) -> dict[str, Any]:
    """Return the attributes that an outcome sets; those it has no value for are not among them."""
    values: dict[str, Any] = {
        "state": text(ending.state),
        "finished_at": instant(ending.at),
        "ttl": seconds(ending.expires_at(scheduled_at)),
    }
    if by is not None:
        values["finished_by"] = text(by)
    if ending.reason is not None:
        values["reason"] = text(ending.reason)
    if ending.result is not None:
        values["result"] = _result_to_value(ending.result)
    if ending.error is not None:
        values["error"] = _error_to_value(ending.error)
    return values


def start_to_value(at: datetime, mark: Mark) -> dict[str, Any]:
    """Write the start of one attempt: `[1764579600000, "q3Jk9-aB"]`, then its heartbeat if any."""
    values = [instant(at), text(mark.owner)]
    if mark.heartbeat is not None:
        values.append(number(mark.heartbeat // MILLISECOND))
    return {"L": values}


def _started_at(value: Item) -> datetime:
    """Read when an attempt started; the first version wrote nothing else."""
    return from_epoch_ms(int((value["L"][0] if "L" in value else value)["N"]))


def _mark_from_value(value: Item) -> Mark:
    if "L" not in value:
        return Mark("")
    _, owner, *heartbeat = value["L"]
    return Mark(owner["S"], int(heartbeat[0]["N"]) * MILLISECOND if heartbeat else None)


def failure_to_value(failure: Failure) -> dict[str, Any]:
    """Write how one attempt failed."""
    return {
        "M": {
            "attempt": number(failure.attempt),
            "finished_at": instant(failure.finished_at),
            "error": _error_to_value(failure.error),
            "retry_at": instant(failure.retry_at),
        }
    }


def _failure_from_value(value: Item) -> Failure:
    failure = value["M"]
    return Failure(
        attempt=int(failure["attempt"]["N"]),
        finished_at=from_epoch_ms(int(failure["finished_at"]["N"])),
        error=_error_from_value(failure["error"]),
        retry_at=from_epoch_ms(int(failure["retry_at"]["N"])),
    )


def _error_to_value(error: CallError) -> dict[str, Any]:
    return {"M": {"type": text(error.type), "message": text(error.message)}}


def _error_from_value(value: Item) -> CallError:
    return CallError(type=value["M"]["type"]["S"], message=value["M"]["message"]["S"])


def _result_to_value(result: Result) -> dict[str, Any]:
    value: dict[str, Any] = {
        "status_code": number(result.status_code),
        "body_bytes": number(result.body_bytes),
    }
    if result.content_type is not None:
        value["content_type"] = text(result.content_type)
    if result.body:
        value["body"] = {"B": result.body}
    if result.stored is not None:
        value["stored"] = text(result.stored)
    if result.truncated:
        value["truncated"] = {"BOOL": True}
    return {"M": value}


def _result_from_value(value: Item) -> Result:
    result = value["M"]
    return Result(
        status_code=int(result["status_code"]["N"]),
        content_type=_optional_text(result, "content_type"),
        body=bytes(result["body"]["B"]) if "body" in result else b"",
        body_bytes=int(result["body_bytes"]["N"]),
        stored=_optional_text(result, "stored"),
        truncated="truncated" in result,
    )


def stretch_address(key: JobKey, stretch: Stretch) -> dict[str, Any]:
    """Return the primary key of a stretch."""
    revision = stretch.schedule_revision
    sort = keys.stretch_sort(stretch.incarnation, stretch.since, schedule_revision=revision)
    return address(keys.job_partition(key), sort)


def stretch_to_item(key: JobKey, stretch: Stretch, *, expires_at: datetime) -> dict[str, Any]:
    """Write a stretch of slots that were left out."""
    return stretch_address(key, stretch) | {
        "incarnation": number(stretch.incarnation),
        "schedule_revision": number(stretch.schedule_revision),
        "since": instant(stretch.since),
        "until": instant(stretch.until),
        "count": number(stretch.count),
        "reason": text(stretch.reason),
        "ttl": seconds(expires_at),
        **({} if stretch.announced_by is None else {"announced_by": text(stretch.announced_by)}),
    }


def stretch_from_item(item: Item) -> Stretch:
    """Read what `stretch_to_item` wrote."""
    return Stretch(
        incarnation=int(item["incarnation"]["N"]),
        schedule_revision=int(item["schedule_revision"]["N"]),
        since=from_epoch_ms(int(item["since"]["N"])),
        until=from_epoch_ms(int(item["until"]["N"])),
        count=int(item["count"]["N"]),
        reason=item["reason"]["S"],
        announced_by=_optional_text(item, "announced_by"),
    )


def watch_row_to_item(row: WatchRow) -> dict[str, Any]:
    """Write a watch row.

    It has no `ttl`: a run must not be forgotten because nobody looked in time.
    """
    return address(keys.watch_partition(row.shard), keys.watch_sort(row)) | {
        "runs": text(references_to_text(row.references))
    }


def watch_row_from_item(item: Item) -> WatchRow:
    """Read what `watch_row_to_item` wrote."""
    shard, minute, row_id = keys.watch_of(item["pk"]["S"], item["sk"]["S"])
    return WatchRow(
        shard=shard,
        minute=minute,
        row_id=row_id,
        references=references_from_text(item["runs"]["S"]),
    )


def beat_to_item(beat: Beat) -> dict[str, Any]:
    """Write a group's sign of life."""
    return address(keys.BEATS, keys.beat_sort(beat.shards)) | {
        "shards": {"L": [number(shard) for shard in beat.shards]},
        "at": instant(beat.at),
    }


def beat_from_item(item: Item) -> Beat:
    """Read what `beat_to_item` wrote."""
    return Beat(
        shards=tuple(int(shard["N"]) for shard in item["shards"]["L"]),
        at=from_epoch_ms(int(item["at"]["N"])),
    )
