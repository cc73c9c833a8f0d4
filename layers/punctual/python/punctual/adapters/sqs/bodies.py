"""What the queues carry, as compact JSON with a version."""

import json
from collections.abc import Mapping
from typing import Any

from punctual.core.identity import JobKey, RunKey
from punctual.core.jobs import Delivery, Lane
from punctual.core.runs import Run, Trigger
from punctual.core.sharding import SHARDS

VERSION = 1


class UnreadableBody(ValueError):
    """A message is not one of ours, or of a version that we do not know: poison."""


def run_body(key: RunKey, handed_over: Run | None = None) -> str:
    """Write the message about a run: `{"v":1,"run":["acme","report",1,"20261201T090000Z"]}`.

    Tenant, job id, incarnation and name: a hint at a row, which alone says what is to be done.

    Args:
        key: Names the run.
        handed_over: The row of a slot as it was handed over. What its name does not say of it is
            added: `"row":[3,2,"at_least_once","fast"]`, the schedule's revision, how many attempts,
            delivery and lane. A reader that knows nothing of it passes over it.
    """
    record = {"v": VERSION, "run": [key.job.tenant, key.job.job_id, key.incarnation, key.name]}
    if handed_over is not None:
        assert handed_over.trigger is Trigger.SCHEDULE, "only the name of a slot says the rest"
        record["row"] = [
            handed_over.schedule_revision,
            handed_over.max_attempts,
            handed_over.delivery,
            handed_over.lane,
        ]
    return _text(record)


def read_run_body(body: str) -> RunKey:
    """Read which run a message is about that `run_body` wrote.

    Raises:
        UnreadableBody: It did not write this.
    """
    return _key_in(_record(body))


def read_run(body: str) -> tuple[RunKey, Run | None]:
    """Read what `run_body` wrote: which run, and the row as it was handed over, if it says so.

    Raises:
        UnreadableBody: It did not write this.
    """
    record = _record(body)
    key = _key_in(record)
    return key, _row_in(record, key)


def _key_in(record: Mapping[object, object]) -> RunKey:
    match record:
        case {"run": [str(tenant), str(job_id), int(incarnation), str(name)]}:
            return RunKey(JobKey(tenant, job_id), incarnation, name)
        case _:
            raise UnreadableBody("the message names no run")


def _row_in(record: Mapping[object, object], key: RunKey) -> Run | None:
    """Read the row; one that is said in a way of a later version counts as not said."""
    slot = key.slot
    match record:
        case {"row": [int(revision), int(attempts), str(delivery), str(lane)]} if slot is not None:
            try:
                return Run(
                    key=key,
                    scheduled_at=slot,
                    schedule_revision=revision,
                    max_attempts=attempts,
                    delivery=Delivery(delivery),
                    lane=Lane(lane),
                )
            except ValueError:
                return None
        case _:
            return None


def shards_body(shards: range) -> str:
    """Write the message that wakes a group of shards: `{"v":1,"shards":[0,16]}`, end excluded."""
    return _text({"v": VERSION, "shards": [shards.start, shards.stop]})


def read_shards_body(body: str) -> tuple[int, ...]:
    """Read what `shards_body` wrote; the message tells, so that groups may change their size.

    Raises:
        UnreadableBody: It did not write this.
    """
    match _record(body):
        case {"shards": [int(start), int(stop)]} if 0 <= start < stop <= SHARDS:
            return tuple(range(start, stop))
        case _:
            raise UnreadableBody("the message names no shards")


def _record(body: str) -> Mapping[object, object]:
    try:
        record = json.loads(body)
    except ValueError as error:
        raise UnreadableBody("the message is not JSON") from error
    match record:
        case {"v": 1, **rest}:
            return rest
        case _:
            raise UnreadableBody("the message is of no version that is known here")


def _text(record: dict[str, Any]) -> str:
    # In ASCII, since SQS refuses a whole batch for one character that XML does not know.
    return json.dumps(record, separators=(",", ":"))
