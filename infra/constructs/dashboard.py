"""One page that says whether runs start on time, and if not, where they wait."""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.constructs.dispatcher import DISPATCH
from infra.constructs.executor import LANES, service_of
from infra.constructs.function import Function
from infra.constructs.metrics import MINUTE, OUTCOMES, added_up, function_metric
from infra.constructs.queues import Queues
from infra.constructs.undertaker import DEAD_LETTERS


class Dashboard(Construct):
    """Lateness first; then what became of the runs; then the queues and the dispatch."""

    def __init__(self, scope: Construct, name: str, *, queues: Queues, dispatch: Function) -> None:
        super().__init__(scope, name)
        self._dashboard = cloudwatch.Dashboard(
            self, "Dashboard", default_interval=Duration.hours(3)
        )
        writers = [*(service_of(lane) for lane in LANES), DEAD_LETTERS.service]
        self._row(
            (
                "Start lateness (ms)",
                [
                    function_metric(
                        self, "StartLateness", service=service_of(lane), statistic=statistic
                    )
                    for lane in LANES
                    for statistic in ("p50", "p99")
                ],
            ),
            (
                "Runs by outcome",
                [added_up(self, outcome, services=writers) for outcome in OUTCOMES],
            ),
        )
        self._row(
            (
                "Age of the oldest message (s)",
                [
                    queue.metric_approximate_age_of_oldest_message(period=MINUTE)
                    for queue in (queues.fast, queues.slow, queues.shards, queues.exhausted)
                ],
            ),
            (
                "Messages to deal with",
                [
                    queue.metric_approximate_number_of_messages_visible(period=MINUTE)
                    for queue in (queues.fast, queues.slow, queues.exhausted, queues.dead_letters)
                ],
            ),
        )
        self._row(
            (
                "Dispatch duration (ms)",
                [
                    dispatch.resource.metric_duration(period=MINUTE, statistic=statistic)
                    for statistic in ("p50", "p99", "Maximum")
                ],
            ),
            (
                "Handed over, sent again, cut short",
                [
                    function_metric(self, name, service=DISPATCH.service)
                    for name in ("SlotsHandedOver", "RunsSentAgain", "DispatchesCutShort")
                ],
            ),
        )

    def _row(self, *graphs: tuple[str, Sequence[cloudwatch.IMetric]]) -> None:
        self._dashboard.add_widgets(
            *(
                cloudwatch.GraphWidget(title=title, left=list(metrics), width=12)
                for title, metrics in graphs
            )
        )
