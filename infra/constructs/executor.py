"""The executors of one lane: one code, deployed twice."""

from datetime import timedelta

from aws_cdk import Stack, aws_lambda, aws_lambda_event_sources, aws_sqs
from constructs import Construct

from infra.config import Pollers, StageConfig
from infra.constructs.function import Base, Code, Function

LANES = ("fast", "slow")

SECRETS_PREFIX = "punctual/"
"""What the names of secrets begin with that executors may read for the calls of jobs."""

ROLES_PREFIX = "punctual-target-"
"""What the names of roles begin with that executors may call AWS targets as."""


def service_of(lane: str) -> str:
    """Return what the executors of a lane are called in logs and metrics."""
    return f"execute-{lane}"


class Executor(Construct):
    """The function of one lane, fed by the lane's queue in batches of up to ten runs."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        base: Base,
        *,
        lane: str,
        queue: aws_sqs.IQueue,
        timeout: timedelta,
        public_url: str,
        pollers: Pollers | None = None,
    ) -> None:
        super().__init__(scope, name)
        environment = {
            "TABLE_NAME": base.table.resource.table_name,
            "LANE": lane,
            "FAST_QUEUE_URL": base.queues.fast.queue_url,
            "SLOW_QUEUE_URL": base.queues.slow.queue_url,
            "DEAD_QUEUE_URL": base.queues.dead_letters.queue_url,
            "RESULTS_BUCKET": base.results.resource.bucket_name,
            "PUBLIC_URL": public_url,
            "EXTERNAL_ID": f"punctual:{base.config.name}",
        }
        if base.config.on_this_machine:
            environment["ALLOW_PRIVATE_TARGETS"] = "true"
        self.function = Function(
            self,
            "Execute",
            Code(
                folder="execute",
                service=service_of(lane),
                # Lateness is CPU: ten starts and ten handshakes go out at once, and take 12 ms of a
                # CPU, of which this is a fifth. Memory is no bound: 80 MB are used.
                memory_mb=384,
                timeout=timeout,
            ),
            base=base,
            environment=environment,
        )
        self.function.allow(
            [
                "dynamodb:BatchGetItem",
                "dynamodb:BatchWriteItem",
                "dynamodb:DeleteItem",
                "dynamodb:PartiQLDelete",
                "dynamodb:PartiQLInsert",
                "dynamodb:PartiQLUpdate",
                "dynamodb:PutItem",
                "dynamodb:Query",
                "dynamodb:UpdateItem",
            ],
            base.table.resource.table_arn,
        )
        self.function.allow(["sqs:SendMessage"], base.queues.dead_letters.queue_arn)
        self.function.allow(["s3:PutObject"], base.results.objects_arn)
        self.function.allow(["secretsmanager:GetSecretValue"], _secrets_of_targets(self))
        self.function.allow(["sts:AssumeRole"], *_roles_of_targets(self, base.config))
        self.function.resource.add_event_source(
            aws_lambda_event_sources.SqsEventSource(
                queue,
                batch_size=10,
                report_batch_item_failures=True,
                max_concurrency=base.config.executors_max if pollers is None else None,
                provisioned_poller_config=None if pollers is None else _ready(pollers),
            )
        )


def _secrets_of_targets(scope: Construct) -> str:
    """Return how the secrets are called that jobs may name: `punctual/<tenant>/…`."""
    stack = Stack.of(scope)
    place = f"{stack.partition}:secretsmanager:{stack.region}:{stack.account}"
    return f"arn:{place}:secret:{SECRETS_PREFIX}*"


def _roles_of_targets(scope: Construct, config: StageConfig) -> list[str]:
    """Return how the roles are called that AWS targets may name, in each account they may be in."""
    stack = Stack.of(scope)
    return [
        f"arn:{stack.partition}:iam::{account}:role/{ROLES_PREFIX}*"
        for account in (stack.account, *config.target_accounts)
    ]


def _ready(pollers: Pollers) -> aws_lambda.ProvisionedPollerConfig:
    return aws_lambda.ProvisionedPollerConfig(
        minimum_pollers=pollers.least, maximum_pollers=pollers.most
    )
