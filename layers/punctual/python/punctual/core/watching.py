"""The second look: what becomes of a run that was handed over a while ago."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from punctual.core.dispatch import AHEAD_MAX
from punctual.core.execution import is_owed
from punctual.core.identity import RunKey
from punctual.core.jobs import Job
from punctual.core.runs import Run, RunState, Stretch

LOOK_AFTER = timedelta(minutes=15)
"""A run is looked at this long after it was due; the queue's longest delay fits in between."""

MINUTE = timedelta(minutes=1)

REFERENCES_MAX = 25
"""References of one watch row."""

REFERENCE_BYTES_MAX = 900
"""What the references of one row may weigh, so that a row is written for one unit."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A run to look at, and the revision of the schedule that named its slot."""

    key: RunKey
    schedule_revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRow:
    """A durable note: look at these runs at this minute."""

    shard: int
    """The shard whose dispatch reads the row; any will do."""
    minute: datetime
    """Not before this minute."""
    row_id: str
    """Tells the rows of one minute apart."""
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A run to look at, and when."""

    reference: Reference
    at: datetime


def minute_of(instant: datetime) -> datetime:
    """Return the start of the instant's minute."""
    return instant.astimezone(UTC).replace(second=0, microsecond=0)


def look_after(instant: datetime) -> datetime:
    """Return when to look at a run that is due, or was sent, at `instant`."""
    return instant + LOOK_AFTER


def pack(looks: Iterable[Look]) -> Iterator[tuple[datetime, tuple[Reference, ...]]]:
    """Gather looks into as few rows as their bounds allow.

    A row stands at the minute of its earliest look, rounded up. One visit's slots lie within 840 s
    of each other and are looked at 15 minutes after they are due, so every run of a row has been
    due when the row is read; looks that lie further apart go to rows of their own. Runs of one job
    go together, since they share what names it.

    Yields:
        The row's minute and its references.
    """
    row: list[Look] = []
    weight = 0
    for look in sorted(looks, key=_by_job):
        added = _weight(look.reference, previous=row[-1].reference if row else None)
        if row and (
            len(row) == REFERENCES_MAX
            or weight + added > REFERENCE_BYTES_MAX
            or not _close_together(row, look)
        ):
            yield _row_of(row)
            row, weight = [], 0
            added = _weight(look.reference, previous=None)
        row.append(look)
        weight += added
    if row:
        yield _row_of(row)


def _by_job(look: Look) -> tuple[str, str, datetime]:
    job = look.reference.key.job
    return job.tenant, job.job_id, look.at


def _close_together(row: Sequence[Look], look: Look) -> bool:
    """Say whether a look lies within 840 s of all that a row holds."""
    instants = [each.at for each in row]
    return max(instants) - AHEAD_MAX <= look.at <= min(instants) + AHEAD_MAX


def _row_of(looks: Sequence[Look]) -> tuple[datetime, tuple[Reference, ...]]:
    return _rounded_up(min(look.at for look in looks)), tuple(look.reference for look in looks)


def _weight(reference: Reference, *, previous: Reference | None) -> int:
    """Return about how many bytes a reference adds: runs of one job share what names the job."""
    named = len(reference.key.name) + 1
    if previous is not None and (previous.key.job, previous.schedule_revision) == (
        reference.key.job,
        reference.schedule_revision,
    ):
        return named
    return named + len(reference.key.job.tenant) + len(reference.key.job.job_id) + 16


def _rounded_up(instant: datetime) -> datetime:
    minute = minute_of(instant)
    return minute if minute == instant else minute + MINUTE


class Verb(StrEnum):
    """What to do about a run that was looked at."""

    DROP = "drop"
    """It has its outcome, or is not owed one."""
    INSERT = "insert"
    """Its row is missing and owed: insert it, send it, look again."""
    SEND = "send"
    """Send it again, and look again."""
    LOOK_AGAIN = "look_again"
    """Something is going on or awaited: only look again."""
    REAP = "reap"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a look found, and what follows."""

    verb: Verb
    send_at: datetime | None = None
    look_at: datetime | None = None


def examine(
    reference: Reference,
    run: Run | None,
    job: Job | None,
    *,
    now: datetime,
    left_out: Sequence[Stretch] = (),
) -> Finding:
    """Decide what a look at `now` means.

    Args:
        reference: What the watch row says.
        run: The run's row, read consistently; None when it is missing.
        job: The run's job, read consistently; only asked when the row is missing.
        now: When the look happens.
        left_out: Stretches of the job's life, read after the job; only asked when a look without
            them says `INSERT`.
    """
    if run is None:
        slot, life = reference.key.slot, reference.key.incarnation
        if not is_owed(slot, reference.schedule_revision, life, job, left_out=left_out):
            return Finding(verb=Verb.DROP)
        assert slot is not None, "an owed run has a slot"
        assert job is not None, "a job that is gone owes nothing"
        if job.due_at is not None and job.due_at <= slot:
            # A visit is to hand it over, or to leave it out. It may be doing so now, and its row
            # may have been voided after the visit met it: so this look is not to be the last one.
            # A paused job is visited by nobody: what it owes is inserted, and skipped at its start.
            return Finding(verb=Verb.LOOK_AGAIN, look_at=look_after(max(slot, now)))
        due = max(slot, now)
        return Finding(verb=Verb.INSERT, send_at=due, look_at=look_after(due))
    if run.state.terminal:
        return Finding(verb=Verb.DROP)
    if run.live(now):
        assert run.lease_until is not None, "a live run has a lease"
        return Finding(verb=Verb.LOOK_AGAIN, look_at=run.lease_until + MINUTE)
    if run.cancel_requested_at is not None:
        return Finding(verb=Verb.REAP)
    if run.dead(now) and run.attempt >= run.max_attempts:
        return Finding(verb=Verb.GIVE_UP)
    due = now
    if run.state is RunState.RETRYING and run.retry_at is not None:
        due = max(now, run.retry_at)
    elif run.state is RunState.QUEUED:
        due = max(now, run.scheduled_at)
    if due > now + AHEAD_MAX:
        return Finding(verb=Verb.LOOK_AGAIN, look_at=due - 2 * MINUTE)
    return Finding(verb=Verb.SEND, send_at=due, look_at=look_after(due))


def retry_look(retry_at: datetime) -> datetime:
    """Return when to look at a run whose retry waits in the watch.

    A minute ahead of the retry, so that the queue delays it to the very instant.
    """
    return retry_at - MINUTE
