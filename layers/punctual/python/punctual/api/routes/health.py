"""Health: is the store there, is the queue, and when was each shard last dispatched?"""

from collections.abc import Callable
from datetime import timedelta

from aws_lambda_powertools.event_handler import Response

from punctual.api.answers import answered, answers
from punctual.api.resolver import Resolver
from punctual.api.views import Health, ShardView
from punctual.core.errors import StoreUnavailable
from punctual.core.instants import format_instant
from punctual.core.sharding import SHARDS
from punctual.ports import Beats, Clock

TICK_MISSING_AFTER = timedelta(seconds=150)
"""A shard is ticked every minute; so long without one, and slots will be late."""


def add_health_routes(
    app: Resolver, beats: Beats, *, clock: Clock, ask_queue: Callable[[], None]
) -> None:
    """Add the health."""

    @app.get(
        "/v1/health",
        summary="How the scheduler is",
        description="503 when store or queue is out of reach; `degraded` when ticks are missing.",
        tags=["health"],
        operation_id="get_health",
        responses={
            status: answers(Health, description)[200]
            for status, description in ((200, "Runs start"), (503, "Runs do not start"))
        },
    )
    def get_health() -> Response[str]:
        now = clock.now()
        newest: dict[int, ShardView] = {}
        view: Health = {"status": "ok", "store": "ok", "queue": "ok", "shards": []}
        try:
            for beat in sorted(beats.beats(), key=lambda beat: beat.at):
                for shard in beat.shards:
                    newest[shard] = {
                        "shard": shard,
                        "last_tick": format_instant(beat.at),
                        "age_seconds": (now - beat.at).total_seconds(),
                    }
        except StoreUnavailable:
            view["store"] = "unavailable"
        try:
            ask_queue()
        except StoreUnavailable:
            view["queue"] = "unavailable"
        view["shards"] = [newest.get(shard, _unseen(shard)) for shard in range(SHARDS)]
        if view["store"] != "ok" or view["queue"] != "ok":
            view["status"] = "unavailable"
        elif any(_is_missing(shard) for shard in view["shards"]):
            view["status"] = "degraded"
        return answered(view, status=503 if view["status"] == "unavailable" else 200)


def _unseen(shard: int) -> ShardView:
    return {"shard": shard, "last_tick": None, "age_seconds": None}


def _is_missing(shard: ShardView) -> bool:
    age = shard["age_seconds"]
    return age is None or age > TICK_MISSING_AFTER.total_seconds()
