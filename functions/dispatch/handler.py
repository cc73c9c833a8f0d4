"""Hand over what is due on some shards, and look again at what should have ended."""

from typing import Any

from punctual.runtime import wiring
from punctual.runtime.events import Context, read_shards, remaining
from punctual.runtime.observability import logger, metrics, report_dispatch


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Visit the due jobs of each group of shards, then deal with its watch rows.

    Every message is let go: what the time does not suffice for is due still at the next tick.
    """
    deadline = wiring.clock.now() + remaining(context) - wiring.DISPATCH_MARGIN
    for shards in read_shards(event).values():
        if not shards:
            logger.error("a message of the shard queue names no shards")
            continue
        dispatched = wiring.dispatch()(shards, deadline=deadline)
        looked = wiring.watch()(shards, deadline=deadline)
        report_dispatch(dispatched, looked, shards=shards)
    return {"batchItemFailures": []}
