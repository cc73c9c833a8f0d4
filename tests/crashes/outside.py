"""What outlives a process: the world's time, what users were told, what targets saw, the files."""

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tests.crashes.statements import Files
from tests.crashes.stories import BEGINS, Json

NOT_FOUND = 404


@dataclass(slots=True, kw_only=True)
class Wish:
    """Something a user asked for, and what came of it."""

    job: str
    verb: str
    body: Json | None
    called_at: int
    sent: int = 0
    """How often: whoever gets no answer asks again."""
    answered_at: int | None = None
    status: int | None = None
    answered_after: int | None = None
    """How many commits there were when the answer came."""

    @property
    def granted(self) -> bool:
        """Whether the user was told that it is done."""
        if self.status is None:
            return False
        # A delete whose first answer was lost finds nothing when it is repeated.
        return self.status < 300 or (
            self.verb == "delete" and self.status == NOT_FOUND and self.sent > 1
        )


class Called(NamedTuple):
    """A call as the target saw it."""

    number: int
    job: str
    run: str
    attempt: int
    key: str
    slot: str
    at: int
    boot: int


class RunKey(NamedTuple):
    """Which row."""

    job: str
    incarnation: int
    name: str

    @property
    def run_id(self) -> str:
        """The run's id, as targets and users know it."""
        life = "" if self.incarnation == 1 else f"~{self.incarnation}"
        return f"{self.job}{life}.{self.name}"


class RunRow(NamedTuple):
    """What is stored of a run, as far as somebody cares here."""

    scheduled_at: int
    schedule_revision: int
    state: str
    attempt: int
    max_attempts: int
    owner: str | None
    cancel_requested_at: int | None
    finished_at: int | None
    finished_by: str | None
    reason: str | None
    status_code: int | None
    error_type: str | None
    expires_at: int | None

    @property
    def is_open(self) -> bool:
        """Whether it has no outcome yet."""
        return self.state in {"queued", "running", "retrying"}


class JobRow(NamedTuple):
    """What is stored of a job."""

    incarnation: int
    schedule_revision: int
    state: str
    next_slot: int | None
    ordinal: int


class View(NamedTuple):
    """What is committed."""

    runs: dict[RunKey, RunRow]
    jobs: dict[str, JobRow]
    messages: dict[int, RunKey]
    watched: frozenset[RunKey]
    watch_minutes: tuple[int, ...]


NOTHING = View({}, {}, {}, frozenset(), ())


@dataclass(kw_only=True)
class Outside:
    """What a process finds as it begins, and changes as it goes on."""

    now: int = BEGINS
    boots: int = 0
    files: Files = field(default_factory=dict)
    steps_done: dict[str, int] = field(default_factory=dict)
    """Of each user."""
    wishes: list[Wish] = field(default_factory=list)
    calls: list[Called] = field(default_factory=list)
    over: dict[int, str] = field(default_factory=dict)
    """How calls ended, by their numbers."""
    commits: int = 0
    committed: View = NOTHING
    started_after: dict[tuple[str, int], int] = field(default_factory=dict)
    """For each run and attempt how many commits there were when its start was one of them."""
    ended: dict[RunKey, RunRow] = field(default_factory=dict)
    attempts: dict[RunKey, int] = field(default_factory=dict)

    def copy(self) -> "Outside":
        """Return what another future can begin from."""
        return replace(
            self,
            steps_done=dict(self.steps_done),
            wishes=[replace(wish) for wish in self.wishes],
            calls=list(self.calls),
            over=dict(self.over),
            started_after=dict(self.started_after),
            ended=dict(self.ended),
            attempts=dict(self.attempts),
        )

    def mark(self, files: Files) -> Any:
        """Return what tells this world, with these files, from others of the same story."""
        return (
            self.now,
            len(self.calls),
            len(self.over),
            tuple((wish.sent, wish.status) for wish in self.wishes),
            tuple(sorted(files.items())),
        )

    def wish_of(self, job: str) -> Wish | None:
        """Return what a user asked for and got no answer to; None when there is none."""
        return next((w for w in self.wishes if w.job == job and w.answered_at is None), None)
