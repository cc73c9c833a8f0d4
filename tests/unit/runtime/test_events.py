"""What AWS hands over is read, message by message; what cannot be read takes nothing along."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from punctual.adapters.sqs.bodies import run_body, shards_body
from punctual.ports import DeadLetter, Message
from punctual.runtime.events import read_minute, read_runs, read_shards, remaining
from tests.support.builders import MINUTE, SECOND, a_run, a_run_key
from tests.support.clock import NINE


def a_batch(*bodies: str) -> dict[str, Any]:
    return {
        "Records": [
            {"messageId": f"id-{n}", "receiptHandle": f"receipt-{n}", "body": body}
            for n, body in enumerate(bodies)
        ]
    }


class TestRuns:
    """A batch of a run queue."""

    def test_are_read_with_their_bodies(self) -> None:
        body = run_body(a_run_key())

        batch = read_runs(a_batch(body))

        assert batch.messages == ((Message(key=a_run_key(), receipt="receipt-0"), body),)
        assert batch.unreadable == ()

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ("", "the message is not JSON"),
            ("{", "the message is not JSON"),
            ("[]", "the message is of no version that is known here"),
            ('{"v":2}', "the message is of no version that is known here"),
            (shards_body(range(4)), "the message names no run"),
            ('{"v":1,"run":["a","b",1]}', "the message names no run"),
            ('{"v":1,"run":["a","b","1","m.x"]}', "the message names no run"),
        ],
    )
    def test_that_cannot_be_read_are_told_apart(self, body: str, reason: str) -> None:
        good = run_body(a_run_key())

        batch = read_runs(a_batch(good, body, good))

        assert len(batch.messages) == 2
        assert batch.unreadable == (("id-1", DeadLetter(body=body, reason=reason)),)

    @pytest.mark.parametrize(("received", "is_said"), [("1", True), ("2", False), ("17", False)])
    def test_say_what_their_row_was_when_they_come_the_first_time(
        self, received: str, is_said: bool
    ) -> None:
        """A later delivery mostly finds it changed, and a guess that is wrong costs a write."""
        run = a_run()
        event = a_batch(run_body(run.key, run))
        event["Records"][0]["attributes"] = {"ApproximateReceiveCount": received}

        ((message, _),) = read_runs(event).messages

        assert message.key == run.key
        assert message.handed_over == (run if is_said else None)

    def test_that_are_kept_are_answered_by_their_ids(self) -> None:
        batch = read_runs(a_batch(*(run_body(a_run_key(name=f"m.{n}")) for n in range(3))))
        kept = [message for message, _ in batch.messages][1:]

        assert batch.failures(kept, unreadable=["id-9"]) == {
            "batchItemFailures": [
                {"itemIdentifier": "id-1"},
                {"itemIdentifier": "id-2"},
                {"itemIdentifier": "id-9"},
            ]
        }

    def test_none_of_which_are_kept_are_answered_so(self) -> None:
        """An answer without the list, or with one of another shape, would fail the whole batch."""
        assert read_runs(a_batch()).failures([]) == {"batchItemFailures": []}


def test_shards_are_read_by_message() -> None:
    event = a_batch(shards_body(range(16)), "no JSON", json.dumps({"v": 1, "shards": [16, 80]}))

    assert read_shards(event) == {"id-0": tuple(range(16)), "id-1": (), "id-2": ()}


@pytest.mark.parametrize(
    ("time", "minute"),
    [
        ("2026-12-01T09:00:00Z", NINE),
        ("2026-12-01T09:00:59.999Z", NINE),
        ("2026-12-01T10:00:30+01:00", NINE),
    ],
)
def test_a_tick_is_for_the_minute_that_it_names(time: str, minute: datetime) -> None:
    assert read_minute({"time": time}, now=NINE + 5 * MINUTE) == minute


@pytest.mark.parametrize("event", [{}, {"time": None}, {"time": 5}, {"time": "<scheduled-time>"}])
def test_a_tick_that_names_no_minute_is_for_the_present_one(event: dict[str, Any]) -> None:
    assert read_minute(event, now=NINE + 5 * MINUTE + 7 * SECOND) == NINE + 5 * MINUTE


def test_what_remains_of_an_invocation_is_what_lambda_says() -> None:
    class Context:
        def get_remaining_time_in_millis(self) -> int:
            return 1234

    assert remaining(Context()) == timedelta(milliseconds=1234)
