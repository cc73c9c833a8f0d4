"""A tick wakes every shard."""

from datetime import datetime, timedelta

import pytest

from punctual.core.errors import StoreUnavailable
from punctual.services.tick import PAUSE, Tick
from tests.support.clock import NINE, FakeClock


class Shards:
    """Fills `ShardQueue`, and notes when it was asked to wake whom."""

    def __init__(self, clock: FakeClock, *, deaf: range = range(0)) -> None:
        self.woken: list[tuple[timedelta, range, datetime]] = []
        self._clock = clock
        self._deaf = deaf

    def wake(self, groups: range, *, minute: datetime) -> int:
        """See `ShardQueue.wake`."""
        self.woken.append((self._clock.now() - NINE, groups, minute))
        return 0 if groups == self._deaf else len(groups)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NINE)


def test_a_tick_wakes_every_group_for_its_own_minute_and_says_how_many(clock: FakeClock) -> None:
    shards = Shards(clock)

    assert Tick(shards=shards, groups=4, clock=clock)(minute=NINE) == 4
    assert shards.woken == [(timedelta(0), range(4), NINE)]


def test_many_groups_are_woken_one_after_the_other_so_that_they_do_not_all_write_at_once(
    clock: FakeClock,
) -> None:
    shards = Shards(clock)

    assert Tick(shards=shards, groups=64, clock=clock)(minute=NINE) == 64
    assert [groups for _, groups, _ in shards.woken] == [
        range(first, min(first + 10, 64)) for first in range(0, 64, 10)
    ]
    assert [at for at, _, _ in shards.woken] == [count * PAUSE for count in range(7)]


def test_groups_that_are_not_woken_keep_none_of_the_others_asleep(clock: FakeClock) -> None:
    shards = Shards(clock, deaf=range(10))

    with pytest.raises(StoreUnavailable, match="10 groups"):
        Tick(shards=shards, groups=25, clock=clock)(minute=NINE)

    assert [groups for _, groups, _ in shards.woken] == [range(10), range(10, 20), range(20, 25)]
