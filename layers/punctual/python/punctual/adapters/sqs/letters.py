"""Dead letters as a person deals with them: looked at, put back, or sent round again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from punctual.adapters.sqs.bodies import UnreadableBody, read_run_body
from punctual.adapters.sqs.errors import queue_errors
from punctual.adapters.sqs.run_queue import ENTRIES_MAX
from punctual.core.identity import RunKey
from punctual.core.instants import from_epoch_ms

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

LOOKED_AT_SECONDS = 60
"""How long a letter that is looked at is hidden from others, unless it is put back before."""

LETTERS_MAX = 1000
"""Letters looked at together."""

EMPTY_MAX = 3
"""A queue of several servers is empty once this many requests in a row brought nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter that is being looked at."""

    message_id: str
    receipt: str
    body: str
    reason: str
    buried_at: datetime
    key: RunKey | None
    """The run that it is about; None where it names none."""


class Letters:
    """The dead letters of a stage."""

    def __init__(self, client: "SQSClient", *, dead_url: str, exhausted_url: str) -> None:
        """Bind the queues.

        Args:
            client: A low-level client.
            dead_url: Where letters rest.
            exhausted_url: Where they are sent round again: its reader records what is still open.
        """
        self._client = client
        self._dead_url = dead_url
        self._exhausted_url = exhausted_url

    def read(self) -> Sequence[Letter]:
        """Take up to `LETTERS_MAX` letters, each once, oldest first; put back what is not wanted.

        Raises:
            StoreUnavailable: The queue is out of reach.
        """
        found: dict[str, Letter] = {}
        empty = 0
        while empty < EMPTY_MAX and len(found) < LETTERS_MAX:
            with queue_errors():
                response = self._client.receive_message(
                    QueueUrl=self._dead_url,
                    MaxNumberOfMessages=ENTRIES_MAX,
                    VisibilityTimeout=LOOKED_AT_SECONDS,
                    MessageAttributeNames=["reason"],
                    MessageSystemAttributeNames=["SentTimestamp"],
                )
            messages = response.get("Messages", [])
            empty = 0 if messages else empty + 1
            for message in messages:
                attributes = message.get("MessageAttributes", {})
                found[message["MessageId"]] = Letter(
                    message_id=message["MessageId"],
                    receipt=message["ReceiptHandle"],
                    body=message["Body"],
                    reason=attributes["reason"]["StringValue"] if "reason" in attributes else "",
                    buried_at=from_epoch_ms(int(message["Attributes"]["SentTimestamp"])),
                    key=_key_in(message["Body"]),
                )
        return sorted(found.values(), key=lambda letter: letter.buried_at)

    def put_back(self, letters: Sequence[Letter]) -> None:
        """Let others see letters again at once; one that stays hidden is seen a little later."""
        for chunk in _chunks(letters):
            with queue_errors():
                self._client.change_message_visibility_batch(
                    QueueUrl=self._dead_url,
                    Entries=[
                        {"Id": str(n), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                        for n, letter in enumerate(chunk)
                    ],
                )

    def redrive(self, letters: Sequence[Letter]) -> int:
        """Send letters round again, then take them away; return how many.

        What dies in between is there twice, which is harmless: a run that has its outcome keeps it.
        """
        moved = 0
        for chunk in _chunks(letters):
            sent = self._send(chunk)
            if sent:
                with queue_errors():
                    self._client.delete_message_batch(
                        QueueUrl=self._dead_url,
                        Entries=[
                            {"Id": str(n), "ReceiptHandle": letter.receipt}
                            for n, letter in enumerate(sent)
                        ],
                    )
            moved += len(sent)
        return moved

    def _send(self, letters: Sequence[Letter]) -> Sequence[Letter]:
        """Return those letters that the other queue surely has."""
        with queue_errors():
            response = self._client.send_message_batch(
                QueueUrl=self._exhausted_url,
                Entries=[
                    {"Id": str(n), "MessageBody": letter.body} for n, letter in enumerate(letters)
                ],
            )
        return [letters[int(entry["Id"])] for entry in response.get("Successful", ())]


def _key_in(body: str) -> RunKey | None:
    try:
        return read_run_body(body)
    except UnreadableBody:
        return None


def _chunks(letters: Sequence[Letter]) -> Iterator[Sequence[Letter]]:
    for first in range(0, len(letters), ENTRIES_MAX):
        yield letters[first : first + ENTRIES_MAX]
