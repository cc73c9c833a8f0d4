"""A stack's template as a test asks about it: by type, and by the names that constructs have."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.app import make_app
from infra.config import StageConfig

FUNCTIONS = {
    "ApiFunction": "api",
    "TickerTickFunction": "tick",
    "DispatcherDispatchFunction": "dispatch",
    "FastExecuteFunction": "execute-fast",
    "SlowExecuteFunction": "execute-slow",
    "UndertakerDeadLettersFunction": "dead_letters",
}
"""What each function is called in logs, by what its resource's name begins with."""

QUEUES = {
    "QueuesFast": "fast",
    "QueuesSlow": "slow",
    "QueuesExhausted": "exhausted",
    "QueuesDeadLetters": "dead-letters",
    "QueuesShards": "shards",
}

_HASH = re.compile(r"[0-9A-F]{8}$")


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a template."""

    name: str
    """As constructs made it, without the hash at its end."""
    logical_id: str
    properties: Mapping[str, Any]
    whole: Mapping[str, Any]


class Template:
    """A template to ask about."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body

    def all(self, kind: str) -> list[Resource]:
        """Return the resources of a type, such as `AWS::SQS::Queue`."""
        return [
            Resource(_HASH.sub("", logical_id), logical_id, each.get("Properties", {}), each)
            for logical_id, each in self.body["Resources"].items()
            if each["Type"] == kind
        ]

    def one(self, kind: str, name: str = "") -> Resource:
        """Return the only resource of a type, or of a type and a name."""
        found = [each for each in self.all(kind) if name in {"", each.name}]
        assert len(found) == 1, f"{len(found)} resources {kind} {name}"
        return found[0]

    def functions(self) -> dict[str, Resource]:
        """Return the functions by what they are called in logs."""
        return {FUNCTIONS[each.name]: each for each in self.all("AWS::Lambda::Function")}

    def queues(self) -> dict[str, Resource]:
        """Return the queues by the names of their definitions."""
        return {QUEUES[each.name]: each for each in self.all("AWS::SQS::Queue")}

    def name_of(self, reference: Any) -> str:
        """Return what a `Ref` or the ARN in a `Fn::GetAtt` leads to, by its construct's name."""
        match reference:
            case {"Ref": str(logical_id)} | {"Fn::GetAtt": [str(logical_id), "Arn"]}:
                return _HASH.sub("", logical_id)
            case {"Fn::Join": ["", list(parts)]}:
                return "".join(map(self.name_of, parts))
            case str():
                return reference
            case _:
                raise AssertionError(f"an unexpected reference: {reference}")

    def statements(self, role: str) -> list[dict[str, Any]]:
        """Return the policy statements of a role, their resources by name."""
        return [
            {
                "effect": statement["Effect"],
                "actions": sorted(_listed(statement["Action"])),
                "resources": sorted(map(self.name_of, _listed(statement["Resource"]))),
                **({"conditions": statement["Condition"]} if "Condition" in statement else {}),
            }
            for policy in self.all("AWS::IAM::Policy")
            if {"Ref": role} in policy.properties["Roles"]
            for statement in policy.properties["PolicyDocument"]["Statement"]
        ]

    def role_of(self, function: Resource) -> str:
        """Return the logical id of a function's role."""
        role: str = function.properties["Role"]["Fn::GetAtt"][0]
        return role


def synthesise(config: StageConfig) -> Template:
    """Return the template of a stage; layers are not built for it."""
    assembly = make_app(config).synth()
    return Template(assembly.get_stack_by_name(f"Punctual-{config.name}").template)


def _listed(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, list) else [value]
