"""Where dead letters rest, over an SQS queue that nothing reads."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from punctual.adapters.sqs.errors import queue_errors
from punctual.adapters.sqs.run_queue import ENTRIES_MAX
from punctual.core.errors import StoreUnavailable
from punctual.ports import DeadLetter

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SqsDeadLetterBox:
    """Fills `DeadLetterBox`: a letter is the body as it was, its reason an attribute beside it."""

    def __init__(self, client: "SQSClient", *, url: str) -> None:
        self._client = client
        self._url = url

    def keep(self, letters: Sequence[DeadLetter]) -> Sequence[bool]:
        """See `DeadLetterBox.keep`."""
        kept = [False] * len(letters)
        for first in range(0, len(letters), ENTRIES_MAX):
            chunk = letters[first : first + ENTRIES_MAX]
            try:
                with queue_errors():
                    response = self._client.send_message_batch(
                        QueueUrl=self._url,
                        Entries=[
                            {
                                "Id": str(first + number),
                                "MessageBody": letter.body,
                                "MessageAttributes": {
                                    "reason": {
                                        "DataType": "String",
                                        "StringValue": letter.reason,
                                    }
                                },
                            }
                            for number, letter in enumerate(chunk)
                        ],
                    )
            except StoreUnavailable:
                return kept
            for entry in response.get("Successful", ()):
                kept[int(entry["Id"])] = True
        return kept
