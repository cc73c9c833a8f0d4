"""A batch of a run queue: every run carried out, and only what is not done comes again."""

import logging
from typing import Any

import pytest

from functions.execute.handler import lambda_handler
from infra.definitions import DEAD_LETTERS, FAST_TIMEOUT
from punctual.core.calls import Answer
from punctual.core.execution import LEASE_MARGIN
from punctual.core.runs import RunState, Start
from punctual.runtime import wiring
from tests.support.builders import HOUR, MINUTE, SECOND, a_content
from tests.support.clock import NINE
from tests.support.functions_on_moto import SECRET, Cloud, Context, an_event, the_run_key
from tests.support.virtual_targets import BUSY, QUICK
from tests.unit.functions.conftest import Counted

SERVICE = "execute-fast"
JOBS = ("report", "invoices", "mails")


def failures(answer: dict[str, Any]) -> list[int]:
    """Return the numbers of the messages that come again; a sample's id begins with its number."""
    return [int(failed["itemIdentifier"][:8]) for failed in answer["batchItemFailures"]]


@pytest.fixture
def cloud(cloud: Cloud) -> Cloud:
    """The jobs and runs of the sample events; what they hold is nobody's business."""
    for job_id in JOBS:
        content = a_content(headers=(("Authorization", SECRET),), body=f'"{SECRET}"')
        cloud.store(job_id, content=content, next_slot=NINE + MINUTE)
        cloud.hand_over(job_id)
    return cloud


def states(cloud: Cloud) -> list[RunState]:
    return [cloud.run(the_run_key(job)).state for job in JOBS]


def test_every_run_of_a_batch_is_carried_out(cloud: Cloud, counted: Counted) -> None:
    answer = lambda_handler(an_event("sqs/run_batch.json"), Context())

    assert failures(answer) == []
    assert states(cloud) == [RunState.SUCCEEDED] * 3
    assert counted() == {"RunsStarted": 3, "RunsSucceeded": 3, "StartLateness": 0}


def test_a_message_of_a_run_that_must_wait_comes_again_alone(
    cloud: Cloud, counted: Counted
) -> None:
    def answer_to(call: Any) -> tuple[Answer, Any]:
        refused = Answer(status_code=503, body=SECRET.encode())
        return (refused if call.run_id.startswith("invoices") else Answer(status_code=200)), QUICK

    cloud.targets.manner = answer_to

    answer = lambda_handler(an_event("sqs/run_batch.json"), Context())

    assert failures(answer) == [2]
    assert states(cloud) == ["succeeded", "retrying", "succeeded"]
    assert counted() == {
        "RunsStarted": 3,
        "RunsSucceeded": 2,
        "RunsRetried": 1,
        "StartLateness": 0,
    }


def test_poison_goes_to_the_dead_letters_at_once_and_blocks_nothing(
    cloud: Cloud, counted: Counted
) -> None:
    answer = lambda_handler(an_event("sqs/run_batch_with_poison.json"), Context())

    assert failures(answer) == []
    assert states(cloud)[:2] == [RunState.SUCCEEDED] * 2
    letters = {
        body: found["reason"]["StringValue"] for body, found in cloud.received(DEAD_LETTERS.name)
    }
    poison = [r["body"] for r in an_event("sqs/run_batch_with_poison.json")["Records"][1:4]]
    assert letters == {
        poison[0]: "the message is not JSON",
        poison[1]: "the message is of no version that is known here",
        poison[2]: "the message names no run",
    }
    assert counted()["MessagesUnreadable"] == 3


def test_poison_that_cannot_be_kept_comes_again(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring.sqs(), "send_message_batch", lambda **_: {"Failed": []})

    answer = lambda_handler(an_event("sqs/run_batch_with_poison.json"), Context())

    assert failures(answer) == [2, 3, 4]


def test_a_run_that_failed_is_told_of_without_what_it_held(
    cloud: Cloud, counted: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.targets.manner = lambda _: (Answer(status_code=404, body=SECRET.encode()), QUICK)

    lambda_handler(an_event("sqs/run_batch.json"), Context())

    assert counted()["RunsFailed"] == 3
    lines = [vars(record) for record in caplog.records if record.levelno == logging.WARNING]
    assert {line["run_id"] for line in lines} == {f"{job}.20261201T090000Z" for job in JOBS}
    assert {(line["state"], line["error_type"]) for line in lines} == {("failed", "http_status")}


def test_lateness_is_measured_from_the_slot(cloud: Cloud, counted: Counted) -> None:
    cloud.clock.set(NINE + 2 * SECOND)

    lambda_handler(an_event("sqs/run_batch.json"), Context())

    assert counted()["StartLateness"] == 3 * 2000


def test_the_lease_lasts_as_long_as_the_function_may_and_the_clocks_may_differ(
    cloud: Cloud,
) -> None:
    leases: list[Any] = []

    def note(call: Any) -> tuple[Answer, Any]:
        leases.append(cloud.run(the_run_key("mails")).lease_until)
        return Answer(status_code=200), QUICK

    cloud.targets.manner = note
    lambda_handler(an_event("sqs/run_batch.json"), Context(45_000))

    assert set(leases) == {NINE + FAST_TIMEOUT + LEASE_MARGIN}


def test_nothing_starts_that_the_function_could_not_end(cloud: Cloud) -> None:
    answer = lambda_handler(an_event("sqs/run_batch.json"), Context(34_000))

    assert failures(answer) == [1, 2, 3]
    assert states(cloud) == [RunState.QUEUED] * 3


def test_a_lane_has_time_for_its_longest_call(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wiring.longest_call() == 35 * SECOND
    monkeypatch.setenv("LANE", "slow")
    assert wiring.longest_call() == 845 * SECOND


def test_a_run_that_another_executor_has_for_long_is_left_to_the_watch(cloud: Cloud) -> None:
    key = the_run_key("report")
    start = Start(key=key, owner="another", now=NINE, lease_until=NINE + HOUR)
    assert cloud.runs.move([start])[0].applied

    answer = lambda_handler(an_event("sqs/run_batch.json"), Context())

    assert failures(answer) == []
    assert cloud.watched() == [(key, NINE + HOUR + MINUTE)]


def test_an_attempt_that_lost_its_run_is_counted(cloud: Cloud, counted: Counted) -> None:
    def takes_over(call: Any) -> tuple[Answer, Any]:
        if call.run_id.startswith("report"):
            key = the_run_key("report")
            later = NINE + HOUR
            start = Start(key=key, owner="another", now=later, lease_until=later + HOUR)
            assert cloud.runs.move([start])[0].applied
        return BUSY, QUICK

    cloud.targets.manner = takes_over
    lambda_handler(an_event("sqs/run_batch.json"), Context())

    assert counted()["OutcomesSuperseded"] == 1
