"""Wake every shard, once a minute."""

from datetime import datetime

from punctual.ports import ShardQueue


class Tick:
    """The one-minute pass: one message for every group of shards."""

    def __init__(self, *, shards: ShardQueue) -> None:
        self._shards = shards

    def __call__(self, *, minute: datetime) -> int:
        """Wake the shards for `minute`; a doubled tick is the same tick and wakes none twice.

        Returns:
            How many groups of shards were woken.
        """
        return self._shards.wake(minute=minute)
