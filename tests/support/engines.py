"""What a contract test needs of an engine.

`embedded_engine` and `aws_engine` beside this open them, each in ways with a `with`: they take a
clock and an empty folder, and yield one `Engine`.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from punctual.ports import (
    Beats,
    GateStore,
    JobStore,
    LogStore,
    Message,
    RequestStore,
    RunQueue,
    RunStore,
    Transact,
    WatchList,
)
from tests.support.clock import FakeClock


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The ports that every engine fills, and what a test does in a host's place."""

    jobs: JobStore
    runs: RunStore
    requests: RequestStore
    gates: GateStore
    logs: LogStore
    watch_list: WatchList
    beats: Beats
    queue: RunQueue
    transact: Transact
    clock: FakeClock
    """The clock that the stores and the queue were given."""
    receive: Callable[[], Sequence[Message]]
    """Take every message of the fast lane that is there to be received now, as an executor does.

    One that was received comes again only after it was hidden.
    """
    pass_time: Callable[[timedelta], None]
    """Let whole seconds pass, for `clock` and for the queue's own clock alike."""
    early_max: timedelta = timedelta(0)
    """A message may come by so much earlier than asked for: the queue counts in such steps."""


OpenEngine = Callable[[FakeClock, Path], AbstractContextManager[Engine]]
