"""The queues."""

from collections.abc import Sequence

from aws_cdk import Duration, aws_iam, aws_sqs
from constructs import Construct

from infra.definitions import (
    DEAD_LETTERS,
    EXHAUSTED,
    FAST,
    QUEUES,
    SHARDS,
    SLOW,
    QueueDefinition,
)


class Queues(Construct):
    """Every queue of the definitions: encrypted, TLS only."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name)
        self._queues: dict[str, aws_sqs.Queue] = {}
        for definition in QUEUES.values():
            self._queues[definition.name] = self._make(definition)
        self.fast = self._queues[FAST.name]
        self.slow = self._queues[SLOW.name]
        self.exhausted = self._queues[EXHAUSTED.name]
        self.dead_letters = self._queues[DEAD_LETTERS.name]
        self.shards = self._queues[SHARDS.name]

    def _make(self, definition: QueueDefinition) -> aws_sqs.Queue:
        gives_up_to = None
        if definition.gives_up_to is not None and definition.receives_max is not None:
            gives_up_to = aws_sqs.DeadLetterQueue(
                queue=self._queues[definition.gives_up_to.name],
                max_receive_count=definition.receives_max,
            )
        return aws_sqs.Queue(
            self,
            "".join(word.capitalize() for word in definition.name.split("-")),
            # A queue that is not FIFO must not say so: CloudFormation refuses a false here.
            fifo=definition.fifo or None,
            visibility_timeout=Duration.seconds(int(definition.visibility.total_seconds())),
            retention_period=Duration.seconds(int(definition.retention.total_seconds())),
            dead_letter_queue=gives_up_to,
            encryption=aws_sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
        )


def admit_only(
    senders: Sequence[aws_iam.IRole], *, to: aws_sqs.Queue, operator_role_arns: Sequence[str]
) -> None:
    """Refuse messages to a queue from everybody but its senders and the operators.

    A permission too many somewhere in the account then puts nothing into a queue. SQS itself, which
    moves what a queue gives up on, acts under no role and is not refused.
    """
    allowed = [*(role.role_arn for role in senders), *operator_role_arns]
    conditions: dict[str, dict[str, object]] = {"Null": {"aws:PrincipalArn": "false"}}
    if allowed:
        conditions["ArnNotEquals"] = {"aws:PrincipalArn": allowed}
    to.add_to_resource_policy(
        aws_iam.PolicyStatement(
            sid="OnlyItsSenders",
            effect=aws_iam.Effect.DENY,
            principals=[aws_iam.AnyPrincipal()],
            actions=["sqs:SendMessage"],
            resources=[to.queue_arn],
            conditions=conditions,
        )
    )
