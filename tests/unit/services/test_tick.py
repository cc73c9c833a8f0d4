"""A tick wakes every shard."""

from datetime import datetime

from punctual.services.tick import Tick
from tests.support.clock import NINE


class Shards:
    """Fills `ShardQueue` with four groups."""

    def __init__(self) -> None:
        self.minutes: list[datetime] = []

    def wake(self, *, minute: datetime) -> int:
        """See `ShardQueue.wake`."""
        self.minutes.append(minute)
        return 4


def test_a_tick_wakes_every_group_for_its_own_minute_and_says_how_many() -> None:
    shards = Shards()

    assert Tick(shards=shards)(minute=NINE) == 4
    assert shards.minutes == [NINE]
