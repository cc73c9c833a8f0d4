"""The deployed stack while its functions are killed and its queues hold what they should not."""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from infra.definitions import FAST_TIMEOUT
from tests.support.deployed import Deployment
from tests.support.host import from_now, instant, wait_until
from tests.support.sinks import Sink

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("abandoned")]


def http(url: str) -> dict[str, str]:
    return {"type": "http", "url": url}


def test_a_run_whose_executor_was_killed_is_taken_over_with_the_same_key(
    deployment: Deployment, abandoned: Sink
) -> None:
    first, second = abandoned.wait_for(2, within=150)
    wait_until(lambda: len(deployment.api.ended("abandoned")) == 1, within=30)

    (run,) = deployment.api.runs("abandoned")
    assert (run["state"], run["attempt"]) == ("succeeded", 2)
    assert [r.header("Punctual-Attempt") for r in (first, second)] == ["1", "2"]
    assert {r.header("Idempotency-Key") for r in (first, second)} == {run["id"]}
    started, again = (datetime.fromisoformat(each["started_at"]) for each in run["attempts"])
    assert again - started >= FAST_TIMEOUT, "while its executor may live, nobody takes a run"


def test_a_poisoned_message_ends_as_a_dead_letter_and_its_neighbours_run(
    deployment: Deployment, target: Sink
) -> None:
    poison = ["no JSON at all", '{"v": 99, "run": []}', '{"v": 1, "shards": [0, 16]}']
    names = [f"neighbour-{number}" for number in range(5)]
    at = instant(from_now(3))
    for name in names:
        deployment.api.put(name, schedule={"at": at}, target=http(target.url))

    deployment.send("FastQueueUrl", *poison)
    wait_until(lambda: set(poison) <= deployment.dead_letters().keys(), within=60)
    wait_until(lambda: all(deployment.api.ended(name) for name in names), within=60)

    runs = [run for name in names for run in deployment.api.runs(name)]
    assert [run["state"] for run in runs] == ["succeeded"] * len(names)
    assert all(deployment.dead_letters()[body] for body in poison), "each says why"


def test_a_message_received_too_often_becomes_an_outcome_and_a_dead_letter(
    deployment: Deployment, target: Sink
) -> None:
    """Its executor dies at every start, before anything is written."""
    queue = deployment.client("sqs").get_queue_attributes(
        QueueUrl=deployment.outputs["SlowQueueUrl"], AttributeNames=["RedrivePolicy"]
    )
    redrive = json.loads(queue["Attributes"]["RedrivePolicy"]) | {"maxReceiveCount": 2}

    with deployment.attributes(
        "SlowQueueUrl", RedrivePolicy=json.dumps(redrive), VisibilityTimeout="2"
    ):
        for _ in range(2):
            with deployment.killing("execute-slow", "before", "UpdateItem", about="deadly"):
                if deployment.api.ask("GET", "/v1/jobs/deadly").status != 200:
                    deployment.api.put(
                        "deadly",
                        schedule={"at": instant(from_now(1))},
                        target=http(target.url),
                        timeout_seconds=60,
                    )
        wait_until(lambda: len(deployment.api.ended("deadly")) == 1, within=60)

    (run,) = deployment.api.runs("deadly")
    assert run["state"] == "failed"
    assert "received too often" in run["error"]["message"]
    assert target.requests == []
    assert any("deadly" in body for body in deployment.dead_letters())


@pytest.fixture
def unticked(deployment: Deployment) -> Iterator[None]:
    """Turn off the schedule of the tick: a test ticks, and nobody else does."""
    with deployment.unticked():
        yield


@pytest.mark.usefixtures("unticked")
def test_a_doubled_tick_hands_every_slot_over_once(deployment: Deployment, target: Sink) -> None:
    """The API dies before it hands the slot over, so that the tick has to; and it comes thrice."""
    at = from_now(8)
    leave_to_the_tick(deployment, "ticked", at, target)

    minutes = [at - timedelta(days=1), at - timedelta(days=1), at - timedelta(days=2)]
    with ThreadPoolExecutor(len(minutes)) as ticks:
        answers = list(
            ticks.map(lambda m: deployment.invoke("tick", {"time": instant(m)}), minutes)
        )
    wait_until(lambda: len(deployment.api.ended("ticked")) == 1, within=90)

    assert answers == [None] * len(minutes), "no tick failed"
    assert_ran_once(deployment, "ticked", target)


@pytest.mark.usefixtures("unticked")
def test_a_dispatch_killed_between_send_and_claim_doubles_nothing(
    deployment: Deployment, target: Sink
) -> None:
    at = from_now(8)
    leave_to_the_tick(deployment, "sent", at, target)

    # Its message comes back after this and not after 65 s.
    with deployment.attributes("ShardQueueUrl", VisibilityTimeout="2"):
        with deployment.killing("dispatch", "after", "SendMessageBatch", about="sent"):
            deployment.invoke("tick", {"time": instant(at - timedelta(days=3))})
        wait_until(lambda: len(messages_about(deployment, "sent")) == 2, within=60)
    wait_until(lambda: len(deployment.api.ended("sent")) == 1, within=90)

    assert_ran_once(deployment, "sent", target)
    assert len(messages_about(deployment, "sent")) == 2, "the claim came through"


def messages_about(deployment: Deployment, job_id: str) -> list[Any]:
    """Return the dispatches' requests that sent messages about a job."""
    calls = deployment.calls("dispatch", "SendMessageBatch")
    return [call for call in calls if job_id in call["of"]]


def leave_to_the_tick(deployment: Deployment, job_id: str, at: datetime, target: Sink) -> None:
    """Create a job whose only slot the API did not hand over: it died once the job stood."""
    with deployment.killing("api", "before", "BatchWriteItem", about=job_id):
        body = {"schedule": {"at": instant(at)}, "target": http(target.url)}
        assert deployment.api.ask("PUT", f"/v1/jobs/{job_id}", body).status >= 500
    assert deployment.api.get(f"/v1/jobs/{job_id}")["next_run_at"] == instant(at)


def assert_ran_once(deployment: Deployment, job_id: str, target: Sink) -> None:
    """Assert that a job has one run, which called its target once."""
    (run,) = deployment.api.runs(job_id)
    assert (run["state"], run["attempt"]) == ("succeeded", 1)
    assert Counter(r.header("Idempotency-Key") for r in target.requests) == {run["id"]: 1}
