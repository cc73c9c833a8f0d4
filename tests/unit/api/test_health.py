"""Health tells whether runs start."""

from datetime import timedelta
from typing import Any

import pytest

from punctual.core.errors import StoreUnavailable
from punctual.core.sharding import SHARDS
from punctual.ports import Beat
from tests.support.api_client import ApiClient
from tests.support.apis import an_app
from tests.support.clock import NINE, FakeClock
from tests.support.engines import Engine


def out_of_reach(*_: Any) -> Any:
    raise StoreUnavailable("out of reach")


@pytest.fixture
def ticked(engine: Engine) -> Engine:
    """Return the engine, all of whose shards were ticked at nine."""
    for first in (0, 32):
        engine.beats.beat(Beat(shards=tuple(range(first, first + 32)), at=NINE))
    return engine


def health_of(engine: Engine, **options: Any) -> tuple[int, Any]:
    answer = ApiClient(app=an_app(engine, **options))("GET", "/v1/health")
    assert answer.headers["Content-Type"] == "application/json"
    return answer.status, answer.json


def test_health_names_every_shard_and_its_last_tick(ticked: Engine, clock: FakeClock) -> None:
    clock.advance(timedelta(seconds=42.5))

    status, health = health_of(ticked)

    assert status == 200
    assert (health["status"], health["store"], health["queue"]) == ("ok", "ok", "ok")
    assert health["shards"] == [
        {"shard": shard, "last_tick": "2026-12-01T09:00:00Z", "age_seconds": 42.5}
        for shard in range(SHARDS)
    ]


@pytest.mark.parametrize(("late", "status"), [(150, "ok"), (150.001, "degraded")])
def test_ticks_that_are_missing_are_a_fault(
    ticked: Engine, clock: FakeClock, late: float, status: str
) -> None:
    ticked.beats.beat(Beat(shards=tuple(range(32)), at=NINE + timedelta(seconds=100)))
    clock.advance(timedelta(seconds=late))

    assert health_of(ticked)[1]["status"] == status


def test_a_shard_that_was_never_ticked_is_a_fault(engine: Engine) -> None:
    engine.beats.beat(Beat(shards=(0,), at=NINE))

    status, health = health_of(engine)

    assert (status, health["status"]) == (200, "degraded")
    assert health["shards"][1] == {"shard": 1, "last_tick": None, "age_seconds": None}


def test_a_queue_out_of_reach_is_told(ticked: Engine) -> None:
    status, health = health_of(ticked, ask_queue=out_of_reach)

    assert status == 503
    assert (health["status"], health["store"], health["queue"]) == (
        "unavailable",
        "ok",
        "unavailable",
    )


def test_a_store_out_of_reach_is_told(ticked: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticked.beats, "beats", out_of_reach)

    status, health = health_of(ticked)

    assert status == 503
    assert (health["status"], health["store"], health["queue"]) == (
        "unavailable",
        "unavailable",
        "ok",
    )
    assert len(health["shards"]) == SHARDS
