"""Where things lie in the table: the keys of every kind of item, written and read back.

A job and all that is its own share one partition. No part of a key but the tenant may hold a `#`,
and the tenant is followed by exactly one part, so a key reads back without doubt.
"""

from datetime import datetime

from punctual.core.identity import JobKey, RunKey, slot_name
from punctual.core.instants import parse_instant
from punctual.core.limits import LimitKey
from punctual.core.watching import WatchRow

JOB = "JOB"
"""Sort key of the job itself."""

CONTENTS = "P#"
"""What the sort keys of a job's contents begin with."""

GATE = "G"
"""Sort key of a job's gate."""

REQUESTS = "I#"
"""What the sort keys of requests that came with a key begin with."""

USAGE = "K"
"""Sort key of who is in under a limit's key, which has a partition of its own."""

BEATS = "BEATS"
"""Partition of the dispatchers' signs of life."""


def job_partition(key: JobKey) -> str:
    """Return the partition of a job and all that is its own."""
    return f"J#{key.tenant}#{key.job_id}"


def job_of(partition: str) -> JobKey:
    """Read a job's partition back."""
    tenant, _, job_id = partition.removeprefix("J#").rpartition("#")
    return JobKey(tenant, job_id)


def content_sort(ref: str) -> str:
    """Return the sort key of a content, by its digest."""
    return CONTENTS + ref


def runs_of_life(incarnation: int) -> str:
    """Return what the sort keys of one life's runs begin with."""
    return f"R#{incarnation}#"


def run_sort(key: RunKey) -> str:
    """Return the sort key of a run; those of slots sort like their slots."""
    return runs_of_life(key.incarnation) + key.name


def run_of(partition: str, sort: str) -> RunKey:
    """Read a run's key back."""
    _, incarnation, name = sort.split("#", 2)
    return RunKey(job_of(partition), int(incarnation), name)


def stretches_of_life(incarnation: int) -> str:
    """Return what the sort keys of one life's left-out stretches begin with."""
    return f"M#{incarnation}#"


def stretch_sort(incarnation: int, since: datetime, *, schedule_revision: int) -> str:
    """Return the sort key of a stretch, by its first slot and the schedule that named it."""
    return f"{stretches_of_life(incarnation)}{slot_name(since)}#{schedule_revision}"


def request_sort(digest: str) -> str:
    """Return the sort key of a request, by the digest of its key."""
    return REQUESTS + digest


def limit_partition(limit: LimitKey) -> str:
    """Return the partition of a limit; its key holds no `#`."""
    return f"K#{limit.tenant}#{limit.key}"


def limit_of(partition: str) -> LimitKey:
    """Read a limit's partition back."""
    tenant, _, key = partition.removeprefix("K#").rpartition("#")
    return LimitKey(tenant, key)


def lines_of(key: RunKey) -> str:
    """Return what the sort keys of one run's lines begin with."""
    return f"L#{key.incarnation}#{key.name}#"


def line_sort(key: RunKey, line: int) -> str:
    """Return the sort key of a run's lines from number `line` on."""
    return f"{lines_of(key)}{line:04}"


def line_of(sort: str) -> int:
    """Read the number of the first line back."""
    return int(sort.rpartition("#")[2])


def watch_partition(shard: int) -> str:
    """Return the partition of a shard's watch rows."""
    return f"W#{shard}"


def watch_minute(minute: datetime) -> str:
    """Return what the sort keys of one minute's watch rows begin with; sorts like time."""
    return f"{minute:%Y-%m-%dT%H:%MZ}#"


def watch_sort(row: WatchRow) -> str:
    """Return the sort key of a watch row."""
    return watch_minute(row.minute) + row.row_id


def watch_of(partition: str, sort: str) -> tuple[int, datetime, str]:
    """Read a watch row's shard, minute and id back."""
    minute, _, row_id = sort.partition("#")
    shard = int(partition.removeprefix("W#"))
    return shard, parse_instant(minute.removesuffix("Z") + ":00Z"), row_id


def beat_sort(shards: tuple[int, ...]) -> str:
    """Return the sort key of a group's beat."""
    return f"{shards[0]:02}-{shards[-1]:02}"
