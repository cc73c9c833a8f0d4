"""What the queues carry, as compact JSON with a version."""

import json
from collections.abc import Mapping
from typing import Any

from punctual.core.identity import JobKey, RunKey
from punctual.core.sharding import SHARDS

VERSION = 1


class UnreadableBody(ValueError):
    """A message is not one of ours, or of a version that we do not know: poison."""


def run_body(key: RunKey) -> str:
    """Write the message about a run: `{"v":1,"run":["acme","report",1,"20261201T090000Z"]}`.

    Tenant, job id, incarnation and name: a hint at a row, which alone says what is to be done.
    """
    return _text({"v": VERSION, "run": [key.job.tenant, key.job.job_id, key.incarnation, key.name]})


def read_run_body(body: str) -> RunKey:
    """Read what `run_body` wrote.

    Raises:
        UnreadableBody: It did not write this.
    """
    match _record(body):
        case {"run": [str(tenant), str(job_id), int(incarnation), str(name)]}:
            return RunKey(JobKey(tenant, job_id), incarnation, name)
        case _:
            raise UnreadableBody("the message names no run")


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
