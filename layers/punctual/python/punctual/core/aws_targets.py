"""AWS services that a run may call, as the user wrote them down.

Each type is one class here: its fields are text, documents and nothing else, so that one piece of
code writes, reads and fills them all.
"""

import json
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from punctual.core.templates import fill, json_written

JsonValue = Any


@dataclass(frozen=True, slots=True)
class Document:
    """Something that is sent: JSON, or a text as it is."""

    text: str = field(repr=False)
    is_json: bool = True

    @classmethod
    def of_json(cls, value: JsonValue) -> Self:
        """Return `value` as JSON, strings included."""
        return cls(json.dumps(value, ensure_ascii=False, separators=(",", ":")))

    @classmethod
    def of(cls, value: JsonValue) -> Self:
        """Return a string as it is, and all else as JSON."""
        return cls(value, is_json=False) if isinstance(value, str) else cls.of_json(value)

    @property
    def value(self) -> JsonValue:
        """What the user wrote."""
        return json.loads(self.text) if self.is_json else self.text

    def filled(self, values: dict[str, str]) -> "Document":
        """Return the document with its templates filled."""
        as_written = json_written if self.is_json else str
        return replace(self, text=fill(self.text, values, as_written=as_written))


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaTarget:
    """A function that is invoked, and whose answer is the result."""

    function_arn: str
    payload: Document
    role_arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SqsTarget:
    """A queue that gets a message."""

    queue_url: str
    body: Document
    message_group_id: str | None = None
    role_arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnsTarget:
    """A topic that a message is published to."""

    topic_arn: str
    message: Document
    role_arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBridgeTarget:
    """An event bus that gets an event."""

    event_bus: str
    """Its name or its ARN."""
    source: str
    detail_type: str
    detail: Document
    role_arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFunctionsTarget:
    """A state machine that is executed, and whose execution is followed to its end."""

    state_machine_arn: str
    input: Document
    role_arn: str | None = None


AwsTarget = LambdaTarget | SqsTarget | SnsTarget | EventBridgeTarget | StepFunctionsTarget

AWS_TARGETS: dict[str, type[AwsTarget]] = {
    "lambda": LambdaTarget,
    "sqs": SqsTarget,
    "sns": SnsTarget,
    "eventbridge": EventBridgeTarget,
    "step_functions": StepFunctionsTarget,
}
"""Every type by its name in the API and in records."""

_NAMES = {target: name for name, target in AWS_TARGETS.items()}


def type_of(target: AwsTarget) -> str:
    """Return the name of a target's type."""
    return _NAMES[type(target)]


def to_record(target: AwsTarget) -> dict[str, Any]:
    """Return a target as it is stored: `{"type":"sqs","queue_url":"https://…","body":{"json":…}}`.

    A field that has nothing is left out.
    """
    record: dict[str, Any] = {"type": type_of(target)}
    for each in fields(target):
        value = getattr(target, each.name)
        if isinstance(value, Document):
            record[each.name] = {"json" if value.is_json else "text": value.text}
        elif value is not None:
            record[each.name] = value
    return record


def from_record(record: dict[str, Any]) -> AwsTarget:
    """Read what `to_record` returned.

    Raises:
        KeyError, TypeError: It did not return this.
    """
    make: Any = AWS_TARGETS[record["type"]]
    target: AwsTarget = make(
        **{name: _read(value) for name, value in record.items() if name != "type"}
    )
    return target


def filled(target: AwsTarget, values: dict[str, str]) -> AwsTarget:
    """Return a target with the templates of its texts and documents filled.

    Its ARNs and URLs hold none: where a call goes is not for a run to say.
    """
    changes: dict[str, Any] = {}
    for each in fields(target):
        value = getattr(target, each.name)
        if isinstance(value, Document):
            changes[each.name] = value.filled(values)
        elif isinstance(value, str):
            changes[each.name] = fill(value, values)
    return replace(target, **changes)


def _read(value: Any) -> Document | str:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return value
    return Document(value["json"]) if "json" in value else Document(value["text"], is_json=False)
