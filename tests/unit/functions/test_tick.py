"""Once a minute, every shard is woken."""

from typing import Any

import pytest

from functions.tick.handler import lambda_handler
from infra.definitions import SHARDS as QUEUE
from punctual.adapters.sqs.bodies import read_shards_body
from punctual.core.errors import StoreUnavailable
from punctual.core.sharding import SHARDS
from punctual.runtime import wiring
from tests.support.functions_on_moto import Cloud, Context, an_event
from tests.unit.functions.conftest import Counted

SERVICE = "tick"


def woken(cloud: Cloud) -> list[int]:
    bodies = [body for body, _ in cloud.received(QUEUE.name)]
    return sorted(shard for body in bodies for shard in read_shards_body(body))


def test_a_tick_wakes_every_shard_once(cloud: Cloud, counted: Counted) -> None:
    lambda_handler(an_event("scheduler/tick.json"), Context())

    assert woken(cloud) == list(range(SHARDS))
    assert counted() == {"GroupsWoken": 4}


def test_a_tick_that_comes_twice_is_one_tick(cloud: Cloud) -> None:
    """Though the second comes a minute late: both name the minute that they are for."""
    lambda_handler(an_event("scheduler/tick.json"), Context())
    cloud.clock.sleep(wiring.DISPATCH_MARGIN * 6)
    lambda_handler(an_event("scheduler/tick.json"), Context())

    assert woken(cloud) == list(range(SHARDS))


@pytest.mark.parametrize("event", [{}, {"time": "<aws.scheduler.scheduled-time>"}, {"time": None}])
def test_a_tick_without_a_readable_minute_is_for_the_present_one(
    cloud: Cloud, event: dict[str, Any]
) -> None:
    lambda_handler(event, Context())
    lambda_handler(an_event("scheduler/tick.json"), Context())

    assert woken(cloud) == list(range(SHARDS)), "nine o'clock is the minute of both"


def test_a_tick_that_wakes_only_a_part_fails_and_is_repeated(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHARD_QUEUE_URL", cloud.queue_urls[QUEUE.name])
    send = wiring.sqs().send_message_batch

    def lose_one(**request: Any) -> Any:
        answer = send(**request)
        return {**answer, "Successful": answer["Successful"][1:]}

    monkeypatch.setattr(wiring.sqs(), "send_message_batch", lose_one)
    with pytest.raises(StoreUnavailable, match="1 groups"):
        lambda_handler(an_event("scheduler/tick.json"), Context())
