"""Runs on one machine: a thread that starts each run at its instant and settles what ends."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from punctual.local.terminal import Terminal
from punctual.ports import Clock, Message
from punctual.services.execute import Execute, Handled

TAKEN_AT_ONCE = 250
"""Runs started in one transaction; more would keep the first of them waiting for the last."""

HELD_MAX = 5_000
"""Calls going on at once; runs due beyond them wait in the queue."""

LEASE = timedelta(minutes=15)
"""Longer than any attempt may take. A lease is of no use here while its process lives, and one of
an earlier process counts as ended at once."""

GLANCE = timedelta(seconds=1)
"""How long the thread waits at most before it looks at the clock: one that was set, or a machine
that slept, must not keep a run waiting. New messages and answers wake it at once."""

LATE = timedelta(milliseconds=1)
"""How late a wait may end: the clock tells whole milliseconds, and so do a loop's timers. So it
ends that much before the instant, and the thread looks at the clock each `MOMENT` from then on."""

MOMENT = timedelta(microseconds=250)


class LocalQueue(Protocol):
    """What the thread needs of the engine's queue."""

    def receive(self, *, now: datetime, limit: int) -> list[Message]:
        """Return messages whose instant has come, earliest first, each once until it is hidden."""
        ...

    def next_at(self) -> datetime | None:
        """Return the instant of the earliest message that was not received."""
        ...


class ExecutorThread(threading.Thread):
    """Feeds one `Execute` from the queue until it is stopped."""

    def __init__(
        self,
        *,
        execute: Execute,
        queue: LocalQueue,
        clock: Clock,
        terminal: Terminal,
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__(name="executor", daemon=True)
        self._execute = execute
        self._queue = queue
        self._clock = clock
        self._terminal = terminal
        self._failed = failed
        self._drain_until: datetime | None = None

    @property
    def busy(self) -> int:
        """How many runs are going on."""
        return self._execute.busy

    def drain(self, *, until: datetime) -> None:
        """Start nothing more, and end when what is going on has ended, at `until` at the latest.

        What is still going on then is taken over by the next process.
        """
        self._drain_until = until

    def run(self) -> None:
        """Work until drained; a fault ends the whole host."""
        try:
            while not self._drained():
                self._work()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that can stop the host
            self._failed(error)

    def _drained(self) -> bool:
        if self._drain_until is None:
            return False
        return not self._execute.busy or self._clock.now() >= self._drain_until

    def _work(self) -> None:
        if self._drain_until is None:
            room = min(TAKEN_AT_ONCE, HELD_MAX - self._execute.busy)
            now = self._clock.now()
            messages = self._queue.receive(now=now, limit=room) if room > 0 else []
            if messages:
                self._show(self._execute.take(messages, lives_until=now + LEASE))
        self._show(self._execute.step(wait=self._pause()))

    def _pause(self) -> timedelta:
        """Return how long to wait for an answer before something else is to be done."""
        if self._drain_until is not None:
            return min(self._drain_until - self._clock.now(), GLANCE)
        if self._execute.busy >= HELD_MAX:
            return GLANCE
        upcoming = self._queue.next_at()
        if upcoming is None:
            return GLANCE
        left = upcoming - self._clock.now()
        if left <= timedelta(0):
            return timedelta(0)
        return min(max(left - LATE, MOMENT), GLANCE)

    def _show(self, handled: Handled) -> None:
        self._terminal.runs(*handled.ended, *handled.retrying, *handled.held)
