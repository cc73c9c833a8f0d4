"""A coming slot is left out over HTTP."""

from typing import Any

import pytest

from tests.support.api_client import Answer, ApiClient
from tests.support.builders import MINUTE
from tests.support.clock import FakeClock

SLOT = "2026-12-01T09:02:00Z"


def skip(api: ApiClient, body: Any, job: str = "report") -> Answer:
    return api("POST", f"/v1/jobs/{job}/skip", body)


@pytest.mark.parametrize("slot", [SLOT, "2026-12-01T10:02:00+01:00", "2026-12-02T09:00:00Z"])
def test_the_run_of_the_slot_reads_skipped(api: ApiClient, slot: str) -> None:
    api.put()

    answer = skip(api, {"scheduled_at": slot})

    assert answer.status == 200
    run = answer.json
    assert (run["state"], run["reason"], run["trigger"]) == ("skipped", "skip", "schedule")
    assert (run["attempt"], run["started_at"]) == (0, None)
    assert api.get(f"/v1/runs/{run['id']}") == run
    assert api.get("/v1/jobs/report/runs", query="state=skipped")["items"] == [run]
    assert skip(api, {"scheduled_at": slot}).json == run


def test_what_is_no_slot_to_come_is_not_found(api: ApiClient, clock: FakeClock) -> None:
    api.put()
    clock.advance(5 * MINUTE)

    assert skip(api, {"scheduled_at": "2026-12-01T09:30:30Z"}).status == 404
    assert skip(api, {"scheduled_at": SLOT}).status == 404
    assert skip(api, {"scheduled_at": SLOT}, "none").status == 404
    assert skip(api, {"scheduled_at": SLOT}, "~").status == 404


def test_a_run_that_was_cancelled_is_in_the_way(api: ApiClient) -> None:
    api.put()
    assert api("POST", "/v1/runs/report.20261201T090200Z/cancel").status == 202

    assert skip(api, {"scheduled_at": SLOT}).status == 409


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({}, "/scheduled_at"), ({"scheduled_at": "tomorrow"}, "/scheduled_at"), ([], "")],
)
def test_what_names_no_instant_is_refused(api: ApiClient, body: Any, pointer: str) -> None:
    api.put()

    answer = skip(api, body)

    assert (answer.status, answer.pointers) == (422, [pointer])
