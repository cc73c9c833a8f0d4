"""The services over the embedded engine in memory, and targets that a test answers for."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Condition

from punctual.adapters.sqlite.engine import SqliteEngine
from punctual.core.calls import Answer, Call, CallError, ErrorType
from punctual.core.changes import JobSpec
from punctual.core.identity import JobKey, RunKey
from punctual.core.jobs import Policy
from punctual.core.runs import Run
from punctual.core.schedules import At, Schedule
from punctual.local.terminal import Terminal
from punctual.services.dispatch import Dispatch
from punctual.services.execute import Execute
from punctual.services.jobs import Jobs
from punctual.services.watch import Watch
from tests.support.builders import a_content
from tests.support.clock import FakeChance, FakeClock

PATIENCE = 10.0
"""Real seconds after which a test gives up on another thread."""


class FakeTargets:
    """Fills `Targets`: calls hang until a test answers them."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._answers: list[tuple[Call, Answer]] = []
        self._woken = False
        self.launched: list[Call] = []
        self.waits: list[timedelta] = []
        """How long each `collect` was asked to wait."""

    def launch(self, calls: Sequence[Call]) -> None:
        with self._changed:
            self.launched += calls
            self._changed.notify_all()

    def collect(self, *, wait: timedelta) -> Sequence[tuple[Call, Answer]]:
        with self._changed:
            self.waits.append(wait)
            self._changed.notify_all()
            if wait > timedelta(0):
                self._changed.wait_for(lambda: self._answers or self._woken, PATIENCE)
            answers, self._answers, self._woken = self._answers, [], False
            return answers

    def abort(self, call: Call, *, leave: bool = False) -> None:  # noqa: ARG002
        self.answer(call, Answer(error=CallError(type=ErrorType.ABORTED, message="aborted")))

    def wake(self) -> None:
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def answer(self, call: Call, answer: Answer) -> None:
        with self._changed:
            self._answers.append((call, answer))
            self._changed.notify_all()

    def wait_for_calls(self, count: int) -> list[Call]:
        """Return the calls launched so far, once there are so many."""
        self.wait_until(lambda: len(self.launched) >= count)
        return list(self.launched)

    def wait_until_it_waits(self, wait: timedelta) -> None:
        """Return once an answer is waited for so long."""
        self.wait_until(lambda: self.waits[-1:] == [wait])

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return once a condition on what was launched or waited holds."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE)


@dataclass(kw_only=True)
class Parts:
    """What one host is made of."""

    clock: FakeClock
    engine: SqliteEngine
    jobs: Jobs
    dispatch: Dispatch
    watch: Watch
    execute: Execute
    targets: FakeTargets
    terminal: Terminal
    out: io.StringIO
    faults: list[BaseException] = field(default_factory=list)

    def create(self, job_id: str, *, at: datetime) -> RunKey:
        """Create a job that runs once, and return the key of its run."""
        key = JobKey("default", job_id)
        spec = JobSpec(
            schedule=Schedule(rule=At(at=at)), content=a_content(), policy=Policy(), name=None
        )
        self.jobs.put(key, spec, fingerprint="f", if_match=None)
        return RunKey.of_slot(key, incarnation=1, slot=at)

    def run(self, key: RunKey) -> Run:
        return self.engine.runs.read([key])[key]

    def lines(self) -> list[str]:
        """Return what was printed, once all of it is."""
        self.terminal.finish(within=PATIENCE)
        return self.out.getvalue().splitlines()


@contextmanager
def parts() -> Iterator[Parts]:
    """Make the parts of a host whose engine is empty, at nine."""
    clock, chance, targets, out = FakeClock(), FakeChance(), FakeTargets(), io.StringIO()
    terminal = Terminal(out)
    terminal.start()
    with SqliteEngine.in_memory(clock=clock) as engine:
        dispatch = Dispatch(
            jobs=engine.jobs,
            runs=engine.runs,
            watch_list=engine.watch_list,
            queue=engine.queue,
            beats=engine.beats,
            clock=clock,
            chance=chance,
            transact=engine.transact,
        )
        engine.queue.listen(targets.wake)
        yield Parts(
            clock=clock,
            engine=engine,
            jobs=Jobs(
                jobs=engine.jobs,
                runs=engine.runs,
                dispatch=dispatch,
                clock=clock,
                transact=engine.transact,
            ),
            dispatch=dispatch,
            watch=Watch(
                jobs=engine.jobs,
                runs=engine.runs,
                watch_list=engine.watch_list,
                queue=engine.queue,
                clock=clock,
                chance=chance,
                transact=engine.transact,
            ),
            execute=Execute(
                jobs=engine.jobs,
                runs=engine.runs,
                gates=engine.gates,
                watch_list=engine.watch_list,
                queue=engine.queue,
                targets=targets,
                clock=clock,
                chance=chance,
                transact=engine.transact,
                logs=engine.logs,
                address=lambda: "http://127.0.0.1:8400",
            ),
            targets=targets,
            terminal=terminal,
            out=out,
        )
        terminal.finish(within=PATIENCE)
