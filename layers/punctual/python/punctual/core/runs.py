"""A run, its states, and every move between them.

A move is one conditional write. `permits` says when it may happen and `after` what it leaves; an
engine that cannot call Python states the same condition in its own words, and one contract suite
holds the two to each other.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from punctual.core.calls import CallError, ErrorType
from punctual.core.identity import RunKey
from punctual.core.jobs import Delivery, Lane
from punctual.core.strands import asked_at

HISTORY_KEPT = timedelta(days=30)
"""How long a run can be read after it ended."""

LIFE_MAX = timedelta(days=14)
"""No heartbeat keeps a run open for longer than this after its first start."""

MARK_LENGTH = 8
"""Characters of an owner that are remembered: enough to tell it from any other, and too few to
make up anything from."""


class RunState(StrEnum):
    """Where a run stands. `scheduled` and `cancelling` are seen by users, never stored."""

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    MISSED = "missed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"

    @property
    def terminal(self) -> bool:
        """Whether the state is an outcome: written once and never left."""
        return self not in OPEN


OPEN = frozenset({RunState.QUEUED, RunState.RUNNING, RunState.RETRYING})
"""States that still await an outcome."""


class Trigger(StrEnum):
    """What brought a run into being."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    BACKFILL = "backfill"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the target answered, as far as it is kept with the run."""

    status_code: int
    content_type: str | None = None
    body: bytes = b""
    """At most 500 bytes."""
    body_bytes: int = 0
    """Length of the whole answer, as far as it was read."""
    stored: str | None = None
    """Under which name `Results` has the body, if `body` is only its beginning."""
    truncated: bool = False
    """Whether there was more than can be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How one attempt that was not the last one ended."""

    attempt: int
    finished_at: datetime
    error: CallError
    retry_at: datetime


@dataclass(frozen=True, slots=True)
class Mark:
    """What is remembered of one attempt for good, though others follow it."""

    owner: str
    """The beginning of its owner: tells the token of an earlier attempt from a stranger's."""
    heartbeat: timedelta | None = None
    """The longest silence it is allowed, once it awaits its callback."""


@dataclass(frozen=True, kw_only=True)  # without slots, for `_changed`
class Run:
    """One slot carried out: the truth about it."""

    key: RunKey
    state: RunState = RunState.QUEUED
    trigger: Trigger = Trigger.SCHEDULE
    scheduled_at: datetime
    schedule_revision: int
    """Revision of the schedule that named the slot."""
    max_attempts: int
    """Pinned when the run was handed over; 1 for `at_most_once`."""
    delivery: Delivery = Delivery.AT_LEAST_ONCE
    lane: Lane = Lane.FAST
    content: str | None = None
    """Under which name a content of its own is stored; None: it has that of its job."""
    attempt: int = 0
    """Number of the newest attempt, from 1; it only grows, so a target can refuse an older one."""
    owner: str | None = None
    """Token of that attempt, new for each; a write under another token is refused."""
    lease_until: datetime | None = None
    """When the attempt is presumed dead; None unless one is going on."""
    retry_at: datetime | None = None
    """When the next attempt may start; None unless one is awaited."""
    cancel_requested_at: datetime | None = None
    starts: tuple[datetime, ...] = ()
    """When each attempt started, in order."""
    marks: tuple[Mark, ...] = ()
    """Of each attempt, in the order of `starts`."""
    failures: tuple[Failure, ...] = ()
    """Attempts after which another was awaited. One that died has a start and no entry here."""
    finished_at: datetime | None = None
    finished_by: str | None = None
    """Token of the attempt that wrote the outcome; None when no attempt did."""
    reason: str | None = None
    """Why the run was missed, skipped or cancelled, or what a waiting run waits for."""
    result: Result | None = None
    error: CallError | None = None
    expires_at: datetime | None = None
    """When the record may be forgotten; set by the outcome, and by nothing else."""

    @property
    def due_at(self) -> datetime:
        """When it may start: at its slot, or from when it was asked for."""
        if self.trigger is Trigger.SCHEDULE:
            return self.scheduled_at
        return asked_at(self.key.name) or self.scheduled_at

    def held_by(self, owner: str) -> bool:
        """Say whether `owner` is the attempt that may act on this run."""
        return self.state is RunState.RUNNING and self.owner == owner

    @property
    def heartbeat(self) -> timedelta | None:
        """The longest silence allowed to the attempt that awaits its callback; None without one."""
        if self.state is not RunState.RUNNING or not self.marks:
            return None
        return self.marks[-1].heartbeat

    @property
    def waits(self) -> bool:
        """Whether the run was put off without a call: `reason` says what it waits for."""
        return self.state is RunState.RETRYING and self.reason is not None

    def live(self, now: datetime) -> bool:
        """Say whether an attempt must be presumed to be going on."""
        return (
            self.state is RunState.RUNNING
            and self.lease_until is not None
            and self.lease_until >= now
        )

    def dead(self, now: datetime) -> bool:
        """Say whether the newest attempt died: its lease ended and nobody finished it."""
        return self.state is RunState.RUNNING and not self.live(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """An outcome, ready to be written."""

    state: RunState
    at: datetime
    reason: str | None = None
    result: Result | None = None
    error: CallError | None = None

    def __post_init__(self) -> None:
        assert self.state.terminal, "an ending is terminal"

    def expires_at(self, scheduled_at: datetime) -> datetime:
        """Return when the record may go; a slot in the future counts from the slot."""
        return max(self.at, scheduled_at) + HISTORY_KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """START, or TAKEOVER of an attempt that died: take the run for one attempt."""

    key: RunKey
    owner: str
    now: datetime
    lease_until: datetime
    handed_over: Run | None = None
    """The row as a message says that it was handed over; None where none says so.

    Only a guess: a store may ask for exactly that row first, and need not read what it has started
    then. Whether the start is permitted, and what it leaves, does not depend on it.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """FINISH: the holder writes the outcome, `missed`, `skipped` and `cancelled` included."""

    key: RunKey
    owner: str
    ending: Ending
    scheduled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """RETRY: the holder's attempt failed, and another may start at `failure.retry_at`."""

    key: RunKey
    owner: str
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """WAIT: a gate or a limit is full; nothing was called, so the attempt does not count."""

    key: RunKey
    owner: str
    attempt: int
    """Number of the holder's attempt, whose start is taken back."""
    retry_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """HOLD: the holder's call was accepted, or its target gave a sign of life; the lease moves.

    From the first one on the attempt awaits its callback, and outlives whoever called it. The first
    may end the lease sooner than the start did; the others only make it longer, so that one that
    arrives late takes nothing back from those that came after it.
    """

    key: RunKey
    owner: str
    attempt: int
    """Number of the holder's attempt."""
    started_at: datetime
    """When it started."""
    lease_until: datetime
    heartbeat: timedelta
    """The longest silence allowed, for whoever finds that it lasted longer."""
    is_first: bool
    """Whether whoever asks knows of no earlier one of the attempt.

    Only a guess: a store may ask for a row that was not held, or for a lease that is shorter, as
    this has it. Whether the hold is permitted, and what it leaves, does not depend on it.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Void:
    """VOID by the holder: the run should not have been handed over; the row goes.

    Not once its cancel was accepted: whoever asked for that is to find it cancelled, and the slot
    is not to run when it is handed over again.
    """

    key: RunKey
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidQueued:
    """VOID by the API: a row that a change of the slots left behind, if nobody took it."""

    key: RunKey
    schedule_revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """CANCEL of a run that is not live, for a user or for want of a way on: it ends here."""

    key: RunKey
    ending: Ending
    scheduled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """SKIP: a user leaves a slot out before its run has begun."""

    key: RunKey
    ending: Ending
    scheduled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCancel:
    """CANCEL of a run whose attempt may be live: its executor is asked to stop."""

    key: RunKey
    at: datetime
    reason: str | None = None
    """What the outcome is to say, where nobody asked for it by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reap:
    """REAP: a cancel was requested and no attempt is live to see it."""

    key: RunKey
    now: datetime
    ending: Ending
    scheduled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """GIVE UP: the last attempt died; `owner` is the dead one's."""

    key: RunKey
    owner: str
    now: datetime
    ending: Ending
    scheduled_at: datetime


Move = (
    Start
    | Finish
    | Retry
    | Wait
    | Hold
    | Void
    | VoidQueued
    | Cancel
    | Skip
    | RequestCancel
    | Reap
    | GiveUp
)


def permits(move: Move, run: Run) -> bool:
    """Say whether `run` as it stands lets `move` happen."""
    match move:
        case Start(now=now):
            return run.cancel_requested_at is None and (
                run.state is RunState.QUEUED
                or (run.state is RunState.RETRYING and _past(run.retry_at, now))
                or (run.dead(now) and run.attempt < run.max_attempts)
            )
        case Finish(owner=owner) | Wait(owner=owner):
            return run.held_by(owner)
        case Hold(owner=owner, lease_until=lease_until):
            # A longer lease is one by whose end the present one is over.
            return run.held_by(owner) and (run.heartbeat is None or run.dead(lease_until))
        case Void(owner=owner):
            return run.held_by(owner) and run.cancel_requested_at is None
        case Retry(owner=owner):
            return run.held_by(owner) and run.attempt < run.max_attempts
        case VoidQueued(schedule_revision=seen):
            return run.state is RunState.QUEUED and run.schedule_revision == seen
        case Cancel():
            return run.state in {RunState.QUEUED, RunState.RETRYING}
        case Skip():
            return run.state is RunState.QUEUED
        case RequestCancel():
            return run.state is RunState.RUNNING
        case Reap(now=now):
            return (
                run.cancel_requested_at is not None and not run.state.terminal and not run.live(now)
            )
        case GiveUp(owner=owner, now=now):
            return run.dead(now) and run.owner == owner and run.attempt >= run.max_attempts
        case _:
            assert_never(move)


def after(move: Move, run: Run) -> Run | None:
    """Return what `move` leaves of `run`, or None when it takes the row away.

    The caller has asked `permits`.
    """
    match move:
        case Start(owner=owner, now=now, lease_until=lease_until):
            return _changed(
                run,
                state=RunState.RUNNING,
                owner=owner,
                attempt=run.attempt + 1,
                lease_until=lease_until,
                retry_at=None,
                reason=None,
                starts=(*run.starts, now),
                marks=(*run.marks, mark_of(owner)),
            )
        case Finish(owner=owner, ending=ending):
            return _ended(run, ending, by=owner)
        case Cancel(ending=ending) | Skip(ending=ending):
            return _ended(run, ending, by=None)
        case Reap(ending=ending) | GiveUp(ending=ending):
            return _ended(run, ending, by=None)
        case Retry(failure=failure):
            return _changed(
                run,
                state=RunState.RETRYING,
                owner=None,
                lease_until=None,
                retry_at=failure.retry_at,
                failures=(*run.failures, failure),
            )
        case Wait(retry_at=retry_at, reason=reason):
            return _changed(
                run,
                state=RunState.RETRYING,
                owner=None,
                lease_until=None,
                retry_at=retry_at,
                reason=reason,
                attempt=run.attempt - 1,
                starts=run.starts[:-1],
                marks=run.marks[:-1],
            )
        case Hold(owner=owner, lease_until=lease_until, heartbeat=heartbeat):
            mark = mark_of(owner, heartbeat=heartbeat)
            return _changed(run, lease_until=lease_until, marks=(*run.marks[:-1], mark))
        case Void() | VoidQueued():
            return None
        case RequestCancel(at=at, reason=reason):
            return _changed(run, cancel_requested_at=at, reason=reason or run.reason)
        case _:
            assert_never(move)


def otherwise(move: Move, run: Run | None) -> Start | Hold | None:
    """Return the move to ask for where the row is not as the same one guessed; None for none.

    Args:
        move: One that was refused.
        run: The row that refused it, or None when there is none.
    """
    if run is None or not permits(move, run):
        return None
    match move:
        case Start() if move.handed_over is not None:
            return plain(move)
        case Hold(is_first=is_first) if is_first is not (run.heartbeat is None):
            return replace(move, is_first=not is_first)
        case _:
            return None


def plain(start: Start) -> Start:
    """Return a start that guesses nothing of its row."""
    return replace(start, handed_over=None)


def was_applied(move: Move, run: Run | None) -> bool:
    """Say whether the row that refused `move` is what the same move left, its answer lost.

    Of a hold: whether the row is what the same one, or a longer one of the same attempt, left.

    Args:
        move: A move that `permits` refused, or that found no row.
        run: The row as it stands, or None when there is none.
    """
    match move:
        case Start(owner=owner):
            return run is not None and run.held_by(owner)
        case Finish(owner=owner):
            return run is not None and run.finished_by == owner
        case Retry(failure=failure):
            return run is not None and (
                run.state is RunState.RETRYING
                and run.retry_at == failure.retry_at
                and run.failures[-1:] == (failure,)
            )
        case Wait(retry_at=retry_at, reason=reason):
            return run is not None and (
                run.state is RunState.RETRYING and run.retry_at == retry_at and run.reason == reason
            )
        case Hold(owner=owner):
            # Its own, or a later one: either way the target may be silent for as long as it says.
            return run is not None and run.held_by(owner)
        case Void() | VoidQueued():
            return run is None
        case _:
            return False


def mark_of(owner: str, *, heartbeat: timedelta | None = None) -> Mark:
    """Return what is remembered of an attempt."""
    return Mark(owner[:MARK_LENGTH], heartbeat)


def _past(instant: datetime | None, now: datetime) -> bool:
    return instant is not None and instant <= now


def _changed(run: Run, **fields: object) -> Run:
    """Return a run with other values in some fields.

    Like `replace`, in a sixth of its time: a run has two dozen fields and is moved twice at least.
    """
    assert fields.keys() <= run.__dict__.keys(), "a run has no such field"
    changed = object.__new__(Run)
    object.__setattr__(changed, "__dict__", run.__dict__ | fields)
    return changed


def _ended(run: Run, ending: Ending, *, by: str | None) -> Run:
    return _changed(
        run,
        state=ending.state,
        owner=None,
        lease_until=None,
        retry_at=None,
        finished_at=ending.at,
        finished_by=by,
        reason=ending.reason,
        result=ending.result,
        error=ending.error,
        expires_at=ending.expires_at(run.scheduled_at),
    )


class RefusalKind(StrEnum):
    """What an executor whose START was refused does next."""

    DONE = "done"
    """The run has its outcome, or its row is gone: the message may go."""
    WAIT = "wait"
    """Nothing to do before `until`."""
    REAP = "reap"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a refused START means."""

    kind: RefusalKind
    until: datetime | None = None
    """Set for `WAIT`: when to look again."""


DONE: Refusal = Refusal(kind=RefusalKind.DONE)


def read_refusal(run: Run | None, *, now: datetime) -> Refusal:
    """Say what a START that was refused at `now` means, from the row that refused it.

    A row held under the caller's own token is its earlier START whose answer was lost: the
    caller goes on and does not ask.
    """
    if run is None or run.state.terminal:
        return DONE
    if run.live(now):
        return Refusal(kind=RefusalKind.WAIT, until=run.lease_until)
    if run.cancel_requested_at is not None:
        return Refusal(kind=RefusalKind.REAP)
    if run.state is RunState.RETRYING and run.retry_at is not None and run.retry_at > now:
        return Refusal(kind=RefusalKind.WAIT, until=run.retry_at)
    if run.dead(now) and run.attempt >= run.max_attempts:
        return Refusal(kind=RefusalKind.GIVE_UP)
    # What refused the START is over by now, such as a clock that ran behind: ask again at once.
    return Refusal(kind=RefusalKind.WAIT, until=now)


LOST = CallError(type="lost", message="the executor died in the middle of the attempt")


def silence(heartbeat: timedelta) -> CallError:
    """Return the error of an attempt whose callback was awaited in vain."""
    return CallError(type=ErrorType.TIMEOUT, message=f"no heartbeat for {_seconds(heartbeat)} s")


OVERDUE = CallError(
    type=ErrorType.TIMEOUT, message=f"no outcome within {LIFE_MAX.days} days of the first start"
)


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():g}"


def ending_of_dead(run: Run, *, now: datetime) -> Ending:
    """Return the outcome of a run whose last attempt died without one, or fell silent."""
    state, error = RunState.FAILED, LOST
    if run.heartbeat is not None:
        state, error = RunState.TIMED_OUT, silence(run.heartbeat)
        if run.starts and now >= run.starts[0] + LIFE_MAX:
            error = OVERDUE
    if run.delivery is Delivery.AT_MOST_ONCE:
        state = RunState.UNKNOWN
    return Ending(state=state, at=now, error=error)


CANCELLED = "cancelled"
"""Why a run was cancelled that somebody cancelled."""


def reap(run: Run, *, now: datetime) -> Reap:
    """Return the move that ends a cancelled run which nobody holds."""
    return Reap(
        key=run.key,
        now=now,
        ending=Ending(state=RunState.CANCELLED, at=now, reason=why_cancelled(run)),
        scheduled_at=run.scheduled_at,
    )


def why_cancelled(run: Run) -> str:
    """Return the reason for the outcome of a run whose attempt was asked to stop."""
    return (run.state is RunState.RUNNING and run.reason) or CANCELLED


def cancellation(run: Run, *, now: datetime, reason: str | None = None) -> Move | None:
    """Return the move that cancels a run, or takes its cancel on; None when that is under way."""
    if run.state.terminal:
        return None
    if run.cancel_requested_at is not None:
        return None if run.live(now) else reap(run, now=now)
    if run.state is RunState.RUNNING:
        return RequestCancel(key=run.key, at=now, reason=reason)
    return Cancel(
        key=run.key,
        ending=Ending(state=RunState.CANCELLED, at=now, reason=reason or CANCELLED),
        scheduled_at=run.scheduled_at,
    )


def give_up(run: Run, *, now: datetime) -> GiveUp:
    """Return the move that ends a run whose attempts are spent."""
    assert run.owner is not None, "a running run has an owner"
    return GiveUp(
        key=run.key,
        owner=run.owner,
        now=now,
        ending=ending_of_dead(run, now=now),
        scheduled_at=run.scheduled_at,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A stretch of slots that a catch-up rule left out: one record instead of one per slot."""

    incarnation: int
    schedule_revision: int
    """Which revision of the schedule named the slots: it says nothing of those of another."""
    since: datetime
    """First slot left out."""
    until: datetime
    """Last slot left out."""
    count: int
    reason: str = "catch_up"
    announced_by: str | None = None
    """Token of the visit that has still to look whether a run began; until then it may be withdrawn
    by whoever needs one of its slots, and nothing is left out. None: it is settled, for good."""

    def holds(self, slot: datetime) -> bool:
        """Say whether a slot is left out by this stretch."""
        return self.announced_by is None and self.since <= slot <= self.until

    def meets(self, *, since: datetime, until: datetime) -> bool:
        """Say whether it has a part in the time between two instants, both included."""
        return self.since <= until and since <= self.until
