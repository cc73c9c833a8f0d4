"""What a run queue gave up on: outcomes on record, bodies kept, poison kept too."""

from typing import Any

import pytest

from functions.dead_letters.handler import lambda_handler
from infra.definitions import DEAD_LETTERS
from punctual.core.runs import RunState, Start
from punctual.runtime import wiring
from punctual.services.dead_letters import UNDELIVERABLE
from tests.support.builders import HOUR, MINUTE
from tests.support.clock import NINE
from tests.support.functions_on_moto import Cloud, Context, an_event
from tests.unit.functions.conftest import Counted

SERVICE = "dead-letters"


def failures(answer: dict[str, Any]) -> list[int]:
    return [int(failed["itemIdentifier"][:8]) for failed in answer["batchItemFailures"]]


def test_exhausted_messages_end_their_runs_and_are_kept(cloud: Cloud, counted: Counted) -> None:
    queued, live = cloud.hand_over("report"), cloud.hand_over("invoices")
    start = Start(key=live, owner="x", now=NINE, lease_until=NINE + 2 * HOUR)
    assert cloud.runs.move([start])[0].applied
    cloud.clock.set(NINE + HOUR)

    answer = lambda_handler(an_event("sqs/dead_letters.json"), Context())

    assert failures(answer) == []
    assert cloud.run(queued).state is RunState.FAILED
    assert cloud.run(live).state is RunState.RUNNING
    bodies = [record["body"] for record in an_event("sqs/dead_letters.json")["Records"]]
    letters = {
        body: found["reason"]["StringValue"] for body, found in cloud.received(DEAD_LETTERS.name)
    }
    assert letters == {bodies[0]: UNDELIVERABLE, bodies[2]: "the message is not JSON"}
    assert cloud.watched() == [(live, NINE + 2 * HOUR + MINUTE)]
    assert counted() == {"MessagesExhausted": 1, "MessagesUnreadable": 1, "RunsFailed": 1}


def test_what_cannot_be_kept_comes_again_and_its_run_stays_open(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = cloud.hand_over("report")
    cloud.clock.set(NINE + HOUR)
    monkeypatch.setattr(wiring.sqs(), "send_message_batch", lambda **_: {"Failed": []})

    answer = lambda_handler(an_event("sqs/dead_letters.json"), Context())

    assert failures(answer) == [1, 3]
    assert cloud.run(queued).state is RunState.QUEUED


def test_messages_whose_runs_are_gone_go(cloud: Cloud, counted: Counted) -> None:
    event = an_event("sqs/dead_letters.json")
    event["Records"].pop()

    assert failures(lambda_handler(event, Context())) == []
    assert cloud.received(DEAD_LETTERS.name) == []
    assert counted() == {}
