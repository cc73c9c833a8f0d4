"""What each type of AWS target asks its service for, and what it makes of the answer.

Requests and answers are held to the service's own description; nothing is sent.
"""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, TypeVar

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from punctual.adapters.targets.aws.kinds import Response, region_of
from punctual.adapters.targets.aws.registry import KINDS
from punctual.adapters.targets.aws.step_functions import (
    NAME_MAX,
    STOPPED_BY_US,
    execution_arn,
    names_of,
)
from punctual.core.aws_calls import AwsCall
from punctual.core.aws_targets import (
    AWS_TARGETS,
    Document,
    EventBridgeTarget,
    LambdaTarget,
    SnsTarget,
    SqsTarget,
    StepFunctionsTarget,
)
from punctual.core.calls import Answer, CallError, ErrorType
from tests.support.aws_targets import EVERY_TARGET, an_aws_call

T = TypeVar("T")

RUN = "report.20261201T090000Z"
LABELS = {
    "Punctual-Job-Id": "report",
    "Punctual-Run-Id": RUN,
    "Punctual-Scheduled-At": "2026-12-01T09:00:00Z",
    "Punctual-Attempt": "1",
}
ATTRIBUTES = {name: {"DataType": "String", "StringValue": value} for name, value in LABELS.items()}


class StubbedAsk:
    """Fills `Ask` with a client whose answers are written down beforehand."""

    def __init__(self, service: str) -> None:
        self.client: Any = boto3.client(
            service,  # type: ignore[call-overload]
            region_name="eu-central-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self.stubber = Stubber(self.client)
        self.left_behind: str | None = None
        self.leaving = False
        self.asked: list[str] = []
        self.log: list[str] = []
        self.pauses: list[float] = []
        self.at_pause: Callable[[int], object] = lambda _: None
        """Called with the number of each pause, from 1."""

    async def __call__(
        self, operation: str, *, read: Callable[[Response], T], **parameters: object
    ) -> T:
        self.asked.append(operation)
        return read(getattr(self.client, operation)(**parameters))

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.at_pause(len(self.pauses))
        await asyncio.sleep(0)

    def expect(self, operation: str, request: dict[str, Any], answer: dict[str, Any]) -> None:
        self.stubber.add_response(operation, answer, request)

    def refuse(self, operation: str, code: str) -> None:
        self.stubber.add_client_error(operation, code)

    def carry(self, call: AwsCall) -> Answer:
        """Carry out a call; every answer that was written down is asked for."""

        async def carried() -> Answer:
            return await KINDS[type(call.target)].carry(call, self)

        with self.stubber:
            answer = asyncio.run(carried())
            self.stubber.assert_no_pending_responses()
            return answer


@pytest.fixture
def ask(request: pytest.FixtureRequest) -> Iterator[StubbedAsk]:
    stubbed = StubbedAsk(request.param)
    yield stubbed
    stubbed.client.close()


def service(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("ask", [name], indirect=True)


def test_every_type_of_target_has_what_carries_it_out() -> None:
    assert set(KINDS) == set(AWS_TARGETS.values())
    assert set(EVERY_TARGET) == set(AWS_TARGETS)


@pytest.mark.parametrize(
    ("place", "region"),
    [
        ("arn:aws:lambda:eu-central-1:123456789012:function:report", "eu-central-1"),
        ("arn:aws-us-gov:sns:us-gov-west-1:123456789012:reports", "us-gov-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/reports", "cn-north-1"),
        ("https://eu-west-1.queue.amazonaws.com/123456789012/reports", "eu-west-1"),
        ("http://127.0.0.1:4566/123456789012/reports", None),
        ("default", None),
    ],
)
def test_a_target_is_called_in_the_region_that_it_names(place: str, region: str | None) -> None:
    assert region_of(place) == region


@service("sqs")
def test_a_message_to_a_queue(ask: StubbedAsk) -> None:
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/reports"
    ask.expect(
        "send_message",
        {
            "QueueUrl": url,
            "MessageBody": "hello",
            "MessageAttributes": ATTRIBUTES,
            "MessageGroupId": "fair",
        },
        {"MessageId": "m-1"},
    )
    target = SqsTarget(
        queue_url=url, body=Document("hello", is_json=False), message_group_id="fair"
    )

    answer = ask.carry(an_aws_call(target))

    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert answer.body == b'{"message_id": "m-1"}'


@service("sqs")
@pytest.mark.parametrize(("group", "sent"), [(None, "report"), ("mine", "mine")])
def test_a_message_to_a_fifo_queue(ask: StubbedAsk, group: str | None, sent: str) -> None:
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/reports.fifo"
    ask.expect(
        "send_message",
        {
            "QueueUrl": url,
            "MessageBody": "{}",
            "MessageAttributes": ATTRIBUTES,
            "MessageGroupId": sent,
            "MessageDeduplicationId": RUN,
        },
        {"MessageId": "m-1"},
    )

    ask.carry(an_aws_call(SqsTarget(queue_url=url, body=Document("{}"), message_group_id=group)))


@service("sns")
@pytest.mark.parametrize(
    ("end", "more"),
    [("", {}), (".fifo", {"MessageGroupId": "report", "MessageDeduplicationId": RUN})],
)
def test_a_message_to_a_topic(ask: StubbedAsk, end: str, more: dict[str, str]) -> None:
    topic = f"arn:aws:sns:eu-central-1:123456789012:reports{end}"
    ask.expect(
        "publish",
        {"TopicArn": topic, "Message": "{}", "MessageAttributes": ATTRIBUTES} | more,
        {"MessageId": "m-1"},
    )

    answer = ask.carry(an_aws_call(SnsTarget(topic_arn=topic, message=Document("{}"))))

    assert answer.body == b'{"message_id": "m-1"}'


EVENT = EventBridgeTarget(
    event_bus="default", source="acme", detail_type="Due", detail=Document('{"a":1}')
)
ENTRY = {
    "EventBusName": "default",
    "Source": "acme",
    "DetailType": "Due",
    "Detail": '{"a":1}',
    "Resources": [f"punctual:run:{RUN}"],
}


@service("events")
def test_an_event_to_a_bus(ask: StubbedAsk) -> None:
    ask.expect(
        "put_events",
        {"Entries": [ENTRY]},
        {"FailedEntryCount": 0, "Entries": [{"EventId": "e-1"}]},
    )

    assert ask.carry(an_aws_call(EVENT)).body == b'{"event_id": "e-1"}'


@service("events")
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ThrottlingException", ErrorType.SERVICE),
        ("InternalFailure", ErrorType.SERVICE),
        ("MalformedDetail", ErrorType.INVALID_REQUEST),
    ],
)
def test_an_event_that_the_bus_refuses_has_failed_though_the_request_succeeded(
    ask: StubbedAsk, code: str, kind: ErrorType
) -> None:
    ask.expect(
        "put_events",
        {"Entries": [ENTRY]},
        {"FailedEntryCount": 1, "Entries": [{"ErrorCode": code, "ErrorMessage": "No."}]},
    )

    error = ask.carry(an_aws_call(EVENT)).error

    assert error == CallError(type=kind, message=f"the bus refused the event with {code}: No")


FUNCTION = LambdaTarget(
    function_arn="arn:aws:lambda:eu-central-1:123456789012:function:report",
    payload=Document('{"a":"ü"}'),
)


def invoke(ask: StubbedAsk, returned: bytes, **more: str) -> Answer:
    """Carry out an invocation that returns this."""
    context = json.dumps({"custom": LABELS}).encode()
    ask.expect(
        "invoke",
        {
            "FunctionName": FUNCTION.function_arn,
            "InvocationType": "RequestResponse",
            "LogType": "Tail",
            "Payload": '{"a":"ü"}'.encode(),
            "ClientContext": base64.b64encode(context).decode(),
        },
        {"StatusCode": 200, "Payload": StreamingBody(BytesIO(returned), len(returned))} | more,
    )
    return ask.carry(an_aws_call(FUNCTION))


@service("lambda")
def test_what_a_function_returns_is_the_result_and_its_tail_log_the_log(ask: StubbedAsk) -> None:
    log = base64.b64encode("START\nworking ü\nEND\n".encode()).decode()

    answer = invoke(ask, b'{"done": true}', LogResult=log)

    assert (answer.error, answer.body) == (None, b'{"done": true}')
    assert answer.log == ("START", "working ü", "END")


@service("lambda")
@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (
            {"errorType": "ValueError", "errorMessage": "no such report.", "stackTrace": []},
            "ValueError: no such report",
        ),
        ({"errorType": "Runtime.ExitError"}, "Runtime.ExitError"),
        ({"errorMessage": "a\r\nb" + "x" * 999}, "a b" + "x" * 297),
        ({}, "the function failed and did not say why"),
        ("text", "the function failed and did not say why"),
    ],
)
def test_what_a_function_failed_with_is_the_error(
    ask: StubbedAsk, returned: Any, message: str
) -> None:
    """An error's own name must not pass for one of ours, so the type is always the same."""
    answer = invoke(ask, json.dumps(returned).encode(), FunctionError="Unhandled")

    assert answer.error == CallError(type=ErrorType.FUNCTION_ERROR, message=message)
    assert json.loads(answer.body) == returned


MACHINE = StepFunctionsTarget(
    state_machine_arn="arn:aws:states:eu-central-1:123456789012:stateMachine:report:live",
    input=Document("{}"),
)
EXECUTION = f"arn:aws:states:eu-central-1:123456789012:execution:report:{RUN}"


def start(ask: StubbedAsk, name: str = RUN, *, arn: str = EXECUTION) -> None:
    ask.expect(
        "start_execution",
        {"stateMachineArn": MACHINE.state_machine_arn, "name": name, "input": "{}"},
        {"executionArn": arn, "startDate": 0},
    )


def look(ask: StubbedAsk, status: str, *, execution: str = EXECUTION, **more: str) -> None:
    ask.expect(
        "describe_execution",
        {"executionArn": execution},
        {
            "executionArn": execution,
            "stateMachineArn": MACHINE.state_machine_arn,
            "startDate": 0,
            "status": status,
        }
        | more,
    )


@service("stepfunctions")
class TestAnExecution:
    """Started under a name that follows from the run, and followed to its end."""

    def test_it_is_looked_at_less_and_less_often_until_it_has_ended(self, ask: StubbedAsk) -> None:
        start(ask)
        for _ in range(8):
            look(ask, "RUNNING")
        look(ask, "SUCCEEDED", output='{"done":1}')

        answer = ask.carry(an_aws_call(MACHINE))

        assert (answer.error, answer.body) == (None, b'{"done":1}')
        assert ask.log == [f"execution started: {EXECUTION}"]
        assert [round(pause, 2) for pause in ask.pauses] == [
            0.25, 0.38, 0.56, 0.84, 1.27, 1.9, 2.85, 4.27, 5.0,
        ]  # fmt: skip

    def test_a_look_that_fails_in_passing_is_repeated(self, ask: StubbedAsk) -> None:
        start(ask)
        ask.refuse("describe_execution", "ExecutionDoesNotExist")
        ask.refuse("describe_execution", "ThrottlingException")
        look(ask, "SUCCEEDED", output="1")

        assert ask.carry(an_aws_call(MACHINE)).body == b"1"

    @pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
    def test_one_that_ends_otherwise_has_failed(self, ask: StubbedAsk, status: str) -> None:
        start(ask)
        look(ask, status, error="NoReport", cause="there is none.")

        assert ask.carry(an_aws_call(MACHINE)).error == CallError(
            type=ErrorType.EXECUTION_FAILED,
            message=f"the execution ended as {status}: NoReport: there is none",
        )

    def test_a_failure_that_is_on_record_is_passed_over_and_one_that_is_not_is_the_outcome(
        self, ask: StubbedAsk
    ) -> None:
        """Of two that failed the record has one: the attempt that saw the other end has died."""
        ask.refuse("start_execution", "ExecutionAlreadyExists")
        look(ask, "FAILED")
        ask.refuse("start_execution", "ExecutionAlreadyExists")
        look(ask, "FAILED", execution=f"{EXECUTION}-2", error="Second")
        call = an_aws_call(
            MACHINE,
            attempt=4,
            failed_with=(ErrorType.EXECUTION_FAILED, ErrorType.CONNECTION),
        )

        answer = ask.carry(call)

        assert answer.error is not None
        assert answer.error.message == "the execution ended as FAILED: Second"
        assert ask.log == [f"execution found: {EXECUTION}", f"execution found: {EXECUTION}-2"]

    def test_one_that_we_stopped_is_followed_by_another(self, ask: StubbedAsk) -> None:
        ask.refuse("start_execution", "ExecutionAlreadyExists")
        look(ask, "ABORTED", error=STOPPED_BY_US)
        start(ask, f"{RUN}-2", arn=f"{EXECUTION}-2")
        look(ask, "SUCCEEDED", execution=f"{EXECUTION}-2", output="2")

        answer = ask.carry(an_aws_call(MACHINE, attempt=2, failed_with=(ErrorType.TIMEOUT,)))

        assert answer.body == b"2"

    def test_an_express_workflow_is_none_that_can_be_followed(self, ask: StubbedAsk) -> None:
        start(ask, arn="arn:aws:states:eu-central-1:123456789012:express:report:x:y")

        error = ask.carry(an_aws_call(MACHINE)).error

        assert error is not None
        assert error.type == ErrorType.INVALID_REQUEST

    @pytest.mark.parametrize("fate", ["stopped", "not stopped", "left"])
    def test_one_whose_attempt_is_closed_is_stopped_unless_the_process_ends(
        self, ask: StubbedAsk, fate: str
    ) -> None:
        start(ask)
        ask.leaving = fate == "left"
        if fate == "stopped":
            request = {
                "executionArn": EXECUTION,
                "error": STOPPED_BY_US,
                "cause": f"attempt 1 of run {RUN} is over",
            }
            ask.expect("stop_execution", request, {"stopDate": 0})
        elif fate == "not stopped":
            ask.refuse("stop_execution", "AccessDeniedException")

        async def closed() -> None:
            going_on = asyncio.ensure_future(KINDS[StepFunctionsTarget].carry(call, ask))
            ask.at_pause = lambda _: going_on.cancel()
            with pytest.raises(asyncio.CancelledError):
                await going_on

        call = an_aws_call(MACHINE)
        with ask.stubber:
            asyncio.run(closed())
            ask.stubber.assert_no_pending_responses()
        assert ask.asked == ["start_execution"] + ["stop_execution"] * (fate != "left")
        goes_on = "the execution may go on"
        assert ask.left_behind == ("the execution was stopped" if fate == "stopped" else goes_on)


class TestNames:
    """Of executions."""

    def test_the_first_is_the_run_and_others_are_numbered(self) -> None:
        names = names_of(RUN)

        assert [next(names) for _ in range(3)] == [RUN, f"{RUN}-2", f"{RUN}-3"]

    @pytest.mark.parametrize(
        "run_id", ["report~2.20261201T090000Z", "r" * 64 + ".20261201T090000.123Z"]
    )
    def test_a_run_id_that_is_no_name_becomes_one_that_no_other_run_has(self, run_id: str) -> None:
        first = next(names_of(run_id))

        assert len(first) <= NAME_MAX
        assert set(first) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
        assert first not in {next(names_of(f"{run_id[:-1]}Y")), run_id.replace("~", "-")}

    def test_an_execution_belongs_to_the_machine_and_not_to_its_alias(self) -> None:
        assert execution_arn(MACHINE.state_machine_arn, RUN) == EXECUTION
