"""The alarms: few, each with a page that says what to do."""

from datetime import timedelta

from aws_cdk import Stack
from aws_cdk.aws_cloudwatch import (
    Alarm,
    ComparisonOperator,
    IMetric,
    TreatMissingData,
)
from aws_cdk.aws_cloudwatch_actions import SnsAction
from aws_cdk.aws_iam import ServicePrincipal
from aws_cdk.aws_sns import Topic
from aws_cdk.aws_sns_subscriptions import EmailSubscription
from aws_cdk.aws_sqs import IQueue
from constructs import Construct

from infra.config import StageConfig
from infra.constructs.dispatcher import DISPATCH
from infra.constructs.metrics import MINUTE, function_metric
from infra.constructs.queues import Queues
from infra.constructs.ticker import TICK
from infra.definitions import EXHAUSTED, FAST, SHARDS, SLOW

DELAY_MAX = timedelta(minutes=15)
"""The longest that a message is sent ahead; its age counts from when it was sent."""

AGE_MAX = {
    # Sent ahead, then received once by an executor that died.
    FAST.name: DELAY_MAX + FAST.visibility,
    SLOW.name: DELAY_MAX + SLOW.visibility,
    # Two ticks in a row found nobody to take their messages, which are forgotten after 120 s.
    SHARDS.name: timedelta(seconds=90),
    EXHAUSTED.name: 2 * EXHAUSTED.visibility,
}
"""How old the oldest message of a queue may ever get while all is well."""


class Alarms(Construct):
    """Alarms on what a person must look at, told to one topic."""

    def __init__(self, scope: Construct, name: str, *, queues: Queues, config: StageConfig) -> None:
        super().__init__(scope, name)
        self.topic = self._topic()
        if config.alarm_email is not None:
            self.topic.add_subscription(EmailSubscription(config.alarm_email))
        self._messages_wait(queues.fast, FAST.name)
        self._messages_wait(queues.slow, SLOW.name)
        self._messages_wait(queues.shards, SHARDS.name)
        self._messages_wait(queues.exhausted, EXHAUSTED.name)
        self._alarm(
            "DeadLetters",
            "A message could not be dealt with and lies in the dead letters",
            queues.dead_letters.metric_approximate_number_of_messages_visible(period=MINUTE),
            runbook="dead-letters",
            above=0,
        )
        self._alarm(
            "JobParked",
            "A job could not be read or planned, and was paused so that its shard goes on",
            function_metric(self, "JobsParked", service=DISPATCH.service),
            runbook="job-parked",
            above=0,
        )
        self._tick_is_missing()

    def _topic(self) -> Topic:
        topic = Topic(self, "Topic", display_name="Punctual alarms", enforce_ssl=True)
        # A topic with a policy of its own lacks the one by which alarms may publish.
        topic.grant_publish(
            ServicePrincipal(
                "cloudwatch.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )
        return topic

    def _messages_wait(self, queue: IQueue, name: str) -> None:
        self._alarm(
            f"OldMessage{name.capitalize()}",
            f"Messages of the queue {name} wait longer than they ever do while all is well",
            queue.metric_approximate_age_of_oldest_message(period=MINUTE),
            runbook="old-messages",
            above=AGE_MAX[name].total_seconds(),
            minutes=3,
        )

    def _tick_is_missing(self) -> None:
        """One missing tick costs nothing, three in a row are late starts."""
        self._alarm(
            "TickMissing",
            "The shards were not woken for three minutes",
            function_metric(self, "GroupsWoken", service=TICK.service),
            runbook="tick-missing",
            below=1,
            minutes=3,
        )

    def _alarm(
        self,
        name: str,
        what: str,
        metric: IMetric,
        *,
        runbook: str,
        above: float | None = None,
        below: float | None = None,
        minutes: int = 1,
    ) -> None:
        """Ring when the metric is above or below a bound for some minutes, and when it is over.

        Silence is well where a bound must not be passed from below, and ill where something must
        be there.
        """
        if below is None:
            assert above is not None, "an alarm has a bound"
            threshold, operator = above, ComparisonOperator.GREATER_THAN_THRESHOLD
            missing = TreatMissingData.NOT_BREACHING
        else:
            threshold, operator = below, ComparisonOperator.LESS_THAN_THRESHOLD
            missing = TreatMissingData.BREACHING
        alarm = Alarm(
            self,
            name,
            alarm_description=f"{what}. What to do: docs/runbooks/{runbook}.md",
            metric=metric,
            threshold=threshold,
            comparison_operator=operator,
            evaluation_periods=minutes,
            treat_missing_data=missing,
        )
        action = SnsAction(self.topic)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)
