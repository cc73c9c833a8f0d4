"""Findings of cdk-nag that stand, each on one resource and with its reason."""

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct

from infra.stacks.punctual import PunctualStack


def waive(stack: PunctualStack) -> None:
    """Acknowledge what we know of and mean."""
    _waive(
        stack.queues.shards,
        "SQS3",
        "A message of the tick is worth nothing after two minutes, as the tick after next asks for"
        " the same work. Dispatches that fail show in the alarms on age and on the tick.",
    )
    _waive(
        stack.api.cursor_secret,
        "SMG4",
        "It signs cursors, which live for as long as somebody reads a list. Rotation would break"
        " lists in the middle, and protect nothing that the old secret gave away.",
    )
    for function in stack.functions:
        _waive(
            function.resource,
            "L1",
            "The layer's wheels are built and tested for Python 3.13. A newer runtime comes with a"
            " change of the layer and its tests, not by itself.",
        )


def _waive(construct: IConstruct, rule: str, reason: str) -> None:
    Validations.of(construct).acknowledge(
        Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason)
    )
