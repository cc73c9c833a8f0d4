"""Wake every shard, once a minute."""

from datetime import datetime, timedelta

from punctual.core.errors import StoreUnavailable
from punctual.ports import Clock, ShardQueue

GROUPS_AT_ONCE = 10
"""Groups of shards that are woken with one request."""

PAUSE = timedelta(seconds=5)
"""Between two requests. Dispatchers hand over within seconds what executors take a minute to start,
from partitions that both need: woken one after the other, they leave room. A stage that has 64
groups is woken within half a minute, one that has up to ten at once."""


class Tick:
    """The one-minute pass: one message for every group of shards."""

    def __init__(self, *, shards: ShardQueue, groups: int, clock: Clock) -> None:
        """Take the queue.

        Args:
            shards: Where dispatchers are woken.
            groups: How many groups of shards there are.
            clock: Waits between requests.
        """
        self._shards = shards
        self._groups = range(groups)
        self._clock = clock

    def __call__(self, *, minute: datetime) -> int:
        """Wake the shards for `minute`; a doubled tick is the same tick and wakes none twice.

        Returns:
            How many groups of shards were woken.

        Raises:
            StoreUnavailable: Not every group was woken; the others were.
        """
        woken = 0
        for first in self._groups[::GROUPS_AT_ONCE]:
            if first:
                self._clock.sleep(PAUSE)
            woken += self._shards.wake(self._groups[first : first + GROUPS_AT_ONCE], minute=minute)
        if woken < len(self._groups):
            raise StoreUnavailable(f"{len(self._groups) - woken} groups of shards were not woken")
        return woken
