"""AWS targets and the services themselves, as MiniStack runs them.

It never throttles and never fails, so what a service in trouble leads to is in `test_aws_faults`.
Its functions see no client context, and every error of theirs is a `Runtime.HandlerError`; what is
sent and read of both is in the tests of the unit.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BytesIO
from typing import Any
from uuid import uuid4
from zipfile import ZipFile

import pytest

from infra.ministack import ACCOUNT
from punctual.adapters.targets.aws.carrier import AwsTargets
from punctual.core.aws_targets import (
    Document,
    EventBridgeTarget,
    LambdaTarget,
    SnsTarget,
    SqsTarget,
    StepFunctionsTarget,
)
from punctual.core.calls import CallError, ErrorType, Verdict, judge
from tests.support.aws_engine import client
from tests.support.aws_targets import REGION, an_aws_call, aws_targets
from tests.support.builders import SECOND
from tests.support.calls import answer_to, collect_all

pytestmark = pytest.mark.emulator

ROLE = f"arn:aws:iam::{ACCOUNT}:role/any"
LABELS = {
    "Punctual-Job-Id": "report",
    "Punctual-Run-Id": "report.20261201T090000Z",
    "Punctual-Scheduled-At": "2026-12-01T09:00:00Z",
    "Punctual-Attempt": "1",
}

CODE = """
import time

def lambda_handler(event, context):
    print("working on", event["do"])
    if event["do"] == "fail":
        raise ValueError("there is no such report")
    if event["do"] == "sleep":
        time.sleep(20)
    if event["do"] == "tell much":
        return "x" * 2000
    return event
"""


@pytest.fixture
def aws(ministack: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsTargets]:
    """Open targets whose services are MiniStack's."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with closing(aws_targets(ministack)) as targets:
        yield targets


@pytest.fixture
def queue_url(ministack: str) -> str:
    return make_queue(ministack)


def make_queue(ministack: str, *, fifo: bool = False) -> str:
    name = f"q-{uuid4().hex[:8]}" + (".fifo" if fifo else "")
    attributes = {"FifoQueue": "true"} if fifo else {}
    url: str = client("sqs", ministack).create_queue(QueueName=name, Attributes=attributes)[
        "QueueUrl"
    ]
    return url


def messages_of(ministack: str, queue_url: str) -> list[dict[str, Any]]:
    """Return the messages of a queue."""
    answer = client("sqs", ministack).receive_message(
        QueueUrl=queue_url,
        MaxNumberOfMessages=10,
        WaitTimeSeconds=2,
        MessageAttributeNames=["All"],
        AttributeNames=["All"],
    )
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


class TestSqs:
    """Messages to queues."""

    def test_a_message_tells_whose_run_it_is(
        self, aws: AwsTargets, ministack: str, queue_url: str
    ) -> None:
        target = SqsTarget(queue_url=queue_url, body=Document('{"a":1}'))

        given = answer_to(aws, an_aws_call(target))

        assert (given.error, given.status_code) == (None, 200)
        (message,) = messages_of(ministack, queue_url)
        assert json.loads(given.body) == {"message_id": message["MessageId"]}
        assert message["Body"] == '{"a":1}'
        attributes = message["MessageAttributes"].items()
        assert {name: value["StringValue"] for name, value in attributes} == LABELS

    def test_a_fifo_queue_takes_the_message_of_a_run_once_however_often_it_is_attempted(
        self, aws: AwsTargets, ministack: str
    ) -> None:
        queue_url = make_queue(ministack, fifo=True)
        target = SqsTarget(queue_url=queue_url, body=Document("{}"))
        for attempt in (1, 2):
            assert answer_to(aws, an_aws_call(target, attempt=attempt)).error is None

        (message,) = messages_of(ministack, queue_url)
        assert message["Attributes"]["MessageGroupId"] == "report"
        assert message["Attributes"]["MessageDeduplicationId"] == "report.20261201T090000Z"

    def test_a_queue_that_is_not_there_is_final(self, aws: AwsTargets, queue_url: str) -> None:
        call = an_aws_call(SqsTarget(queue_url=queue_url + "-gone", body=Document("{}")))

        given = answer_to(aws, call)

        assert given.error is not None
        assert given.error.type == ErrorType.NOT_FOUND
        assert judge(call, given) is Verdict.FINAL


class TestSns:
    """Messages to topics."""

    def test_a_message_reaches_who_is_subscribed_and_tells_whose_run_it_is(
        self, aws: AwsTargets, ministack: str, queue_url: str
    ) -> None:
        sns, sqs = client("sns", ministack), client("sqs", ministack)
        topic = sns.create_topic(Name=f"t-{uuid4().hex[:8]}")["TopicArn"]
        queue = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue["Attributes"]["QueueArn"])

        given = answer_to(aws, an_aws_call(SnsTarget(topic_arn=topic, message=Document('{"a":1}'))))

        assert given.error is None
        (message,) = messages_of(ministack, queue_url)
        told = json.loads(message["Body"])
        assert json.loads(given.body) == {"message_id": told["MessageId"]}
        assert told["Message"] == '{"a":1}'
        attributes = told["MessageAttributes"].items()
        assert {name: value["Value"] for name, value in attributes} == LABELS

    def test_a_topic_that_is_not_there_is_final(self, aws: AwsTargets) -> None:
        topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:gone"
        call = an_aws_call(SnsTarget(topic_arn=topic, message=Document("{}")))

        given = answer_to(aws, call)

        assert given.error is not None
        assert given.error.type == ErrorType.NOT_FOUND
        assert judge(call, given) is Verdict.FINAL


class TestEventBridge:
    """Events to buses."""

    def test_an_event_reaches_who_has_a_rule_for_it(
        self, aws: AwsTargets, ministack: str, queue_url: str
    ) -> None:
        events, sqs = client("events", ministack), client("sqs", ministack)
        bus = f"b-{uuid4().hex[:8]}"
        arn = events.create_event_bus(Name=bus)["EventBusArn"]
        events.put_rule(
            Name="all",
            EventBusName=bus,
            EventPattern=json.dumps({"resources": ["punctual:run:report.20261201T090000Z"]}),
        )
        queue = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        events.put_targets(
            Rule="all",
            EventBusName=bus,
            Targets=[{"Id": "queue", "Arn": queue["Attributes"]["QueueArn"]}],
        )
        target = EventBridgeTarget(
            event_bus=arn,
            source="acme.reports",
            detail_type="Report due",
            detail=Document('{"a":1}'),
        )

        given = answer_to(aws, an_aws_call(target))

        assert given.error is None
        (message,) = messages_of(ministack, queue_url)
        event = json.loads(message["Body"])
        assert json.loads(given.body) == {"event_id": event["id"]}
        assert (event["source"], event["detail-type"]) == ("acme.reports", "Report due")
        assert event["detail"] == {"a": 1}


MakeFunction = Callable[[], str]


@pytest.fixture(scope="module")
def function_arn(ministack: str) -> str:
    """Make a function that does as it is told."""
    code = BytesIO()
    with ZipFile(code, "w") as file:
        file.writestr("handler.py", CODE)
    arn: str = client("lambda", ministack).create_function(
        FunctionName=f"f-{uuid4().hex[:8]}",
        Runtime="python3.13",
        Role=ROLE,
        Handler="handler.lambda_handler",
        Code={"ZipFile": code.getvalue()},
        Timeout=30,
    )["FunctionArn"]
    return arn


def to_do(function_arn: str, what: str) -> LambdaTarget:
    return LambdaTarget(function_arn=function_arn, payload=Document(json.dumps({"do": what})))


class TestLambda:
    """Functions that are invoked."""

    def test_what_a_function_returns_is_the_result_and_its_tail_log_the_log(
        self, aws: AwsTargets, function_arn: str
    ) -> None:
        given = answer_to(aws, an_aws_call(to_do(function_arn, "tell")))

        assert (given.error, given.status_code) == (None, 200)
        assert json.loads(given.body) == {"do": "tell"}
        assert "working on tell" in given.log

    def test_an_answer_that_is_too_long_for_the_record_is_put_where_long_ones_are_kept(
        self, aws: AwsTargets, function_arn: str
    ) -> None:
        given = answer_to(aws, an_aws_call(to_do(function_arn, "tell much")))

        assert given.body_bytes == 2002
        assert given.body == b'"' + 499 * b"x"
        assert given.stored is not None

    def test_a_function_that_raises_has_failed_and_may_be_tried_again(
        self, aws: AwsTargets, function_arn: str
    ) -> None:
        call = an_aws_call(to_do(function_arn, "fail"))

        given = answer_to(aws, call)

        assert given.error == CallError(
            type=ErrorType.FUNCTION_ERROR, message="Runtime.HandlerError: there is no such report"
        )
        assert judge(call, given) is Verdict.RETRYABLE

    def test_a_function_that_is_not_there_is_final(self, aws: AwsTargets) -> None:
        gone = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:gone"
        call = an_aws_call(to_do(gone, "tell"))

        given = answer_to(aws, call)

        assert given.error is not None
        assert given.error.type == ErrorType.NOT_FOUND
        assert judge(call, given) is Verdict.FINAL

    def test_a_function_that_takes_longer_than_the_attempt_is_no_longer_waited_for(
        self, aws: AwsTargets, function_arn: str
    ) -> None:
        call = an_aws_call(to_do(function_arn, "sleep"), timeout=2 * SECOND)

        given = answer_to(aws, call)

        assert given.error == CallError(
            type=ErrorType.TIMEOUT, message="not over within 2 s; the function may go on"
        )
        assert judge(call, given) is Verdict.TIMED_OUT


SLEEPS = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}
PASSES = {
    "StartAt": "Pass",
    "States": {"Pass": {"Type": "Pass", "Result": {"done": True}, "End": True}},
}
FAILS = {
    "StartAt": "Fail",
    "States": {"Fail": {"Type": "Fail", "Error": "NoReport", "Cause": "there is none."}},
}


class TestStepFunctions:
    """Executions that are followed to their end."""

    @pytest.fixture(autouse=True)
    def service(self, ministack: str) -> None:
        self.states = client("stepfunctions", ministack)

    def machine(self, definition: dict[str, Any]) -> StepFunctionsTarget:
        """Make a state machine, and return the target that it is."""
        made = self.states.create_state_machine(
            name=f"m-{uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=ROLE
        )
        return StepFunctionsTarget(
            state_machine_arn=made["stateMachineArn"], input=Document('{"a":1}')
        )

    def executions(self, target: StepFunctionsTarget) -> list[tuple[str, str]]:
        """Return the names of a machine's executions, and how each stands, oldest first."""
        listed = self.states.list_executions(stateMachineArn=target.state_machine_arn)
        return sorted((each["name"], each["status"]) for each in listed["executions"])

    def test_the_output_of_an_execution_is_the_result(self, aws: AwsTargets) -> None:
        target = self.machine(PASSES)

        given = answer_to(aws, an_aws_call(target))

        assert (given.error, given.status_code) == (None, 200)
        assert json.loads(given.body) == {"done": True}
        assert self.executions(target) == [("report.20261201T090000Z", "SUCCEEDED")]

    def test_an_execution_that_fails_has_failed_and_the_next_attempt_starts_another(
        self, aws: AwsTargets
    ) -> None:
        target = self.machine(FAILS)
        call = an_aws_call(target)

        given = answer_to(aws, call)

        assert given.error == CallError(
            type=ErrorType.EXECUTION_FAILED,
            message="the execution ended as FAILED: NoReport: there is none",
        )
        assert judge(call, given) is Verdict.RETRYABLE
        again = an_aws_call(target, attempt=2, failed_with=(ErrorType.EXECUTION_FAILED,))
        assert answer_to(aws, again).error == given.error
        assert self.executions(target) == [
            ("report.20261201T090000Z", "FAILED"),
            ("report.20261201T090000Z-2", "FAILED"),
        ]

    @pytest.mark.parametrize("definition", [PASSES, FAILS, SLEEPS], ids=["over", "failed", "on"])
    def test_an_attempt_that_takes_over_follows_the_execution_that_was_started_before(
        self, aws: AwsTargets, definition: dict[str, Any]
    ) -> None:
        target = self.machine(definition)
        self.states.start_execution(
            stateMachineArn=target.state_machine_arn, name="report.20261201T090000Z", input="{}"
        )

        given = answer_to(aws, an_aws_call(target, attempt=2, timeout=2 * SECOND))

        kinds = {"over": None, "failed": ErrorType.EXECUTION_FAILED, "on": ErrorType.TIMEOUT}
        expected = {id(PASSES): "over", id(FAILS): "failed", id(SLEEPS): "on"}[id(definition)]
        assert (given.error and given.error.type) == kinds[expected]
        assert len(self.executions(target)) == 1

    def test_an_execution_that_outlasts_its_attempt_is_stopped_and_the_next_starts_another(
        self, aws: AwsTargets
    ) -> None:
        target = self.machine(SLEEPS)
        call = an_aws_call(target, timeout=2 * SECOND)

        given = answer_to(aws, call)

        assert given.error == CallError(
            type=ErrorType.TIMEOUT, message="not over within 2 s; the execution was stopped"
        )
        assert judge(call, given) is Verdict.TIMED_OUT
        assert self.executions(target) == [("report.20261201T090000Z", "ABORTED")]
        (line,) = given.log
        assert line.startswith("execution started: arn:aws:states:")
        answer_to(
            aws,
            an_aws_call(target, attempt=2, failed_with=(ErrorType.TIMEOUT,), timeout=2 * SECOND),
        )
        assert self.executions(target) == [
            ("report.20261201T090000Z", "ABORTED"),
            ("report.20261201T090000Z-2", "ABORTED"),
        ]

    def test_cancel_stops_the_execution(self, aws: AwsTargets) -> None:
        target = self.machine(SLEEPS)
        call = an_aws_call(target)
        aws.launch([call])
        while not self.executions(target):
            assert not aws.collect(wait=SECOND / 10)

        aws.abort(call)

        (given,) = collect_all(aws, [call])
        assert given.error == CallError(
            type=ErrorType.ABORTED, message="Punctual stopped waiting; the execution was stopped"
        )
        assert self.executions(target) == [("report.20261201T090000Z", "ABORTED")]

    def test_an_execution_goes_on_that_another_attempt_follows(self, aws: AwsTargets) -> None:
        target = self.machine(SLEEPS)
        call = an_aws_call(target)
        aws.launch([call])
        while not self.executions(target):
            assert not aws.collect(wait=SECOND / 10)

        aws.abort(call, leave=True)

        (given,) = collect_all(aws, [call])
        assert given.error is not None
        assert given.error.type == ErrorType.ABORTED
        assert self.executions(target) == [("report.20261201T090000Z", "RUNNING")]

    def test_an_execution_goes_on_while_its_executor_is_replaced(self, aws: AwsTargets) -> None:
        target = self.machine(SLEEPS)
        call = an_aws_call(target)
        aws.launch([call])
        while not self.executions(target):
            assert not aws.collect(wait=SECOND / 10)

        aws.close()

        assert self.executions(target) == [("report.20261201T090000Z", "RUNNING")]

    def test_a_state_machine_that_is_not_there_is_final(self, aws: AwsTargets) -> None:
        gone = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:gone"
        call = an_aws_call(StepFunctionsTarget(state_machine_arn=gone, input=Document("{}")))

        given = answer_to(aws, call)

        assert given.error is not None
        assert given.error.type == ErrorType.NOT_FOUND
        assert judge(call, given) is Verdict.FINAL
