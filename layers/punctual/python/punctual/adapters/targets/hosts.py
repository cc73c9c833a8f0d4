"""Which hosts are there, as far as the calls of this process know."""

import asyncio

from punctual.core.breaker import WELL, Health

REMEMBERED_MAX = 4_096
"""Hosts that something speaks against; beyond them the one that was written down first is
forgotten, and called again."""


class HostDown(Exception):
    """The host is left alone for now; the message names it."""

    def __init__(self, host: str, *, again_in: float) -> None:
        super().__init__(f"{host} takes no connections")
        self.again_in = again_in
        """Seconds until it may be worth a try."""


class Hosts:
    """Keeps calls from hosts that are not there. Belongs to one event loop."""

    def __init__(self) -> None:
        self._health: dict[str, Health] = {}

    def admit(self, host: str) -> bool:
        """Let a call go to a host, which is named with its port.

        Returns:
            Whether it is the one call that finds out whether a host that was down is back.

        Raises:
            HostDown: The host is left alone for now, or another call finds out.
        """
        health = self._health.get(host)
        if health is None:
            return False
        now = asyncio.get_running_loop().time()
        wait = health.wait(now)
        if wait is not None:
            raise HostDown(host, again_in=wait)
        self._health[host] = health.calling(now)
        return self._health[host].probed_at is not None

    def answered(self, host: str) -> None:
        """Take note that a host gave a sign of life, be it an error."""
        self._health.pop(host, None)

    def found_nobody(self, host: str) -> None:
        """Take note that a call which was let go to a host found nobody."""
        now = asyncio.get_running_loop().time()
        self._health[host] = self._health.get(host, WELL).found_nobody(now)
        if len(self._health) > REMEMBERED_MAX:
            del self._health[next(iter(self._health))]
