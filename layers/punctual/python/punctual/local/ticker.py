"""The minute tick on one machine: a thread that visits every job and looks again at every run."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from punctual.core.sharding import SHARDS
from punctual.local.terminal import Terminal
from punctual.ports import Clock
from punctual.services.dispatch import Dispatch
from punctual.services.watch import Watch

PERIOD = timedelta(minutes=1)

GLANCE = timedelta(seconds=1)
"""How often the thread looks at the clock: one that was set, or a machine that slept, must not keep
a tick waiting."""

STRETCH = timedelta(seconds=2)
"""How long a tick works before it asks whether it is to stop."""

EVERY_SHARD = range(SHARDS)


class TickerThread(threading.Thread):
    """Ticks at once and then once a minute, until it is stopped."""

    def __init__(
        self,
        *,
        dispatch: Dispatch,
        watch: Watch,
        sweep: Callable[[datetime], object],
        clock: Clock,
        terminal: Terminal,
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__(name="ticker", daemon=True)
        self._dispatch = dispatch
        self._watch = watch
        self._sweep = sweep
        self._clock = clock
        self._terminal = terminal
        self._failed = failed
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Tick no more."""
        self._stopped.set()

    def run(self) -> None:
        """Tick until stopped; a fault ends the whole host."""
        try:
            while not self._stopped.is_set():
                began = self._clock.now()
                self.tick()
                while not is_due(self._clock.now(), last=began):
                    if self._stopped.wait(GLANCE.total_seconds()):
                        return
        except BaseException as error:  # noqa: BLE001 - handed to the thread that can stop the host
            self._failed(error)

    def tick(self) -> None:
        """Visit every job that is due, look at every run that is to be looked at, and sweep."""
        for work in (self._visit, self._look):
            while not self._stopped.is_set() and not work(self._clock.now() + STRETCH):
                pass
        self._sweep(self._clock.now())

    def _visit(self, deadline: datetime) -> bool:
        dispatched = self._dispatch(EVERY_SHARD, deadline=deadline)
        self._terminal.say(
            *(f"{key.job_id} is paused: {reason}" for key, reason in dispatched.parked.items())
        )
        return dispatched.finished

    def _look(self, deadline: datetime) -> bool:
        looked = self._watch(EVERY_SHARD, deadline=deadline)
        if looked.ended:
            self._terminal.say(
                f"runs that nobody held any more, and have their outcome now: {looked.ended}"
            )
        return looked.finished


def is_due(now: datetime, *, last: datetime) -> bool:
    """Say whether a tick is due that follows the one at `last`; a clock set back makes it due."""
    return not last <= now < last + PERIOD
