"""What the API does is what its document says, whatever it is sent."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from punctual.api.schemas import EXAMPLE
from tests.support.api_client import ApiClient
from tests.support.apis import an_app
from tests.support.clock import FakeClock
from tests.support.document import app_over_nothing
from tests.support.embedded_engine import memory_engine
from tests.support.wsgi import Wsgi

CONFIG = {
    "checks": {
        # The document cannot say which strings are cron expressions, URLs and cursors.
        "positive_data_acceptance": {"enabled": False},
    },
    "operations": [
        {
            # What a deleted job did can be seen until it expires.
            "include-name": "GET /v1/jobs/{job_id}/runs",
            "checks": {"use_after_free": {"enabled": False}},
        },
        {
            # A job may be called `bulk`: what else is allowed at this path is allowed for that.
            "include-name": "POST /v1/jobs/bulk",
            "checks": {"allow_header_conformance": {"enabled": False}},
        },
    ],
}
"""Every check of the library's but these."""

BOUNDED: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}

served = Wsgi(app_over_nothing())
described = schemathesis.openapi.from_wsgi(
    "/openapi.json", served, config=SchemathesisConfig.from_dict(CONFIG)
)


@contextmanager
def an_empty_api() -> Iterator[ApiClient]:
    """Serve the API of one machine, over an engine in memory, and then again what was served."""
    before = served.app
    with memory_engine(FakeClock(), Path()) as engine:
        served.app = an_app(engine, local_tenant="default")
        yield ApiClient(app=served.app)
    served.app = before


@pytest.fixture(autouse=True, scope="module")
def api() -> Iterator[ApiClient]:
    """Serve one API to everything in here."""
    with an_empty_api() as api:
        yield api


@described.parametrize()
@settings(max_examples=25, **BOUNDED)
def test_every_answer_is_one_that_the_document_describes(case: schemathesis.Case[Any]) -> None:
    """Good requests, bad ones, and the bounds of every field; none is a fault of ours."""
    case.call_and_validate()


def test_requests_that_follow_each_other_are_answered_as_described() -> None:
    """Jobs are created, changed, paused, listed and deleted in any order, runs read between."""

    class Flow(described.as_state_machine()):  # type: ignore[misc] # made at run time
        """Begins with nothing each time, so that the same requests meet the same jobs."""

        def setup(self) -> None:
            self.apis = ExitStack()
            self.apis.enter_context(an_empty_api())

        def teardown(self) -> None:
            self.apis.close()

    Flow.run(settings=settings(max_examples=20, stateful_step_count=12, **BOUNDED))


def test_the_job_that_the_document_gives_as_an_example_is_a_good_one(api: ApiClient) -> None:
    assert described.raw_schema["components"]["schemas"]["JobBody"]["examples"] == [EXAMPLE]
    assert api("PUT", "/v1/jobs/example", EXAMPLE).status == 201
