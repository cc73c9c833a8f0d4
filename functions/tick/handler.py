"""Once a minute: wake every shard."""

from typing import Any

from punctual.runtime import wiring
from punctual.runtime.events import Context, read_minute
from punctual.runtime.observability import logger, metrics, report_tick


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: Context) -> None:
    """Wake every shard for the event's own minute, so a doubled tick wakes none twice."""
    minute = read_minute(event, now=wiring.clock.now())
    groups = wiring.tick()(minute=minute)
    report_tick(minute=minute.isoformat(), groups=groups)
