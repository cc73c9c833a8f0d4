"""What the functions say about their work: logs and metrics, without payloads or secrets."""

from collections import Counter
from collections.abc import Iterable

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (
    AmazonCloudWatchEMFProvider,
)

from punctual.core.runs import Run, RunState
from punctual.services.dead_letters import Buried
from punctual.services.dispatch import Dispatched
from punctual.services.execute import Handled
from punctual.services.watch import Looked


class _Provider(AmazonCloudWatchEMFProvider):
    """Writes metrics where there are some: a minute in which nothing was due is no warning."""

    def flush_metrics(self, raise_on_empty_metrics: bool = False) -> None:
        if self.metric_set:
            super().flush_metrics(raise_on_empty_metrics)


logger = Logger()
metrics = Metrics(provider=_Provider())
"""Namespace and service come from the environment. No metric has a dimension per job or run."""

LATENESS_VALUES_MAX = 90
"""Lateness values per report; the format allows 100 values of one metric."""


def report_tick(*, minute: str, groups: int) -> None:
    """Report which minute was ticked."""
    count("GroupsWoken", groups)
    logger.info("shards woken", minute=minute, groups=groups)


def report_dispatch(dispatched: Dispatched, looked: Looked, *, shards: Iterable[int]) -> None:
    """Report one dispatch of some shards."""
    count("SlotsHandedOver", dispatched.slots)
    count("ClaimsLost", dispatched.claims_lost)
    count("VisitsFailed", dispatched.failed)
    count("JobsParked", len(dispatched.parked))
    count("SlotsLeftOut", dispatched.left_out)
    count("RunsSentAgain", looked.sent)
    count("DispatchesCutShort", int(not dispatched.finished or not looked.finished))
    for key, reason in dispatched.parked.items():
        logger.error("job parked", tenant=key.tenant, job_id=key.job_id, reason=reason)
    if dispatched.jobs or dispatched.failed or looked.rows:
        logger.info(
            "dispatched",
            shards=list(shards),
            jobs=dispatched.jobs,
            slots=dispatched.slots,
            claims_lost=dispatched.claims_lost,
            failed=dispatched.failed,
            watch_rows=looked.rows,
            sent_again=looked.sent,
            ended=looked.ended,
        )


def report_execute(handled: Handled, *, unreadable: int) -> None:
    """Report one batch of runs; one that was put off did not start yet."""
    put_off = {run.key for run in handled.waiting}
    first = [run for run in handled.started if run.attempt == 1 and run.key not in put_off]
    for run in first[:LATENESS_VALUES_MAX]:
        lateness = (run.starts[-1] - run.scheduled_at).total_seconds() * 1000
        metrics.add_metric("StartLateness", MetricUnit.Milliseconds, lateness)
    count("RunsStarted", len(first))
    count("RunsRetried", len(handled.retrying))
    count("RunsPutOff", len(handled.waiting))
    count("RunsAccepted", len(handled.held))
    count("RunsVoided", handled.voided)
    count("OutcomesSuperseded", handled.superseded)
    count("MessagesUnreadable", unreadable)
    report_outcomes(handled.ended)


def report_dead_letters(buried: Buried, *, unreadable: int) -> None:
    """Report the exhausted messages of one batch."""
    count("MessagesExhausted", len(buried.ended))
    count("MessagesUnreadable", unreadable)
    report_outcomes(buried.ended)


def report_outcomes(ended: Iterable[Run]) -> None:
    """Count outcomes by state, and log each that a person may want to look at."""
    outcomes = Counter[RunState]()
    for run in ended:
        outcomes[run.state] += 1
        if run.state is not RunState.SUCCEEDED:
            logger.warning(
                "run ended",
                tenant=run.key.job.tenant,
                run_id=run.key.run_id,
                state=run.state.value,
                reason=run.reason,
                attempt=run.attempt,
                error_type=run.error.type if run.error else None,
            )
    for state, number in outcomes.items():
        count("Runs" + "".join(word.capitalize() for word in state.value.split("_")), number)


def count(name: str, number: int) -> None:
    """Count something; nothing happened is not written."""
    if number:
        metrics.add_metric(name, MetricUnit.Count, number)
