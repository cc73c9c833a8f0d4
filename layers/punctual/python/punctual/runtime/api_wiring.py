"""The API, put together with what it runs on in the cloud.

Apart from the other functions' wiring, which must not pay for its imports.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import BotoCoreError, ClientError

from punctual.adapters.dynamodb.beats import DynamoBeats
from punctual.adapters.dynamodb.job_store import DynamoJobStore
from punctual.adapters.dynamodb.log_store import DynamoLogStore
from punctual.adapters.dynamodb.request_store import DynamoRequestStore
from punctual.adapters.dynamodb.run_store import DynamoRunStore
from punctual.adapters.dynamodb.table import Table
from punctual.adapters.dynamodb.transact import one_by_one
from punctual.adapters.dynamodb.watch_list import DynamoWatchList
from punctual.adapters.sqs.run_queue import SqsRunQueue
from punctual.api.app import Answered, ApiServices, App, make_app, unavailable
from punctual.api.tenancy import TENANT_CLAIM
from punctual.core.errors import StoreUnavailable
from punctual.core.jobs import Lane
from punctual.runtime.observability import count, logger, metrics, report_outcomes
from punctual.runtime.settings import ApiSettings
from punctual.runtime.wiring import chance, clock, dynamodb, results, secrets_manager, sqs
from punctual.services.asking import Asking
from punctual.services.callbacks import Callbacks
from punctual.services.dispatch import Dispatch
from punctual.services.jobs import Jobs
from punctual.services.runs import Runs
from punctual.services.skipping import Skipping

REFUSED = 400
FAILED = 500


def answer(event: dict[str, Any]) -> dict[str, Any]:
    """Answer a request."""
    try:
        api = app()
    except StoreUnavailable as error:
        count("RequestsFailed", 1)
        logger.exception("the API cannot be put together")
        return unavailable(error, event)
    return api(event)


@cache
def app() -> App:
    """Return the API, as its function's environment describes it.

    Raises:
        StoreUnavailable: Its secret cannot be read now.
    """
    settings = ApiSettings.from_env()
    table = Table(dynamodb(), settings.table_name, clock=clock, chance=chance)
    jobs = DynamoJobStore(table, clock=clock)
    runs = DynamoRunStore(table, clock=clock)
    beats = DynamoBeats(table)
    logs = DynamoLogStore(table)
    watch_list = DynamoWatchList(table)
    queue = SqsRunQueue(sqs(), urls=settings.queue_urls, clock=clock, fair=settings.many_tenants)
    bodies = results(settings.results_bucket)
    dispatch = Dispatch(
        jobs=jobs,
        runs=runs,
        watch_list=watch_list,
        queue=queue,
        beats=beats,
        clock=clock,
        chance=chance,
        transact=one_by_one,
    )
    return make_app(
        ApiServices(
            jobs=Jobs(jobs=jobs, runs=runs, dispatch=dispatch, clock=clock, transact=one_by_one),
            runs=Runs(jobs=jobs, runs=runs, results=bodies, logs=logs, clock=clock),
            asking=Asking(
                jobs=jobs,
                runs=runs,
                requests=DynamoRequestStore(table, clock=clock),
                watch_list=watch_list,
                queue=queue,
                clock=clock,
                chance=chance,
                transact=one_by_one,
            ),
            skipping=Skipping(
                jobs=jobs,
                runs=runs,
                watch_list=watch_list,
                clock=clock,
                chance=chance,
                transact=one_by_one,
            ),
            callbacks=Callbacks(
                jobs=jobs,
                runs=runs,
                logs=logs,
                results=bodies,
                watch_list=watch_list,
                queue=queue,
                clock=clock,
                chance=chance,
                tell=lambda run: report_outcomes([run] if run.state.terminal else []),
            ),
            beats=beats,
            ask_queue=lambda: _ask(settings.queue_urls),
        ),
        local_tenant=None,
        clock=clock,
        chance=chance,
        cursor_key=_secret(settings.cursor_secret_arn),
        tenant_claim=settings.tenant_claim or TENANT_CLAIM,
        allow_private_targets=settings.allow_private_targets,
        report=report,
    )


def report(answered: Answered) -> None:
    """Report one request: what it was and how it ended, nothing of what it held."""
    milliseconds = answered.took.total_seconds() * 1000
    metrics.add_metric("RequestDuration", MetricUnit.Milliseconds, milliseconds)
    count(f"RequestsOf{_subject(answered.route)}", 1)
    count("RequestsRefused", int(REFUSED <= answered.status < FAILED))
    count("RequestsFailed", int(answered.status >= FAILED))
    logger.info(
        "answered",
        method=answered.method,
        route=answered.route,
        status=answered.status,
        milliseconds=round(milliseconds),
    )


def _subject(route: str) -> str:
    if "/runs" in route:
        return "Runs"
    return "Jobs" if "/jobs" in route else "Others"


def _ask(queue_urls: Mapping[Lane, str]) -> None:
    """Ask each queue for anything at all.

    Raises:
        StoreUnavailable: One does not answer.
    """
    try:
        for url in queue_urls.values():
            sqs().get_queue_attributes(QueueUrl=url, AttributeNames=["CreatedTimestamp"])
    except (BotoCoreError, ClientError) as error:
        raise StoreUnavailable("a queue is out of reach") from error


def _secret(arn: str) -> bytes:
    try:
        secret: str = secrets_manager().get_secret_value(SecretId=arn)["SecretString"]
    except (BotoCoreError, ClientError) as error:
        raise StoreUnavailable("the secret of the cursors is out of reach") from error
    return secret.encode()
