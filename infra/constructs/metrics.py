"""The metrics that the functions write, under the names that they write them by."""

from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk.aws_cloudwatch import IMetric, MathExpression, Metric
from constructs import Construct

MINUTE = Duration.minutes(1)

OUTCOMES = (
    "RunsSucceeded",
    "RunsFailed",
    "RunsTimedOut",
    "RunsCancelled",
    "RunsMissed",
    "RunsSkipped",
    "RunsUnknown",
)
"""How runs end; one metric for each."""


def function_metric(scope: Construct, name: str, *, service: str, statistic: str = "Sum") -> Metric:
    """Return a metric of one function, by the minute."""
    return Metric(
        namespace=Stack.of(scope).stack_name,
        metric_name=name,
        dimensions_map={"service": service},
        statistic=statistic,
        period=MINUTE,
    )


def added_up(scope: Construct, name: str, *, services: Sequence[str]) -> IMetric:
    """Return a count that several functions write, as one; a minute without it counts as 0."""
    metrics = {
        # Unique within a graph, which may show several such sums.
        f"{name[0].lower()}{name[1:]}{number}": function_metric(scope, name, service=service)
        for number, service in enumerate(services)
    }
    return MathExpression(
        expression=" + ".join(f"FILL({key}, 0)" for key in metrics),
        using_metrics=dict(metrics),
        label=name,
        period=MINUTE,
    )
