"""A job: its schedule, its target, its policies, and where its pointer stands."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from punctual.core.aws_targets import AwsTarget
from punctual.core.identity import JobKey
from punctual.core.limits import Limit
from punctual.core.retry import RetryPolicy
from punctual.core.schedules import Schedule
from punctual.core.sharding import shard_of


class JobState(StrEnum):
    """Where a job's life stands."""

    ACTIVE = "active"
    PAUSED = "paused"
    """No run starts; slots up to `paused_at` are still owed an outcome."""
    ENDED = "ended"
    """No slot follows the last one handed over; a change of the schedule may bring it back."""
    DELETED = "deleted"
    """A tombstone, kept so that a late repeat of the create does not bring the job back."""


class CatchUp(StrEnum):
    """Which of the slots that came due during an outage or a pause still run."""

    ALL = "all"
    LATEST = "latest"
    NONE = "none"


class Overlap(StrEnum):
    """What happens to a slot whose job still has a run going."""

    ALLOW = "allow"
    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    CANCEL_OTHER = "cancel_other"


class Delivery(StrEnum):
    """What a death in the middle of a call leads to."""

    AT_LEAST_ONCE = "at_least_once"
    """Another attempt with the same key."""
    AT_MOST_ONCE = "at_most_once"
    """No other attempt; the outcome is `unknown`."""


class Lane(StrEnum):
    """Which executors a run goes to; each lane has its own queue."""

    FAST = "fast"
    SLOW = "slow"


FAST_TIMEOUT_MAX = timedelta(seconds=30)
"""The longest attempt of the fast lane: its executors live 45 s, of which one call gets 30."""

SLOW_TIMEOUT_MAX = timedelta(seconds=840)
"""The longest attempt of the slow lane: its executors live 15 min, of which one call gets 14."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTarget:
    """An HTTP request, as the user wrote it: templates are filled for each attempt."""

    url: str
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    """JSON text when `body_is_json`, else the body itself; None for no body."""
    body_is_json: bool = True
    secret_arn: str | None = None
    """A secret that is sent in a header of its own; see `core.secrets`."""
    signing_secret_arn: str | None = None
    """A secret that the call is signed with; see `core.signing`."""
    success_codes: tuple[str, ...] = ("2xx",)
    """Status codes (`204`) and classes (`2xx`) that count as success."""
    completion: str = "response"
    """`response`: the answer is the outcome; `callback`: it only accepts the work."""


Target = HttpTarget | AwsTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What only the call needs: kept apart from the job, so that the job stays within 1 KB."""

    target: Target
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a job's runs are carried out."""

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: timedelta = timedelta(seconds=30)
    """Total time of one attempt's call."""
    heartbeat: timedelta | None = None
    """The longest silence of an attempt that awaits its callback; None: as `core.callbacks` has."""
    start_deadline: timedelta = timedelta(seconds=3600)
    """A run that would start later than this after its slot is `missed`."""
    catch_up: CatchUp = CatchUp.ALL
    overlap: Overlap = Overlap.ALLOW
    delivery: Delivery = Delivery.AT_LEAST_ONCE
    limits: tuple[Limit, ...] = ()
    """Shared with every job of the tenant that names the same key; each key once."""

    @property
    def lane(self) -> Lane:
        """The lane whose executors live long enough for one attempt."""
        return Lane.FAST if self.timeout <= FAST_TIMEOUT_MAX else Lane.SLOW

    @property
    def attempts(self) -> int:
        """How many attempts a run is pinned to when it is handed over."""
        return 1 if self.delivery is Delivery.AT_MOST_ONCE else self.retry.max_attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """From when on a revision of the schedule is in force."""

    schedule_revision: int
    since: datetime | None = None
    """In force for slots strictly later than this; None: from the job's first slot on."""
    begins: datetime | None = None
    """Names slots strictly later than this only; None: all later than `since`. What lies between
    the two is nobody's: a revision was in force there that named no slot."""


TOMBSTONE_KEPT = timedelta(days=90)
"""How long a deleted job's id remembers that it was used; its contents go with it."""

EPOCHS_MAX = 16
"""A job that needs all its epochs takes no further change of its slots until one may go."""

EPOCH_KEPT = timedelta(days=14)
"""No run is open longer than this after its slot, so none asks for an epoch that ended before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueJob:
    """What a visit needs of a job, and the due index carries."""

    key: JobKey
    incarnation: int = 1
    """Which life of the job id this is; it is part of every run's key."""
    revision: int = 1
    """Grows with every change by a user, over re-creation too; the ETag."""
    schedule_revision: int = 1
    """Grows with every change of the slot set."""
    state: JobState = JobState.ACTIVE
    schedule: Schedule
    policy: Policy = Policy()
    next_slot: datetime | None
    """The pointer: first slot not yet handed over; None when no slot follows."""
    ordinal: int = 0
    """Slots handed over so far; `max_runs` bounds it."""
    resumed_at: datetime | None = None
    """When the last pause ended: `catch_up` bounds what came due before it."""
    created_at: datetime

    @property
    def shard(self) -> int:
        """The shard whose dispatch visits this job."""
        return shard_of(self.key.tenant, self.key.job_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(DueJob):
    """The definition, and the pointer that says which slots were handed over."""

    epochs: tuple[Epoch, ...] = (Epoch(schedule_revision=1),)
    """Oldest first; the last is the schedule's own."""
    name: str | None = None
    content: str
    """Digest of the job's `Content`, which is stored under it."""
    fingerprint: str = ""
    """Digest of the request that created the job; a repeat of the create must match it."""
    last_slot: datetime | None = None
    """The last slot handed over, once none follows."""
    paused_at: datetime | None = None
    """When the pause began: slots up to it are owed, later ones are not handed over."""
    pause_note: str | None = None
    updated_at: datetime

    @property
    def due_at(self) -> datetime | None:
        """Where the job stands in the due index: at its pointer while active, else nowhere."""
        return self.next_slot if self.state is JobState.ACTIVE else None

    def in_force(self, slot: datetime) -> int | None:
        """Return the schedule revision that may name `slot`; None for nobody's, or forgotten."""
        for epoch in reversed(self.epochs):
            if epoch.since is None or slot > epoch.since:
                is_named = epoch.begins is None or slot > epoch.begins
                return epoch.schedule_revision if is_named else None
        return None

    def state_at(self, now: datetime) -> JobState:
        """Return the state a user sees: a job ends when its last slot is past, not handed over."""
        if self.state is JobState.ENDED and self.last_slot is not None and self.last_slot > now:
            return JobState.ACTIVE
        return self.state

    def starts_by(self, slot: datetime) -> datetime:
        """Return the latest start of the run at `slot`; one before the creation counts from it."""
        return max(slot, self.created_at) + self.policy.start_deadline

    def with_pointer(self, next_slot: datetime | None, *, ordinal: int) -> "Job":
        """Return the job with its pointer elsewhere, `ended` or active again to match."""
        state = self.state
        if state is JobState.ACTIVE and next_slot is None:
            state = JobState.ENDED
        elif state is JobState.ENDED and next_slot is not None:
            state = JobState.ACTIVE
        return replace(self, next_slot=next_slot, ordinal=ordinal, state=state)
