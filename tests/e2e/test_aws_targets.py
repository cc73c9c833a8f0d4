"""The deployed stack calls AWS services under the roles that jobs name."""

import json
from uuid import uuid4

import pytest

from infra.ministack import ACCOUNT
from tests.support.deployed import Deployment
from tests.support.host import from_now, instant, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("abandoned")]

ROLE = f"arn:aws:iam::{ACCOUNT}:role/punctual-target-reports"


def test_an_executor_takes_the_role_of_the_job_for_its_tenant_and_sends_the_message(
    deployment: Deployment,
) -> None:
    sqs = deployment.client("sqs")
    queue_url = sqs.create_queue(QueueName=f"reports-{uuid4().hex[:8]}")["QueueUrl"]
    target = {
        "type": "sqs",
        "queue_url": queue_url,
        "body": {"run": "{{run_id}}"},
        "role_arn": ROLE,
    }

    deployment.api.put("message", schedule={"at": instant(from_now(1))}, target=target)
    wait_until(lambda: len(deployment.api.ended("message")) == 1, within=90)

    (run,) = deployment.api.runs("message")
    assert (run["state"], run["error"]) == ("succeeded", None)
    (message,) = sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=5)["Messages"]
    assert json.loads(message["Body"]) == {"run": run["id"]}
    (taken, *_) = deployment.calls("execute-fast", "AssumeRole")
    asked = json.loads(taken["of"])
    assert (asked["RoleArn"], asked["ExternalId"]) == (ROLE, f"punctual:local:{ACCOUNT}")


def test_what_an_executor_may_not_do_fails_the_run_for_good_and_says_so(
    deployment: Deployment,
) -> None:
    """Where the account knows of no such topic, or shows it to nobody, nothing is tried again."""
    topic = f"arn:aws:sns:us-east-1:{ACCOUNT}:gone"
    target = {"type": "sns", "topic_arn": topic, "message": "hello", "role_arn": ROLE}

    deployment.api.put("topic", schedule={"at": instant(from_now(1))}, target=target)
    wait_until(lambda: len(deployment.api.ended("topic")) == 1, within=90)

    (run,) = deployment.api.runs("topic")
    assert (run["state"], run["attempt"]) == ("failed", 1)
    assert run["error"]["type"] == "not_found"
