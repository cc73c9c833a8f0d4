"""A fault of ours is an answer too, and shows nothing of itself."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from punctual.api.app import Answered
from punctual.api.schemas import JobBody
from punctual.core.errors import PunctualError, StoreUnavailable
from tests.support.api_client import JOB, ApiClient
from tests.support.apis import an_app
from tests.support.engines import Engine
from tests.unit.api.conftest import ACCOUNT

THREADS = 8


class FailingJobs:
    """Jobs that meet a fault at every turn."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self, keys: Sequence[object]) -> Any:  # noqa: ARG002 - the port
        raise self._error


def failing_api(engine: Engine, error: Exception) -> ApiClient:
    jobs: Any = FailingJobs(error)
    return ApiClient(app=an_app(engine, jobs=jobs)).for_account(ACCOUNT)


def test_a_store_out_of_reach_asks_to_try_again(engine: Engine) -> None:
    api = failing_api(engine, StoreUnavailable("the store is busy"))

    for method, path, body in (
        ("GET", "/v1/jobs/report", ()),
        ("POST", "/v1/jobs", (JOB,)),
        ("GET", "/v1/jobs/report/runs", ()),
        ("DELETE", "/v1/jobs/report", ()),
    ):
        answer = api(method, path, *body)
        assert answer.status == 503
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "error", [RuntimeError("secret"), KeyError("secret"), PunctualError("secret")], ids=repr
)
def test_what_nobody_foresaw_is_a_problem_without_details(
    engine: Engine, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    answer = failing_api(engine, error)("GET", "/v1/jobs/report")

    assert answer.status == 500
    assert answer.json == {
        "type": "urn:punctual:problem:internal",
        "title": "A fault of our own",
        "status": 500,
        "instance": "/v1/jobs/report",
    }


def test_what_nobody_foresaw_is_logged_with_its_trace(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    failing_api(engine, RuntimeError("boom"))("GET", "/v1/jobs/report")

    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert "/v1/jobs/{job_id}" in record.getMessage()


def test_bodies_and_headers_of_targets_are_written_down_nowhere(
    api: ApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even where everything is written down."""
    caplog.set_level(logging.DEBUG)
    target = JOB["target"] | {"headers": {"Authorization": "Bearer 5ecret"}, "body": "5ecret"}

    assert api("POST", "/v1/jobs", JOB | {"target": target}).status == 201
    assert api("POST", "/v1/jobs", JOB | {"target": target, "name": 5}).status == 422

    assert caplog.records
    assert "5ecret" not in caplog.text
    assert "5ecret" not in repr(
        JobBody.model_validate(JOB | {"target": target}, context={"cloud": True})
    )


def test_every_request_is_reported_by_its_route_not_by_its_path(engine: Engine) -> None:
    reports: list[Answered] = []
    api = ApiClient(app=an_app(engine, report=reports.append)).for_account(ACCOUNT)
    api.put()
    api("GET", "/v1/jobs/missing")
    api("POST", "/v1/jobs/report")
    api("GET", "/v1/secret")

    assert [(report.method, report.route, report.status) for report in reports] == [
        ("PUT", "/v1/jobs/{job_id}", 201),
        ("GET", "/v1/jobs/{job_id}", 404),
        ("POST", "/v1/jobs/{job_id}", 405),
        ("GET", "unmatched", 404),
    ]
    assert all(report.took.total_seconds() >= 0 for report in reports)


def test_requests_at_once_are_not_mixed_up(engine: Engine) -> None:
    """Each thread asks for its own tenant's job; the library alone would mix them up."""
    app = an_app(engine)
    ready = Barrier(THREADS)
    clients = [ApiClient(app=app).for_account(f"{number:012}") for number in range(THREADS)]
    for number, client in enumerate(clients):
        client.put(name=f"job {number}")

    def names_seen(client: ApiClient) -> set[str]:
        ready.wait()
        return {client.get("/v1/jobs/report")["name"] for _ in range(50)}

    with ThreadPoolExecutor(THREADS) as pool:
        seen = list(pool.map(names_seen, clients))

    assert seen == [{f"job {number}"} for number in range(THREADS)]
