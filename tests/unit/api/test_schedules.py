"""What a schedule would do, and what a job will do next, over HTTP."""

from datetime import timedelta

import pytest

from tests.support.api_client import ApiClient
from tests.support.clock import FakeClock

PREVIEW = "/v1/schedules/preview"


def test_a_schedule_is_previewed_with_its_words(api: ApiClient) -> None:
    schedule = {"cron": "0 9 * * MON-FRI", "timezone": "Europe/Berlin"}

    answer = api("POST", PREVIEW, {"schedule": schedule, "count": 3})

    assert answer.status == 200
    assert answer.json == {
        "items": ["2026-12-02T08:00:00Z", "2026-12-03T08:00:00Z", "2026-12-04T08:00:00Z"],
        "description": "At 09:00, Monday through Friday, Europe/Berlin time",
    }


def test_a_preview_shows_ten_slots_if_not_told_how_many(api: ApiClient) -> None:
    answer = api("POST", PREVIEW, {"schedule": {"every_seconds": 1.5}})

    assert len(answer.json["items"]) == 10
    assert answer.json["items"][:2] == ["2026-12-01T09:00:01.500Z", "2026-12-01T09:00:03Z"]


def test_a_past_start_is_where_a_preview_begins(api: ApiClient) -> None:
    schedule = {"cron": "@daily", "start_at": "2020-02-28T00:00:00Z"}

    answer = api("POST", PREVIEW, {"schedule": schedule, "count": 2})

    assert answer.json["items"] == ["2020-02-28T00:00:00Z", "2020-02-29T00:00:00Z"]


def test_what_a_job_wants_of_changing_clocks_can_be_seen_beforehand(api: ApiClient) -> None:
    schedule = {
        "cron": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "start_at": "2026-10-24T12:00:00Z",
        "dst": {"overlap": "both"},
    }

    answer = api("POST", PREVIEW, {"schedule": schedule, "count": 2})

    assert answer.json["items"] == ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]


@pytest.mark.parametrize(
    ("schedule", "pointer"),
    [
        ({"cron": "0 22-2 * * *"}, "/schedule/cron"),
        ({"cron": "0 0 30 2 *"}, "/schedule/cron"),
        ({"cron": "@daily", "timezone": "Mars/Olympus"}, "/schedule/timezone"),
        ({"at": "2026-12-01T09:00:00Z", "exclude": ["2026-12-01"]}, "/schedule/exclude"),
        ({}, "/schedule"),
    ],
)
def test_a_preview_says_what_is_wrong_with_a_schedule(
    api: ApiClient, schedule: dict[str, object], pointer: str
) -> None:
    answer = api("POST", PREVIEW, {"schedule": schedule})

    assert answer.status == 422
    assert answer.pointers == [pointer]


@pytest.mark.parametrize("count", [0, 101, "10", None])
def test_a_preview_shows_one_to_a_hundred_slots(api: ApiClient, count: object) -> None:
    answer = api("POST", PREVIEW, {"schedule": {"cron": "@daily"}, "count": count})

    assert (answer.status, answer.pointers) == (422, ["/count"])


def test_a_preview_stores_nothing(api: ApiClient) -> None:
    api("POST", PREVIEW, {"schedule": {"cron": "@daily"}})

    assert api.get("/v1/jobs")["items"] == []


def test_the_first_of_a_jobs_next_slots_is_its_next_run(api: ApiClient, clock: FakeClock) -> None:
    api.put(schedule={"every_seconds": 60, "spread_seconds": 30})
    clock.advance(timedelta(minutes=2, seconds=31))

    job = api.get("/v1/jobs/report")
    upcoming = api.get("/v1/jobs/report/upcoming", query="count=100")

    assert len(upcoming["items"]) == 100
    assert upcoming["items"][0] == job["next_run_at"]
    assert upcoming["description"] == "Every minute; shifted by less than 30 seconds"


def test_a_paused_job_has_no_next_slots(api: ApiClient) -> None:
    api.put()
    api("POST", "/v1/jobs/report/pause")

    assert api.get("/v1/jobs/report/upcoming")["items"] == []


@pytest.mark.parametrize("query", ["count=0", "count=101", "count=many", "count=1&count=2"])
def test_next_slots_are_one_to_a_hundred(api: ApiClient, query: str) -> None:
    api.put()

    answer = api("GET", "/v1/jobs/report/upcoming", query=query)

    assert (answer.status, answer.pointers) == (422, ["/count"])
