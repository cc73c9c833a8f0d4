"""The reader of exhausted messages: records the outcome of what the queue gave up on."""

from aws_cdk import aws_lambda_event_sources
from constructs import Construct

from infra.constructs.function import Base, Code, Function
from infra.definitions import DEAD_LETTERS_TIMEOUT

DEAD_LETTERS = Code(
    folder="dead_letters", service="dead_letters", memory_mb=256, timeout=DEAD_LETTERS_TIMEOUT
)


class Undertaker(Construct):
    """The function, fed by the queue of exhausted messages."""

    def __init__(self, scope: Construct, name: str, base: Base) -> None:
        super().__init__(scope, name)
        self.function = Function(
            self,
            "DeadLetters",
            DEAD_LETTERS,
            base=base,
            environment={
                "TABLE_NAME": base.table.resource.table_name,
                "DEAD_QUEUE_URL": base.queues.dead_letters.queue_url,
            },
        )
        self.function.allow(
            [
                "dynamodb:BatchGetItem",
                "dynamodb:BatchWriteItem",
                "dynamodb:PartiQLUpdate",
                "dynamodb:UpdateItem",
            ],
            base.table.resource.table_arn,
        )
        self.function.allow(["sqs:SendMessage"], base.queues.dead_letters.queue_arn)
        self.function.resource.add_event_source(
            aws_lambda_event_sources.SqsEventSource(
                base.queues.exhausted,
                batch_size=10,
                report_batch_item_failures=True,
                # The fewest that can be asked for: there is no hurry here.
                max_concurrency=2,
            )
        )
