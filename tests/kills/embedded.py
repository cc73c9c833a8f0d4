"""The host on one machine, killed whole and started again, or held for a while."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from tests.kills.judge import Stop
from tests.support.host import Api, Host

LIVES_SECONDS = 2.0
"""How long a host lives between two kills, at most."""

HELD_SECONDS = 2.0
"""How long a host is held, at most."""

HELD = 0.25
"""Share of the lives in which it is held once."""

SECONDS_PER_KILL = 2.2
"""About what a life and a start take."""

RECOVERED_WITHIN_SECONDS = 120.0


@dataclass
class Embedded:
    """A host and what was done to it; no other process takes over what it leaves."""

    host: Host
    stops: list[Stop] = field(default_factory=list)
    lease_least: None = None
    seconds_per_kill: float = SECONDS_PER_KILL
    recovered_within: float = RECOVERED_WITHIN_SECONDS

    @property
    def api(self) -> Api:
        """The API of the host that lives now."""
        return self.host.api

    def kill(self, kills: int, dice: Random) -> Iterator[None]:
        """Kill it so often, and yield after each start."""
        for _ in range(kills):
            time.sleep(dice.uniform(0, LIVES_SECONDS))
            if dice.random() < HELD:
                self._hold(dice.uniform(0, HELD_SECONDS))
                time.sleep(dice.uniform(0, 0.3))
            self.host.kill()
            self.host.start()
            yield

    def calm(self) -> None:
        """Do nothing more to it."""

    def _hold(self, seconds: float) -> None:
        since = datetime.now(UTC)
        self.host.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.host.process.send_signal(signal.SIGCONT)
        self.stops.append(Stop(since=since, until=datetime.now(UTC)))


@contextmanager
def embedded(folder: Path) -> Iterator[Embedded]:
    """Run a host over an empty home in `folder`."""
    host = Host(folder / "home", folder / "output").start()
    try:
        yield Embedded(host)
    finally:
        host.kill()
