"""The embedded engine, opened for tests: in memory, or in a file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from punctual.adapters.sqlite.engine import SqliteEngine, Synchronous
from punctual.ports import Message
from tests.support.clock import FakeClock
from tests.support.engines import Engine

EVERYTHING = 1_000_000


@contextmanager
def memory_engine(clock: FakeClock, _: Path) -> Iterator[Engine]:
    """Open an empty engine in memory; its folder stays empty."""
    with SqliteEngine.in_memory(clock=clock) as engine:
        yield engine_of(engine, clock=clock)


@contextmanager
def file_engine(clock: FakeClock, home: Path) -> Iterator[Engine]:
    """Open the engine over the data in `home`, as an earlier opening left it."""
    with SqliteEngine.open(home, clock=clock, synchronous=Synchronous.NORMAL) as engine:
        yield engine_of(engine, clock=clock)


def engine_of(engine: SqliteEngine, *, clock: FakeClock) -> Engine:
    """Return the engine as tests of any engine take it."""

    def receive() -> Sequence[Message]:
        return engine.queue.receive(now=clock.now(), limit=EVERYTHING)

    def pass_time(duration: timedelta) -> None:
        clock.advance(duration)

    return Engine(
        jobs=engine.jobs,
        runs=engine.runs,
        requests=engine.requests,
        gates=engine.gates,
        logs=engine.logs,
        watch_list=engine.watch_list,
        beats=engine.beats,
        queue=engine.queue,
        transact=engine.transact,
        clock=clock,
        receive=receive,
        pass_time=pass_time,
    )
