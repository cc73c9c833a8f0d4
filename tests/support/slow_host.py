"""A host in virtual time that takes runs up while others are still called."""

from datetime import datetime, timedelta

from tests.support.builders import MINUTE
from tests.support.deployment import Deployment

LIFE = 15 * MINUTE
"""How long the host is sure to live."""

GLANCE = timedelta(milliseconds=100)
"""How often it looks into its queue."""


class SlowHost:
    """One executor over a deployment, as on one machine; there may be several."""

    def __init__(self, deployed: Deployment) -> None:
        self._deployed = deployed
        self._executor = deployed.make_execute()

    def until(self, end: datetime) -> None:
        """Let time pass, and work."""
        clock = self._deployed.engine.clock
        while clock.now() < end:
            received = self._deployed.engine.receive()
            if received:
                self._executor.take(received, lives_until=clock.now() + LIFE)
            following = min(clock.now() + GLANCE, end)
            while clock.now() < following:
                self._executor.step(wait=following - clock.now())
