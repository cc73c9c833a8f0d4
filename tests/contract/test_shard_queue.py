"""Waking the dispatchers: only an engine of many hosts has to."""

import pytest

from punctual.core.sharding import SHARDS
from tests.contract.engines import AWS, MINISTACK
from tests.support.aws_engine import AwsEngine
from tests.support.builders import MINUTE
from tests.support.clock import NINE

GROUPS = range(4)


@pytest.mark.parametrize("engine", AWS, indirect=True)
def test_every_shard_is_woken_once_a_minute(engine: AwsEngine) -> None:
    count = engine.shards.wake(GROUPS, minute=NINE)

    woken = engine.woken()
    assert len(woken) == count == len(GROUPS)
    assert sorted(shard for shards in woken for shard in shards) == list(range(SHARDS))


@pytest.mark.parametrize("engine", AWS, indirect=True)
def test_a_doubled_tick_wakes_nobody_twice(engine: AwsEngine) -> None:
    assert engine.shards.wake(GROUPS, minute=NINE) == engine.shards.wake(GROUPS, minute=NINE)
    first = engine.woken()
    assert len(first) == len(set(first))

    engine.shards.wake(GROUPS, minute=NINE + MINUTE)
    assert engine.woken() == first


@pytest.mark.parametrize("engine", [MINISTACK], indirect=True)
def test_a_tick_that_is_doubled_late_wakes_nobody_twice(engine: AwsEngine) -> None:
    """The dispatchers of its minute are done already; moto has forgotten them by then."""
    engine.shards.wake(GROUPS, minute=NINE)
    engine.woken()

    engine.shards.wake(GROUPS, minute=NINE)

    assert engine.woken() == []
