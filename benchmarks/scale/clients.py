"""Clients of AWS without the wire: what boto3 would send goes to a function as it is.

Signatures, JSON and connections decide nothing that is measured here, and take most of a real
client's time; that time is charged to the function's clock instead. Retries of whole requests are
kept, as production configures them.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from tests.simulation.clients import Reply

Json = dict[str, Any]

Exchange = Callable[[str, str, Json], Reply]
"""Sends a request of a service and returns its answer."""

REQUESTS_MAX = {"dynamodb": 3, "sqs": 1}
"""Requests of one call at most, as the composition root configures the clients."""

BACKOFF_MAX_MS = 20_000
"""The longest wait before a repetition."""

OPERATIONS = {
    "batch_execute_statement": "BatchExecuteStatement",
    "batch_get_item": "BatchGetItem",
    "batch_write_item": "BatchWriteItem",
    "change_message_visibility_batch": "ChangeMessageVisibilityBatch",
    "put_item": "PutItem",
    "query": "Query",
    "send_message_batch": "SendMessageBatch",
    "update_item": "UpdateItem",
}
"""Methods of boto3's clients that the functions here use."""


class _Events:
    """Hooks into what is left out here, such as how the text of an answer is read."""

    def register(self, event_name: str, handler: object, unique_id: str | None = None) -> None:
        """Take a hook, which is never called."""


class ScaleClient:
    """Stands in for a client of boto3."""

    meta = SimpleNamespace(events=_Events())

    def __init__(
        self,
        service: str,
        *,
        exchange: Exchange,
        sleep: Callable[[int], None],
        draw: Callable[[], float],
    ) -> None:
        """Bind a client.

        Args:
            service: Such as `dynamodb`.
            exchange: Carries a request.
            sleep: Waits before a repetition, in milliseconds.
            draw: In [0, 1).
        """
        self._service = service
        self._exchange = exchange
        self._sleep = sleep
        self._draw = draw

    def __getattr__(self, name: str) -> Callable[..., Json]:
        """Return the method of an operation."""
        operation = OPERATIONS.get(name)
        if operation is None:
            raise AttributeError(name)

        def call(**request: Any) -> Json:  # noqa: ANN401 - whatever the operation takes
            return self._call(operation, request)

        # Found once: from now on it is an attribute.
        setattr(self, name, call)
        return call

    def _call(self, operation: str, request: Json) -> Json:
        requests = 0
        while True:
            reply = self._exchange(self._service, operation, request)
            requests += 1
            if reply.status == 200:
                return reply.body
            refused = reply.body["Error"]["Code"] == "ConditionalCheckFailedException"
            if refused or requests == REQUESTS_MAX[self._service]:
                raise ClientError(reply.body, operation)  # type: ignore[arg-type]
            wait = self._draw() * 1000 * 2 ** (requests - 1)
            self._sleep(round(min(wait, BACKOFF_MAX_MS)))
