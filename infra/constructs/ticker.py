"""The tick: once a minute, a message for every group of shards."""

import json

from aws_cdk import Duration, Stack, aws_iam, aws_scheduler
from constructs import Construct

from infra.constructs.function import Base, Code, Function
from infra.definitions import TICK_TIMEOUT

TICK = Code(folder="tick", service="tick", memory_mb=256, timeout=TICK_TIMEOUT)


class Ticker(Construct):
    """The schedule and the function it calls.

    A tick that fails is hardly worth repeating: it is repeated within its own minute or not at
    all, since the next one asks for the same work.
    """

    def __init__(self, scope: Construct, name: str, base: Base) -> None:
        super().__init__(scope, name)
        self.function = Function(
            self,
            "Tick",
            TICK,
            base=base,
            environment={
                "SHARD_QUEUE_URL": base.queues.shards.queue_url,
                "SHARDS_PER_MESSAGE": str(base.config.shards_per_message),
            },
        )
        self.function.allow(["sqs:SendMessage"], base.queues.shards.queue_arn)
        self.function.resource.configure_async_invoke(
            max_event_age=Duration.minutes(1), retry_attempts=0
        )
        self._schedule()

    def _schedule(self) -> None:
        role = aws_iam.Role(
            self,
            "ScheduleRole",
            assumed_by=aws_iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            ),
        )
        arn = self.function.resource.function_arn
        role.add_to_policy(
            aws_iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[arn])
        )
        schedule = aws_scheduler.CfnSchedule(
            self,
            "EveryMinute",
            description="Wakes every shard of Punctual",
            schedule_expression="cron(* * * * ? *)",
            flexible_time_window=aws_scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=aws_scheduler.CfnSchedule.TargetProperty(
                arn=arn,
                role_arn=role.role_arn,
                # The minute it is for, so that a tick that comes twice or late is known as such.
                input=json.dumps({"time": "<aws.scheduler.scheduled-time>"}),
                retry_policy=aws_scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=60, maximum_retry_attempts=2
                ),
            ),
        )
        # Without its permission the first tick fails.
        schedule.node.add_dependency(role)
