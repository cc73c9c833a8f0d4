"""AWS targets for tests: calls to make, and what carries them out."""

from typing import Any

from punctual.adapters.targets.aws.carrier import AwsTargets
from punctual.adapters.targets.aws.clients import Clients
from punctual.core.aws_calls import AwsCall
from punctual.core.aws_targets import (
    AwsTarget,
    Document,
    EventBridgeTarget,
    LambdaTarget,
    SnsTarget,
    SqsTarget,
    StepFunctionsTarget,
)
from tests.support.calls import PATIENCE
from tests.support.clock import NINE
from tests.support.keeping import MemoryResults

REGION = "eu-central-1"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/punctual-target-reports"

EVERY_TARGET: dict[str, AwsTarget] = {
    "lambda": LambdaTarget(
        function_arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:report",
        payload=Document('{"slot":"2026"}'),
    ),
    "sqs": SqsTarget(
        queue_url=f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/reports", body=Document("{}")
    ),
    "sns": SnsTarget(
        topic_arn=f"arn:aws:sns:{REGION}:{ACCOUNT}:reports", message=Document("hi", is_json=False)
    ),
    "eventbridge": EventBridgeTarget(
        event_bus=f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/reports",
        source="acme.reports",
        detail_type="Report due",
        detail=Document("{}"),
    ),
    "step_functions": StepFunctionsTarget(
        state_machine_arn=f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:report",
        input=Document("{}"),
    ),
}
"""One of each type."""


def an_aws_call(target: AwsTarget, **fields: Any) -> AwsCall:
    """Return the call of the first attempt of the run of nine o'clock."""
    values: dict[str, Any] = {
        "tenant": "acme",
        "job_id": "report",
        "run_id": "report.20261201T090000Z",
        "scheduled_at": NINE,
        "attempt": 1,
        "target": target,
        "timeout": PATIENCE,
    }
    return AwsCall(**values | fields)


def aws_targets(endpoint: str | None = None, **options: Any) -> AwsTargets:
    """Open AWS targets that call an emulator, and keep long results in memory."""
    values: dict[str, Any] = {
        "clients": Clients(external_id="punctual:test", endpoint=endpoint),
        "results": MemoryResults(),
    }
    return AwsTargets(**values | options)
