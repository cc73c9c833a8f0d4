"""The dispatch: hands over what is due, and looks again at what should have ended."""

from aws_cdk import aws_lambda_event_sources
from constructs import Construct

from infra.constructs.function import Base, Code, Function
from infra.definitions import DISPATCH_TIMEOUT, DUE

DISPATCH = Code(folder="dispatch", service="dispatch", memory_mb=1024, timeout=DISPATCH_TIMEOUT)


class Dispatcher(Construct):
    """The function, fed by the shard queue: one message at a time for each group of shards."""

    def __init__(self, scope: Construct, name: str, base: Base) -> None:
        super().__init__(scope, name)
        self.function = Function(
            self,
            "Dispatch",
            DISPATCH,
            base=base,
            environment={
                "TABLE_NAME": base.table.resource.table_name,
                "FAST_QUEUE_URL": base.queues.fast.queue_url,
                "SLOW_QUEUE_URL": base.queues.slow.queue_url,
                **({} if base.config.jwt is None else {"MANY_TENANTS": "true"}),
            },
        )
        self.function.allow(
            ["dynamodb:Query"], base.table.resource.table_arn, base.table.arn_of(DUE)
        )
        self.function.allow(
            [
                "dynamodb:BatchGetItem",
                "dynamodb:BatchWriteItem",
                "dynamodb:PartiQLInsert",
                "dynamodb:PartiQLUpdate",
                "dynamodb:PutItem",
                "dynamodb:UpdateItem",
            ],
            base.table.resource.table_arn,
        )
        self.function.allow(
            ["sqs:SendMessage"], base.queues.fast.queue_arn, base.queues.slow.queue_arn
        )
        self.function.resource.add_event_source(
            aws_lambda_event_sources.SqsEventSource(
                base.queues.shards,
                # A second message would be of another group, which has a function of its own.
                batch_size=1,
                report_batch_item_failures=True,
            )
        )
