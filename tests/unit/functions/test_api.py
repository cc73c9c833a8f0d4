"""The function behind the HTTP API: events as the gateway sends them, each answered."""

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.api.handler import lambda_handler
from infra.definitions import FAST, SLOW
from punctual.core.errors import StoreUnavailable
from punctual.runtime import api_wiring, wiring
from punctual.runtime.observability import metrics
from punctual.services.jobs import Jobs
from tests.support.apis import an_app
from tests.support.clock import FakeClock
from tests.support.embedded_engine import memory_engine
from tests.support.tables import create_queues, create_table

EVENTS = Path(__file__).parents[3] / "events" / "api"

EXPECTED = {
    "complete_attempt.json": 401,  # by a token that no attempt was given
    "create_job.json": 201,
    "create_job_base64.json": 201,
    "create_job_with_bad_fields.json": 422,
    "get_run_missing.json": 404,
    "health.json": 200,
    "list_jobs_with_token.json": 200,
    "nobody.json": 401,
    "unknown_path.json": 404,
}


class Context:
    """What Lambda tells a function about its invocation, as far as it is written down."""

    function_name = "api"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:eu-central-1:111122223333:function:api"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 29_000


def an_event(name: str) -> Any:
    return json.loads((EVENTS / name).read_text(encoding="utf-8"))


def answer_to(event: Any) -> dict[str, Any]:
    answer: dict[str, Any] = lambda_handler(event, Context())
    return answer


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)
    # What the environment said when the process began.
    monkeypatch.setattr(metrics.provider, "namespace", "Punctual")
    monkeypatch.setattr(metrics.provider, "service", "api")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Serve the API over an engine in memory."""
    with memory_engine(FakeClock(), tmp_path) as engine:
        app = an_app(engine, report=api_wiring.report)
        monkeypatch.setattr(api_wiring, "app", lambda: app)
        yield


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Serve the API as it is put together in the cloud."""
    caches = (api_wiring.app, wiring.dynamodb, wiring.sqs)
    with mock_aws():
        for cache in caches:
            cache.cache_clear()
        create_table(boto3.client("dynamodb"), "jobs")
        urls = create_queues(boto3.client("sqs"), prefix="")
        secret = boto3.client("secretsmanager").create_secret(Name="cursor", SecretString="s" * 64)
        monkeypatch.setenv("TABLE_NAME", "jobs")
        monkeypatch.setenv("FAST_QUEUE_URL", urls[FAST.name])
        monkeypatch.setenv("SLOW_QUEUE_URL", urls[SLOW.name])
        monkeypatch.setenv("CURSOR_SECRET_ARN", secret["ARN"])
        monkeypatch.setenv("RESULTS_BUCKET", "results")
        yield
    for cache in caches:
        cache.cache_clear()


def counted(capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Return the metrics that one request was counted by; no dimension tells requests apart."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    ((directive,),) = [line["_aws"]["CloudWatchMetrics"] for line in lines if "_aws" in line]
    assert directive["Dimensions"] == [["service"]]
    return {metric["Name"] for metric in directive["Metrics"]}


def test_every_event_is_sampled_and_every_sample_is_sent() -> None:
    assert {path.name for path in EVENTS.iterdir()} == set(EXPECTED)


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(("name", "status"), EXPECTED.items())
def test_an_event_is_answered(name: str, status: int) -> None:
    answer = answer_to(an_event(name))

    assert answer["statusCode"] == status
    assert isinstance(json.loads(answer["body"]), Mapping)


@pytest.mark.usefixtures("served")
def test_a_request_in_base64_is_read_as_what_it_is() -> None:
    job = json.loads(answer_to(an_event("create_job_base64.json"))["body"])

    assert job["name"] == "Größe"


@pytest.mark.usefixtures("served")
def test_every_field_at_fault_is_named() -> None:
    problem = json.loads(answer_to(an_event("create_job_with_bad_fields.json"))["body"])

    assert [error["pointer"] for error in problem["errors"]] == [
        "/schedule/cron",
        "/target/url",
        "/colour",
    ]


@pytest.mark.usefixtures("served")
def test_a_request_leaves_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """No body, no header, no path: what is secret or without bounds stays out."""
    answer_to(an_event("create_job.json"))

    (line,) = [vars(record) for record in caplog.records if record.levelno >= logging.INFO]
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/jobs", 201)
    assert line["milliseconds"] >= 0
    assert "5ecret" not in str(line)
    assert "order-7" not in str(line)


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("nobody.json", {"RequestsOfJobs", "RequestsRefused"}),
        ("get_run_missing.json", {"RequestsOfRuns", "RequestsRefused"}),
        ("health.json", {"RequestsOfOthers"}),
        ("create_job.json", {"RequestsOfJobs"}),
    ],
)
def test_requests_are_counted_by_what_they_ask_for_and_how_they_end(
    name: str, counts: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    answer_to(an_event(name))

    assert counted(capsys) == counts | {"RequestDuration"}


@pytest.mark.usefixtures("deployed")
def test_what_the_cloud_puts_together_creates_and_lists() -> None:
    created = answer_to(an_event("create_job.json"))
    again = answer_to(an_event("create_job.json"))
    missing = answer_to(an_event("get_run_missing.json"))
    health = answer_to(an_event("health.json"))
    others = answer_to(an_event("list_jobs_with_token.json"))

    assert (created["statusCode"], again["statusCode"]) == (201, 200)
    assert again["headers"]["Idempotent-Replayed"] == "true"
    assert json.loads(created["body"]) == json.loads(again["body"])
    assert missing["statusCode"] == 404
    assert json.loads(health["body"])["store"] == "ok"
    assert json.loads(health["body"])["queue"] == "ok"
    assert json.loads(others["body"]) == {"items": [], "next_cursor": None}


@pytest.mark.usefixtures("deployed")
def test_a_cursor_outlives_the_process_that_gave_it() -> None:
    """Its key is a secret of the deployment, not of one process."""
    for key in ("a", "b"):
        event = an_event("create_job.json")
        event["headers"]["idempotency-key"] = key
        assert answer_to(event)["statusCode"] == 201
    listing = an_event("list_jobs_with_token.json")
    listing["requestContext"]["authorizer"] = an_event("create_job.json")["requestContext"][
        "authorizer"
    ]
    listing["rawQueryString"] = "limit=1"
    cursor = json.loads(answer_to(listing)["body"])["next_cursor"]
    api_wiring.app.cache_clear()

    listing["rawQueryString"] = f"limit=1&cursor={cursor}"

    assert answer_to(listing)["statusCode"] == 200


@pytest.mark.usefixtures("deployed")
def test_a_queue_that_is_gone_shows_in_the_health() -> None:
    queues = boto3.client("sqs")
    for url in queues.list_queues()["QueueUrls"]:
        queues.delete_queue(QueueUrl=url)

    answer = answer_to(an_event("health.json"))

    assert answer["statusCode"] == 503
    assert json.loads(answer["body"])["queue"] == "unavailable"


@pytest.mark.usefixtures("deployed")
def test_the_tenant_is_named_by_the_claim_that_the_deployment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TENANT_CLAIM", "org")

    assert answer_to(an_event("list_jobs_with_token.json"))["statusCode"] == 401


@pytest.mark.usefixtures("deployed")
def test_without_its_secret_the_api_asks_to_try_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And tries again itself: the next request finds it."""
    arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:other-abcdef"
    with monkeypatch.context() as patch:
        patch.setenv("CURSOR_SECRET_ARN", arn)
        answer = answer_to(an_event("health.json"))

    assert answer["statusCode"] == 503
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert answer["headers"]["Retry-After"]
    assert counted(capsys) == {"RequestsFailed"}
    assert answer_to(an_event("health.json"))["statusCode"] == 200


def test_a_store_out_of_reach_is_an_answer(served: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_reach(*_: Any) -> Any:
        raise StoreUnavailable("busy")

    monkeypatch.setattr(Jobs, "get", out_of_reach)
    event = an_event("get_run_missing.json")
    event["rawPath"] = "/v1/jobs/report"

    answer = answer_to(event)

    assert (answer["statusCode"], answer["headers"]["Retry-After"]) == (503, "1")
