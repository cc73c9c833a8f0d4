"""The shard queue, over an SQS FIFO queue: one message at a time for each group of shards."""

from datetime import datetime
from typing import TYPE_CHECKING

from punctual.adapters.sqs.bodies import shards_body
from punctual.adapters.sqs.errors import queue_errors
from punctual.adapters.sqs.run_queue import ENTRIES_MAX
from punctual.core.errors import StoreUnavailable
from punctual.core.sharding import shards_of_group

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SqsShardQueue:
    """Fills `ShardQueue`."""

    def __init__(self, client: "SQSClient", *, url: str, shards_per_message: int) -> None:
        self._client = client
        self._url = url
        self._shards_per_message = shards_per_message

    def wake(self, groups: range, *, minute: datetime) -> int:
        """See `ShardQueue.wake`."""
        assert len(groups) <= ENTRIES_MAX, "one request wakes no more"
        try:
            return self._wake(groups, minute)
        except StoreUnavailable:
            return 0

    def _wake(self, groups: range, minute: datetime) -> int:
        with queue_errors():
            response = self._client.send_message_batch(
                QueueUrl=self._url,
                Entries=[
                    {
                        "Id": str(group),
                        "MessageBody": shards_body(
                            shards_of_group(group, shards_per_message=self._shards_per_message)
                        ),
                        "MessageGroupId": str(group),
                        "MessageDeduplicationId": f"{minute:%Y%m%dT%H%M}:{group}",
                    }
                    for group in groups
                ],
            )
        return len(response.get("Successful", ()))
