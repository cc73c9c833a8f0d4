"""What the services need from outside, and what each port guarantees.

Every write that decides something is one conditional write of one item. Batches are batches of
such writes: each entry succeeds or is refused alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from punctual.core.calls import Answer, Call
from punctual.core.dispatch import Claim
from punctual.core.gates import Gate
from punctual.core.identity import JobKey, RunKey
from punctual.core.jobs import Content, DueJob, Job, Lane
from punctual.core.limits import LimitKey, Usage
from punctual.core.log_lines import KeptLines
from punctual.core.requests import Request
from punctual.core.runs import Move, Run, Stretch
from punctual.core.timeline import LogLine
from punctual.core.watching import WatchRow

T = TypeVar("T")


class Clock(Protocol):
    """The time, and waiting for it."""

    def now(self) -> datetime:
        """Return the present instant: aware, UTC, whole milliseconds."""
        ...

    def sleep(self, duration: timedelta) -> None:
        """Return after `duration`; at once when it is not positive."""
        ...


class Chance(Protocol):
    """Identities that nobody had before, and draws for the jitter."""

    def token(self) -> str:
        """Return a new token: 128 random bits, printable, at most 32 characters."""
        ...

    def draw(self) -> float:
        """Return a draw in [0, 1)."""
        ...


class Transact(Protocol):
    """Makes what is written inside durable together, where the engine can."""

    def __call__(self, work: Callable[[], T]) -> T:
        """Call `work` and return what it returns.

        An engine with transactions makes all of it durable or none, before this returns; one
        without calls it as it is, and every write stands alone in the order made. Services are
        correct either way: the order they write in is the protocol.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Part of a listing."""

    jobs: tuple[Job, ...]
    last_job_id: str | None
    """Where the next page goes on after; None when nothing follows."""


class JobStore(Protocol):
    """Where jobs live, and where two writers of one job are told apart."""

    def create(self, job: Job, *, over: Job | None = None) -> Job | None:
        """Store a job that is new, or over the tombstone `over` as it was read.

        Repeating a create that was applied changes nothing and succeeds again.

        Returns:
            None when it is stored; else the job or tombstone that stands in the way.
        """
        ...

    def create_new(self, jobs: Sequence[tuple[Job, Content]]) -> Sequence[bool]:
        """Store jobs of different names, each with its content, where nothing stands or stood.

        Returns:
            For each whether it surely is stored by this call. One that is not may have no answer,
            or be in the way itself, a tombstone included: `create` tells.
        """
        ...

    def change(self, job: Job, *, seen: Job) -> bool:
        """Replace the job if it still stands as `seen`: same revision, pointer and state.

        A change to `deleted` leaves a tombstone of 90 days and dates the job's contents likewise.
        Repeating a change that was applied changes nothing and succeeds again.

        Returns:
            False when someone else changed the job or moved its pointer meanwhile.
        """
        ...

    def read(self, keys: Sequence[JobKey]) -> Mapping[JobKey, Job]:
        """Return the jobs that exist, tombstones included; consistent with every earlier write."""
        ...

    def put_content(
        self, key: JobKey, ref: str, content: Content, *, until: datetime | None = None
    ) -> None:
        """Store content under a name that no other content has; repeating it is fine.

        Without `until` its life has no end: it is a job's, under its digest. One with an end is a
        single run's.
        """
        ...

    def read_contents(
        self, keys: Sequence[tuple[JobKey, str]]
    ) -> Mapping[tuple[JobKey, str], Content]:
        """Return the contents that exist, by job and digest."""
        ...

    def due(self, shards: Sequence[int], *, until: datetime) -> Iterable[Sequence[DueJob]]:
        """Yield pages of active jobs whose pointer is at `until` or before, earliest first.

        What it yields may be stale by seconds, and may lack what was just written: only a refused
        claim can tell.
        """
        ...

    def claim(self, claims: Sequence[Claim]) -> Sequence[bool]:
        """Move pointers past what was handed over, each only from where the claim expects it.

        Returns:
            For each claim whether it holds. One that was refused lost to another visit or to a
            change of the job, which is ordinary; so is one the store had no time for.
        """
        ...

    def park(self, key: JobKey, *, reason: str, now: datetime) -> None:
        """Pause a job whose visit fails every time, so that its shard goes on.

        `reason` becomes the note of the pause. Works on a job that cannot be read.
        """
        ...

    def list(self, tenant: str, *, prefix: str, after: str | None, limit: int) -> Page:
        """Return a tenant's jobs in the order of their ids, without tombstones.

        May lack a job of the last second; each job returned is read consistently.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What became of one move."""

    applied: bool
    """Whether the row is now as the move leaves it, by this call or by an earlier one of the same
    owner whose answer was lost."""
    run: Run | None
    """The row as it stands in the way, or None when there is none.

    When applied: after the move for a `Start`; for others an engine may leave it out.
    """
    failed: bool = False
    """The store gave no answer: the move may or may not have happened. `run` is None."""


class RunStore(Protocol):
    """Where runs live, and where two executors are kept off one run."""

    def insert(self, runs: Sequence[Run]) -> Sequence[bool]:
        """Bring rows into being where there are none.

        A row that exists stays as it is, but for a queued one of an older schedule revision, which
        is set to the newer.

        Returns:
            For each run whether there is surely a row for it now.
        """
        ...

    def move(self, moves: Sequence[Move]) -> Sequence[Moved]:
        """Carry out each move whose condition holds; see `core.runs.permits`. Keys are distinct.

        A `Start` refused by a row that its own owner holds counts as applied; so does a `Finish`
        refused by an outcome that names its owner in `finished_by`, a `Retry` or `Wait` refused by
        the very state it would leave, and a `Void` whose row is gone. What a `Start` guesses of its
        row changes what it costs, and no answer.
        """
        ...

    def read(self, keys: Sequence[RunKey]) -> Mapping[RunKey, Run]:
        """Return the runs that exist and are not expired, consistent with every earlier write."""
        ...

    def list(
        self,
        job: JobKey,
        *,
        incarnation: int,
        since: str | None = None,
        before: str | None,
        limit: int,
    ) -> Sequence[Run]:
        """Return runs of one life of a job in [`since`, `before`) by name, greatest name first.

        Names of one strand sort like time, see `core.strands`. A page may be short only at the end.
        """
        ...

    def put_stretches(self, stretches: Sequence[tuple[JobKey, Stretch]]) -> Sequence[bool]:
        """Record stretches of slots that are left out, each where none with its start stands.

        Returns:
            For each whether it surely stands as given. One that is there stays as it is: slots
            are parted once into those that run and those that do not.
        """
        ...

    def settle_stretches(self, stretches: Sequence[tuple[JobKey, Stretch]]) -> Sequence[bool]:
        """Make stretches count for good, each that stands as it was announced.

        Returns:
            For each whether it surely counts.
        """
        ...

    def withdraw_stretches(self, stretches: Sequence[tuple[JobKey, Stretch]]) -> Sequence[bool]:
        """Take stretches away, each that stands as it was announced.

        Returns:
            For each whether it is surely gone, so that it never counts.
        """
        ...

    def stretches(self, job: JobKey, *, incarnation: int) -> Sequence[Stretch]:
        """Return the stretches of one life of a job, latest first, at most 100."""
        ...


class RequestStore(Protocol):
    """Remembers which run a request with a key asked for."""

    def remember(self, request: Request) -> Request:
        """Store a request unless one of the same key stands; return the one that stands then.

        Raises:
            StoreUnavailable: It may be stored or not; repeating it tells.
        """
        ...

    def find(self, job: JobKey, *, digest: str) -> Request | None:
        """Return the request that stands, consistent with every earlier write."""
        ...


class LogStore(Protocol):
    """Where the lines are that targets write about their runs."""

    def add(self, key: RunKey, lines: Sequence[LogLine], *, expires_at: datetime) -> None:
        """Keep lines of a run after those that are kept; beyond `LINES_MAX` they are counted.

        Lines are kept at least once: whoever got no answer may find that they were.

        Raises:
            StoreUnavailable: They are not surely kept.
        """
        ...

    def read(self, key: RunKey) -> KeptLines:
        """Return what is kept of a run, consistent with every earlier write.

        Raises:
            StoreUnavailable: The store is busy or out of reach.
        """
        ...


class WatchList(Protocol):
    """Durable notes of which runs to look at, and when."""

    def add(self, rows: Sequence[WatchRow]) -> Sequence[bool]:
        """Store rows; for each whether it is surely stored."""
        ...

    def due(self, shards: Sequence[int], *, now: datetime) -> Iterable[Sequence[WatchRow]]:
        """Yield pages of rows whose minute has come, consistently read."""
        ...

    def remove(self, rows: Sequence[WatchRow]) -> None:
        """Delete rows that were dealt with; one that stays is dealt with again, without harm."""
        ...


class GateStore(Protocol):
    """The records at which runs meet: gates of jobs, and who is in under a key.

    A record is decided about by whoever read it, and written only over what it decided on.
    """

    def gates(self, jobs: Sequence[JobKey]) -> Mapping[JobKey, Gate]:
        """Return the gate of every job, consistent with every earlier write."""
        ...

    def usages(self, limits: Sequence[LimitKey]) -> Mapping[LimitKey, Usage]:
        """Return who is in under every key, consistent with every earlier write."""
        ...

    def put(self, records: Sequence[Gate | Usage], *, versions: Sequence[str]) -> Sequence[bool]:
        """Write records, each over the one with the version that it still carries.

        Args:
            records: Changed ones, as many as may be, of different jobs and keys.
            versions: What the record of the same place carries from then on; never used before.

        Returns:
            For each whether it surely stands. One that does not may have been overtaken, or have
            had no answer: reading tells, by the version.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A run to be looked at by an executor at an instant."""

    key: RunKey
    lane: Lane
    at: datetime
    """Delivered at this instant. A queue that counts whole seconds delivers a slot up to one early,
    and the executor waits out the rest; all else up to one late. Never more than 900 s ahead."""
    handed_over: Run | None = None
    """The row of a slot as it was just handed over, for the message to say; else None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A hint, received: look at this run."""

    key: RunKey
    receipt: str
    """Names this delivery to the queue."""
    handed_over: Run | None = None
    """The row as the message says that it was handed over, if it does and comes the first time.

    Old news: the row may have changed since, or be gone.
    """


class RunQueue(Protocol):
    """Carries hints to the executors; may double, reorder, delay and lose them."""

    def send(self, messages: Sequence[Outgoing]) -> Sequence[bool]:
        """Send; for each whether the queue surely has it."""
        ...

    def hide(self, messages: Sequence[tuple[Message, datetime]]) -> None:
        """Have each message delivered again at its instant, at most an hour ahead."""
        ...

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Let messages go whose run is terminal, gone, or carried by a watch row.

        Where the event source deletes what a handler does not hand back, this does nothing.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that nobody could deal with, kept for a person to look at."""

    body: str
    reason: str


class DeadLetterBox(Protocol):
    """Where dead letters rest for 14 days; every one in it is an alarm."""

    def keep(self, letters: Sequence[DeadLetter]) -> Sequence[bool]:
        """Keep letters; for each whether it is surely kept."""
        ...


class ShardQueue(Protocol):
    """Wakes the dispatchers."""

    def wake(self, groups: range, *, minute: datetime) -> int:
        """Send a message to each of up to ten groups of shards, one a minute however often called.

        Never raises for want of an answer: what was not surely woken is not counted.

        Returns:
            How many groups were woken.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """When a group of shards was last dispatched."""

    shards: tuple[int, ...]
    at: datetime


class Beats(Protocol):
    """Remembers when each group of shards was last dispatched, for health."""

    def beat(self, beat: Beat) -> None:
        """Record that a dispatch of these shards began."""
        ...

    def beats(self) -> Sequence[Beat]:
        """Return the last beat of every group."""
        ...


class Targets(Protocol):
    """Where the runs' calls go; many at once, side by side."""

    def launch(self, calls: Sequence[Call]) -> None:
        """Start every call, and return at once."""
        ...

    def collect(self, *, wait: timedelta) -> Sequence[tuple[Call, Answer]]:
        """Return the answers that are there.

        Blocks up to `wait` for the first one, and takes along those that end together with it.
        """
        ...

    def abort(self, call: Call, *, leave: bool = False) -> None:
        """Close a call.

        `collect` returns it with error type `aborted`, or with its answer if that came first.

        Args:
            call: One that was launched.
            leave: Whether another attempt goes on with its run: what the call has set going over
                there is that one's by now, and is not stopped.
        """
        ...


class Secrets(Protocol):
    """Where the values of secrets are."""

    def read(self, arn: str) -> str:
        """Return the value of a secret, at most five minutes old. Blocks.

        Raises:
            SecretMissing: There is none.
            SecretUnavailable: It cannot be read now.
            SecretUnusable: It holds no text.
        """
        ...


class Results(Protocol):
    """Where answers lie that are too long for the records of their runs."""

    def put(self, body: bytes) -> str:
        """Keep a body as long as runs are kept, and return its name. Blocks.

        The name follows from the body; putting the same one again keeps it for longer. A name that
        was returned is there: it outlives a crash that comes a moment later.

        Raises:
            StoreUnavailable: It is not surely kept.
        """
        ...

    def get(self, name: str) -> bytes | None:
        """Return a body, or None when it is not there any more. Blocks.

        Raises:
            StoreUnavailable: It cannot be read now.
        """
        ...
