"""The shard queue, over an SQS FIFO queue: one message at a time for each group of shards."""

from datetime import datetime
from typing import TYPE_CHECKING

from punctual.adapters.sqs.bodies import shards_body
from punctual.adapters.sqs.errors import queue_errors
from punctual.adapters.sqs.run_queue import ENTRIES_MAX
from punctual.core.errors import StoreUnavailable
from punctual.core.sharding import group_count, shards_of_group

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SqsShardQueue:
    """Fills `ShardQueue`."""

    def __init__(self, client: "SQSClient", *, url: str, shards_per_message: int) -> None:
        self._client = client
        self._url = url
        self._shards_per_message = shards_per_message

    def wake(self, *, minute: datetime) -> int:
        """See `ShardQueue.wake`.

        Raises:
            StoreUnavailable: Not every group was woken; repeating it wakes none of them twice.
        """
        groups = range(group_count(shards_per_message=self._shards_per_message))
        woken = 0
        for first in groups[::ENTRIES_MAX]:
            woken += self._wake(groups[first : first + ENTRIES_MAX], minute)
        if woken < len(groups):
            raise StoreUnavailable(f"{len(groups) - woken} groups of shards were not woken")
        return woken

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
