"""Findings of cdk-nag that stand, each on one resource and with its reason."""

from aws_cdk import Acknowledgment, CfnElement, Validations
from constructs import IConstruct

from infra.constructs.function import Function
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
    for route in stack.api.reports:
        _waive(
            route,
            "APIG4",
            "A target brings the token of its attempt, whose digest only the run's own record has."
            " The function checks it before anything else, and the stage bounds how often.",
        )
    _waive(
        stack.results.resource,
        "S1",
        "Only functions get at it, whose every call of a target and every answer to a user is on"
        " record already; a log of theirs here would be as long, and tell nothing more.",
    )
    bucket = stack.get_logical_id(_resource_of(stack.results.resource))
    for function in (stack.api.function, stack.fast.function, stack.slow.function):
        _waive(
            _policy_of(function),
            f"IAM5[Resource::<{bucket}.Arn>/results/*]",
            "Results are called by what is in them, so that no name is known before; what begins"
            " with results/ is all that the bucket is there for.",
        )
    for function in (stack.fast.function, stack.slow.function):
        _waive(
            _policy_of(function),
            "IAM5[Resource::arn:<AWS::Partition>:secretsmanager:<AWS::Region>:<AWS::AccountId>"
            ":secret:punctual/*]",
            "Which secrets jobs name is not known when this is deployed. Their names say that they"
            " are meant for it, and whose they are: an executor reads none of another tenant.",
        )
        for account in ("<AWS::AccountId>", *stack.config.target_accounts):
            _waive(
                _policy_of(function),
                f"IAM5[Resource::arn:<AWS::Partition>:iam::{account}:role/punctual-target-*]",
                "Which roles jobs name is not known when this is deployed. A role decides itself"
                " who may take it: its trust policy demands the external id of one tenant.",
            )
    for function in stack.functions:
        _waive(
            function.resource,
            "L1",
            "The layer's wheels are built and tested for Python 3.13. A newer runtime comes with a"
            " change of the layer and its tests, not by itself.",
        )


def _policy_of(function: Function) -> IConstruct:
    return function.role.node.find_child("DefaultPolicy")


def _resource_of(construct: IConstruct) -> CfnElement:
    resource = construct.node.default_child
    assert isinstance(resource, CfnElement), "it stands for one resource"
    return resource


def _waive(construct: IConstruct, rule: str, reason: str) -> None:
    Validations.of(construct).acknowledge(
        Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason)
    )
