"""AWS targets as requests describe them: one model for each type."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
)
from pydantic_core import core_schema

from punctual.api.fields import Body, Text, wrong
from punctual.core.aws_targets import (
    Document,
    EventBridgeTarget,
    LambdaTarget,
    SnsTarget,
    SqsTarget,
    StepFunctionsTarget,
)

REGION = "[a-z]{2,8}(-[a-z0-9]{1,16}){1,4}"
ACCOUNT = "[0-9]{12}"
ARN = "^arn:aws(-[a-z]{1,8}){0,3}"

FUNCTION_ARN = (
    f"{ARN}:lambda:{REGION}:{ACCOUNT}:function:[A-Za-z0-9_-]{{1,64}}(:[A-Za-z0-9$_-]{{1,128}})?$"
)
QUEUE_NAME = r"[A-Za-z0-9_-]{1,75}(\.fifo)?"
QUEUE_URL = rf"^https?://[A-Za-z0-9.:-]{{1,200}}/{ACCOUNT}/{QUEUE_NAME}$"
AWS_QUEUE_URL = (
    rf"^https://(sqs\.{REGION}|{REGION}\.queue)\.amazonaws\.com(\.cn)?/{ACCOUNT}/{QUEUE_NAME}$"
)
TOPIC_ARN = rf"{ARN}:sns:{REGION}:{ACCOUNT}:[A-Za-z0-9_-]{{1,250}}(\.fifo)?$"
BUS_NAME = r"[A-Za-z0-9._/-]{1,256}"
EVENT_BUS = f"^(arn:aws(-[a-z]{{1,8}}){{0,3}}:events:{REGION}:{ACCOUNT}:event-bus/)?{BUS_NAME}$"
STATE_MACHINE_ARN = (
    f"{ARN}:states:{REGION}:{ACCOUNT}:stateMachine:[A-Za-z0-9_-]{{1,80}}(:[A-Za-z0-9_-]{{1,80}})?$"
)
ROLE_ARN = (
    f"{ARN}:iam::{ACCOUNT}:role/([A-Za-z0-9+=,.@_-]{{1,64}}/){{0,8}}[A-Za-z0-9+=,.@_-]{{1,64}}$"
)
GROUP_ID = "^[!-~]{1,128}$"


@dataclass(frozen=True, slots=True)
class Matching:
    """Text that matches a pattern; who sends other text is told what it should be like."""

    pattern: str
    such_as: str

    def check(self, value: str) -> str:
        """Return `value` if it matches."""
        if re.fullmatch(self.pattern.removesuffix("$"), value) is None:
            raise wrong(f"should be {self.such_as}")
        return value

    def __get_pydantic_core_schema__(
        self,
        source: Any,  # noqa: ANN401 - a type
        handler: GetCoreSchemaHandler,
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return handler(schema) | {"pattern": self.pattern}


def _queue_url(value: str, info: ValidationInfo) -> str:
    assert info.context is not None, "the door says where it stands"
    pattern = AWS_QUEUE_URL if info.context["cloud"] else QUEUE_URL
    if re.fullmatch(pattern.removesuffix("$"), value) is None:
        raise wrong(
            "should be the URL of a queue,"
            " such as https://sqs.eu-central-1.amazonaws.com/123456789012/reports"
        )
    return value


def _not_empty(value: object) -> object:
    if value == "":
        raise wrong("should not be empty")
    return value


def _own_source(value: str) -> str:
    if value.startswith("aws."):
        raise wrong("begins with aws., as only the events of AWS itself may")
    return value


RoleArn = Annotated[
    str,
    Matching(
        ROLE_ARN,
        "the ARN of a role, such as arn:aws:iam::123456789012:role/punctual-target-reports",
    ),
]
FunctionArn = Annotated[
    str,
    Matching(
        FUNCTION_ARN,
        "the ARN of a function, such as arn:aws:lambda:eu-central-1:123456789012:function:report",
    ),
]
TopicArn = Annotated[
    str,
    Matching(
        TOPIC_ARN, "the ARN of a topic, such as arn:aws:sns:eu-central-1:123456789012:reports"
    ),
]
EventBus = Annotated[
    str, Matching(EVENT_BUS, "the name or the ARN of an event bus, such as default")
]
StateMachineArn = Annotated[
    str,
    Matching(
        STATE_MACHINE_ARN,
        "the ARN of a state machine,"
        " such as arn:aws:states:eu-central-1:123456789012:stateMachine:report",
    ),
]
GroupId = Annotated[str, Matching(GROUP_ID, "1 to 128 printable characters without spaces")]


Sent = Annotated[Any, Field(json_schema_extra={"not": {"const": ""}}), AfterValidator(_not_empty)]


class AwsBody(Body):
    """What every AWS target has in common."""

    role_arn: RoleArn | None = None
    """The role to call as; its trust policy demands the tenant's external id. Without one the call
    is made as Punctual itself, which by default may call nothing."""


class LambdaBody(AwsBody):
    """A function that is invoked; what it returns is the result."""

    type: Literal["lambda"]
    function_arn: FunctionArn
    payload: Any = Field(default_factory=dict)
    """Any JSON."""

    def to_domain(self) -> LambdaTarget:
        """Return the target."""
        return LambdaTarget(
            function_arn=self.function_arn,
            payload=Document.of_json(self.payload),
            role_arn=self.role_arn,
        )


class SqsBody(AwsBody):
    """A queue that a message is sent to."""

    type: Literal["sqs"]
    queue_url: Annotated[
        str, Field(json_schema_extra={"pattern": QUEUE_URL}), AfterValidator(_queue_url)
    ]
    """In the cloud a queue of SQS; its region is called."""
    body: Sent
    """Any JSON; a string is sent as it is."""
    message_group_id: GroupId | None = None
    """For a FIFO queue it is the job's id if nothing is said."""

    def to_domain(self) -> SqsTarget:
        """Return the target."""
        return SqsTarget(
            queue_url=self.queue_url,
            body=Document.of(self.body),
            message_group_id=self.message_group_id,
            role_arn=self.role_arn,
        )


class SnsBody(AwsBody):
    """A topic that a message is published to."""

    type: Literal["sns"]
    topic_arn: TopicArn
    message: Sent
    """Any JSON; a string is sent as it is."""

    def to_domain(self) -> SnsTarget:
        """Return the target."""
        return SnsTarget(
            topic_arn=self.topic_arn,
            message=Document.of(self.message),
            role_arn=self.role_arn,
        )


class EventBridgeBody(AwsBody):
    """An event bus that an event is put on."""

    type: Literal["eventbridge"]
    event_bus: EventBus = "default"
    """Its name, or its ARN; a name is one of Punctual's own account and region."""
    source: Annotated[Text, Field(min_length=1, max_length=256), AfterValidator(_own_source)]
    detail_type: Annotated[Text, Field(min_length=1, max_length=128)]
    detail: dict[str, Any] = Field(default_factory=dict)

    def to_domain(self) -> EventBridgeTarget:
        """Return the target."""
        return EventBridgeTarget(
            event_bus=self.event_bus,
            source=self.source,
            detail_type=self.detail_type,
            detail=Document.of_json(self.detail),
            role_arn=self.role_arn,
        )


class StepFunctionsBody(AwsBody):
    """A state machine that is executed; how the execution ends is how the run ends."""

    type: Literal["step_functions"]
    state_machine_arn: StateMachineArn
    """Of a standard workflow."""
    input: Any = Field(default_factory=dict)
    """Any JSON."""

    def to_domain(self) -> StepFunctionsTarget:
        """Return the target."""
        return StepFunctionsTarget(
            state_machine_arn=self.state_machine_arn,
            input=Document.of_json(self.input),
            role_arn=self.role_arn,
        )
