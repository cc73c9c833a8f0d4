"""Answer HTTP requests."""

from typing import Any

from punctual.runtime import api_wiring
from punctual.runtime.events import Context
from punctual.runtime.observability import logger, metrics


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Answer one request; whatever goes wrong is an answer too."""
    return api_wiring.answer(event)
