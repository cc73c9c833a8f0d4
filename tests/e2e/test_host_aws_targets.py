"""The host on one machine calls AWS services, which MiniStack runs in another process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from infra.ministack import ACCOUNT
from tests.support.aws_engine import client
from tests.support.aws_targets import REGION
from tests.support.host import Host, host, wait_until

pytestmark = pytest.mark.e2e

SLEEPS = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 8, "End": True}}}
ONCE = {"at": "2026-01-01T00:00:00Z"}


@pytest.fixture
def running(tmp_path: Path, ministack: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Run a host whose AWS is MiniStack, as whoever the environment says."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with host(tmp_path) as started:
        yield started


def ended_run(running: Host, job_id: str) -> Any:
    """Return the one run of a job, once it has its outcome."""
    wait_until(lambda: len(running.api.ended(job_id)) == 1, within=60)
    (run,) = running.api.runs(job_id)
    return run


def test_a_run_sends_a_message(running: Host, ministack: str) -> None:
    sqs = client("sqs", ministack)
    queue_url = sqs.create_queue(QueueName=f"q-{uuid4().hex[:8]}")["QueueUrl"]
    target = {"type": "sqs", "queue_url": queue_url, "body": {"run": "{{run_id}}"}}

    running.api.put("hello", schedule=ONCE, start_deadline_seconds=1_209_600, target=target)

    run = ended_run(running, "hello")
    assert (run["state"], run["error"]) == ("succeeded", None)
    (message,) = sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=2)["Messages"]
    assert json.loads(message["Body"]) == {"run": run["id"]}
    assert json.loads(run["result"]["body"]) == {"message_id": message["MessageId"]}


def test_an_execution_outlives_kill_9_of_the_host_and_is_followed_by_the_next(
    running: Host, ministack: str
) -> None:
    states = client("stepfunctions", ministack)
    machine = states.create_state_machine(
        name=f"m-{uuid4().hex[:8]}",
        definition=json.dumps(SLEEPS),
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/any",
    )["stateMachineArn"]
    target = {"type": "step_functions", "state_machine_arn": machine, "input": {"a": 1}}

    def executions() -> list[Any]:
        listed: list[Any] = states.list_executions(stateMachineArn=machine)["executions"]
        return listed

    running.api.put("report", schedule=ONCE, start_deadline_seconds=1_209_600, target=target)
    wait_until(lambda: executions() != [], within=30)
    running.kill()
    running.start()

    run = ended_run(running, "report")
    assert (run["state"], run["attempt"]) == ("succeeded", 2)
    assert [attempt["outcome"] for attempt in run["attempts"]] == ["died", "succeeded"]
    assert json.loads(run["result"]["body"]) == {"a": 1}
    (execution,) = executions()
    assert (execution["name"], execution["status"]) == (run["id"], "SUCCEEDED")
