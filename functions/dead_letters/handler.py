"""Record the outcome of runs whose message was received too often."""

from typing import Any

from punctual.runtime import wiring
from punctual.runtime.events import Context, read_runs
from punctual.runtime.observability import logger, metrics, report_dead_letters


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """End what the exhausted messages leave open; each message is kept as a dead letter."""
    batch = read_runs(event)
    unkept = wiring.bury(batch.unreadable)
    buried = wiring.dead_letters()(batch.messages)
    report_dead_letters(buried, unreadable=len(batch.unreadable))
    return batch.failures(buried.kept, unreadable=unkept)
