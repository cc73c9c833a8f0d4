"""Carry out runs: one function per lane, fed by the lane's queue."""

from typing import Any

from punctual.runtime import wiring
from punctual.runtime.events import Context, read_runs, remaining
from punctual.runtime.observability import logger, metrics, report_execute


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Execute the batch; keep the messages whose run has no outcome yet and no watch row."""
    lives_until = wiring.clock.now() + remaining(context)
    batch = read_runs(event)
    unkept = wiring.bury(batch.unreadable)
    handled = wiring.execute()(
        [message for message, _ in batch.messages],
        deadline=lives_until - wiring.longest_call(),
        lives_until=lives_until,
    )
    report_execute(handled, unreadable=len(batch.unreadable))
    return batch.failures(handled.kept, unreadable=unkept)
