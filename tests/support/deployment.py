"""Every service over one engine, in virtual time: what a deployment does, step by step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from punctual.adapters.dynamodb.transact import one_by_one
from punctual.core.changes import JobSpec
from punctual.core.identity import JobKey, RunKey
from punctual.core.jobs import FAST_TIMEOUT_MAX, Job, Lane, Policy
from punctual.core.records import content_ref
from punctual.core.runs import Run, RunState, cancellation
from punctual.core.schedules import Schedule
from punctual.core.sharding import SHARDS
from punctual.core.watching import Reference, WatchRow
from punctual.ports import DeadLetter, Message, Outgoing
from punctual.services.asking import Asking
from punctual.services.callbacks import Callbacks
from punctual.services.dead_letters import Buried, DeadLetters
from punctual.services.dispatch import Dispatch, Dispatched
from punctual.services.execute import Execute, Handled
from punctual.services.jobs import Jobs, Stored
from punctual.services.skipping import Skipping
from punctual.services.watch import Looked, Watch
from tests.support.builders import HOUR, MINUTE, SECOND, a_content, a_job_key, a_schedule
from tests.support.clock import FakeChance, FakeClock
from tests.support.embedded_engine import memory_engine
from tests.support.engines import Engine
from tests.support.keeping import MemoryResults
from tests.support.mishaps import Calls, Died, counted
from tests.support.virtual_targets import VirtualTargets

EXECUTOR_LIVES = 45 * SECOND
DISPATCH_LIVES = 50 * SECOND
EVERY_SHARD = range(SHARDS)

VISIBILITY = 270 * SECOND
"""When a message that was received comes again, of which nobody said anything."""

LONGEST_CALL = FAST_TIMEOUT_MAX + 5 * SECOND
"""What an executor must have left of its life to start a run."""

JOB = a_job_key()


class LetterBox:
    """Fills `DeadLetterBox`."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def keep(self, letters: Sequence[DeadLetter]) -> Sequence[bool]:
        """See `DeadLetterBox.keep`."""
        self.letters += letters
        return [True] * len(letters)


class CarefulQueue:
    """A run queue that no message leaves too early."""

    def __init__(self, deployment: "Deployment") -> None:
        self._deployment = deployment

    def __getattr__(self, name: str) -> Any:
        return getattr(self._deployment.engine.queue, name)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """See `RunQueue.acknowledge`."""
        for message in messages:
            run = self._deployment.run(message.key)
            assert run is None or run.state.terminal or run.key in self._deployment.watched(), (
                "a message goes when its run is terminal, gone, or watched"
            )
        self._deployment.engine.queue.acknowledge(messages)
        self._deployment.gone |= {message.receipt for message in messages}


API = "https://punctual.example"
"""Where targets reach the API."""


@dataclass(kw_only=True)
class Deployment:
    """The services of one deployment. Every write stands alone, as in the cloud."""

    engine: Engine
    targets: VirtualTargets
    letters: LetterBox = field(default_factory=LetterBox)
    results: MemoryResults = field(default_factory=MemoryResults)
    chance: FakeChance = field(default_factory=FakeChance)
    calls: Calls = field(default_factory=Calls)
    """The calls of the services' ports."""
    replaced: dict[str, Any] = field(default_factory=dict)
    """Ports that are not the engine's, by name."""
    told: list[Run] = field(default_factory=list)
    """Runs that targets reported about."""
    gone: set[str] = field(default_factory=set)
    """Receipts of the messages that were let go."""

    def __post_init__(self) -> None:
        self.replaced["queue"] = CarefulQueue(self)

    def port(self, name: str) -> Any:
        """Return the port that services are given."""
        port = self.replaced.get(name) or getattr(self.engine, name, None) or getattr(self, name)
        return counted(port, name, self.calls)

    def _ports(self, *names: str) -> dict[str, Any]:
        shared = {"clock": self.engine.clock, "chance": self.chance, "transact": one_by_one}
        return {name: shared.get(name) or self.port(name) for name in names}

    def make_dispatch(self) -> Dispatch:
        """Start a dispatcher."""
        stores = self._ports("jobs", "runs", "watch_list", "queue", "beats")
        return Dispatch(**stores, **self._ports("clock", "chance", "transact"))

    def make_watch(self) -> Watch:
        """Start what looks again."""
        stores = self._ports("jobs", "runs", "watch_list", "queue")
        return Watch(**stores, **self._ports("clock", "chance", "transact"))

    def make_execute(self) -> Execute:
        """Start an executor."""
        stores = self._ports("jobs", "runs", "gates", "watch_list", "queue", "targets", "logs")
        shared = self._ports("clock", "chance", "transact")
        return Execute(**stores, **shared, address=lambda: API)

    def make_callbacks(self) -> Callbacks:
        """Start what answers targets that report back."""
        stores = self._ports("jobs", "runs", "logs", "results", "watch_list", "queue")
        return Callbacks(**stores, **self._ports("clock", "chance"), tell=self.told.append)

    def make_dead_letters(self) -> DeadLetters:
        """Start the reader of exhausted messages."""
        return DeadLetters(**self._ports("runs", "watch_list", "letters", "clock", "chance"))

    def make_jobs(self) -> Jobs:
        """Start what answers requests about jobs."""
        ports = self._ports("jobs", "runs", "clock", "transact")
        return Jobs(**ports, dispatch=self.make_dispatch())

    def make_asking(self) -> Asking:
        """Start what answers requests for runs."""
        stores = self._ports("jobs", "runs", "requests", "watch_list", "queue")
        return Asking(**stores, **self._ports("clock", "chance", "transact"))

    def make_skipping(self) -> Skipping:
        """Start what answers requests to leave slots out."""
        stores = self._ports("jobs", "runs", "watch_list")
        return Skipping(**stores, **self._ports("clock", "chance", "transact"))

    # What the world does.

    @property
    def now(self) -> datetime:
        """The present."""
        return self.engine.clock.now()

    def at(self, now: datetime) -> "Deployment":
        """Move the clock, and nothing else."""
        self.engine.clock.set(now)
        return self

    def dispatch(self) -> Dispatched:
        """Visit every job that is due."""
        return self.make_dispatch()(EVERY_SHARD, deadline=self.now + DISPATCH_LIVES)

    def look(self) -> Looked:
        """Deal with every watch row that is due."""
        return self.make_watch()(EVERY_SHARD, deadline=self.now + DISPATCH_LIVES)

    def execute(self, messages: Sequence[Message] | None = None) -> Handled:
        """Give messages to an executor; without any, those that are there to be received."""
        now = self.now
        return self.make_execute()(
            self.engine.receive() if messages is None else messages,
            deadline=now + EXECUTOR_LIVES - LONGEST_CALL,
            lives_until=now + EXECUTOR_LIVES,
        )

    def bury(self, messages: Sequence[Message]) -> Buried:
        """Give exhausted messages to their reader."""
        return self.make_dead_letters()([(m, f"about {m.key.run_id}") for m in messages])

    def run_until(self, end: datetime, *, ticks: bool = True, messages: bool = True) -> None:
        """Let time pass: a tick each minute, and every message executed within its second."""
        while self.now < end:
            if ticks and self.now.replace(microsecond=0).second == 0:
                self.dispatch()
                self.look()
            received = self.engine.receive() if messages else []
            for first in range(0, len(received), 10):
                self.execute(received[first : first + 10])
            following = self.now.replace(microsecond=0) + SECOND
            self.engine.clock.set(min(following, end))

    # What users do.

    def create(
        self, schedule: Schedule | None = None, *, key: JobKey = JOB, **policy: Any
    ) -> Stored:
        """Create a job."""
        spec = a_spec(schedule, **policy)
        return self.make_jobs().create(key, spec, fingerprint="f" * 64, repeatable=False)

    def edit(self, schedule: Schedule | None = None, *, key: JobKey = JOB, **policy: Any) -> Stored:
        """Write another definition of a job."""
        spec = a_spec(schedule, **policy)
        return self.make_jobs().put(key, spec, fingerprint="f" * 64, if_match=None)

    def pause(self, key: JobKey = JOB) -> None:
        """Pause a job."""
        self.make_jobs().pause(key, note=None)

    def resume(self, key: JobKey = JOB) -> None:
        """Let a job go on."""
        self.make_jobs().resume(key)

    def delete(self, key: JobKey = JOB) -> None:
        """Delete a job."""
        self.make_jobs().delete(key, if_match=None)

    def cancel(self, run: RunKey) -> None:
        """Cancel a run."""
        move = cancellation(self.engine.runs.read([run])[run], now=self.now)
        assert move is not None, "a run is cancelled that awaits its outcome"
        assert self.engine.runs.move([move])[0].applied

    # What is stored.

    def store(self, job: Job) -> Job:
        """Store a job as it is, with a content."""
        content = a_content()
        assert job.content == content_ref(content), "every job of `a_job` has this content"
        self.engine.jobs.put_content(job.key, job.content, content)
        assert self.engine.jobs.create(job) is None
        return job

    def job(self, key: JobKey = JOB) -> Job:
        """Return a job as it stands."""
        return self.engine.jobs.read([key])[key]

    def runs(self, key: JobKey = JOB, *, incarnation: int = 1) -> list[Run]:
        """Return the rows of a job's runs, earliest slot first."""
        rows = self.engine.runs.list(key, incarnation=incarnation, before=None, limit=100_000)
        return sorted(rows, key=lambda run: run.scheduled_at)

    def states(self, key: JobKey = JOB, *, incarnation: int = 1) -> dict[datetime, RunState]:
        """Return the state of every run, by slot."""
        return {run.scheduled_at: run.state for run in self.runs(key, incarnation=incarnation)}

    def run(self, key: RunKey) -> Run | None:
        """Return a run as it stands."""
        return self.engine.runs.read([key]).get(key)

    def watched(self) -> dict[RunKey, datetime]:
        """Return every run that is watched, and the minute of its first look."""
        looks: dict[RunKey, datetime] = {}
        for row in self.watch_rows():
            for reference in row.references:
                looks[reference.key] = min(row.minute, looks.get(reference.key, row.minute))
        return looks

    def watch_rows(self) -> list[WatchRow]:
        """Return every watch row."""
        pages = self.engine.watch_list.due(EVERY_SHARD, now=self.now + 400 * 24 * 60 * MINUTE)
        return [row for page in pages for row in page]

    def watch(self, *keys: RunKey, at: datetime, schedule_revision: int = 1) -> None:
        """Note runs down to be looked at."""
        references = tuple(Reference(key, schedule_revision) for key in keys)
        row = WatchRow(shard=7, minute=at, row_id=self.chance.token(), references=references)
        assert self.engine.watch_list.add([row]) == [True]

    def send(self, *keys: RunKey) -> None:
        """Send messages about runs, for their slots or for now."""
        now = self.now
        messages = [Outgoing(key=k, lane=Lane.FAST, at=max(k.slot or now, now)) for k in keys]
        assert all(self.engine.queue.send(messages))

    def carry_out(self, messages: Sequence[Message]) -> None:
        """Deliver messages until all of them are gone, to a new executor where one dies."""
        receipts = {message.receipt for message in messages}
        visible, end = list(messages), self.now + 2 * HOUR
        while not receipts <= self.gone:
            assert self.now < end, "a message stays for ever"
            try:
                self.execute(visible)
                visible = []
            except Died:
                self.targets.drop()
                self.engine.clock.advance(VISIBILITY)
                visible = [message for message in visible if message.receipt not in self.gone]
            self.engine.clock.advance(SECOND)
            visible += self.engine.receive()

    def messages_until(self, end: datetime) -> list[tuple[datetime, RunKey]]:
        """Receive what there is until `end`, to the second; the clock stands there then."""
        received: list[tuple[datetime, RunKey]] = []
        while self.now <= end:
            received += [(self.now, message.key) for message in self.engine.receive()]
            self.engine.clock.advance(SECOND)
        self.engine.clock.set(end)
        return received


def a_spec(schedule: Schedule | None = None, **policy: Any) -> JobSpec:
    """Return what a user wants: at first one run each minute."""
    return JobSpec(schedule=schedule or a_schedule(), policy=Policy(**policy), content=a_content())


@contextmanager
def a_deployment(folder: Path, **parts: Any) -> Iterator[Deployment]:
    """Deploy the services over an empty engine, at nine."""
    clock = FakeClock()
    with memory_engine(clock, folder) as engine:
        yield Deployment(engine=engine, targets=VirtualTargets(clock), **parts)
