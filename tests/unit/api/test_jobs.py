"""What users do with jobs over HTTP."""

from datetime import timedelta
from typing import Any

from tests.support.api_client import JOB, NOTHING, ApiClient
from tests.support.clock import NINE, FakeClock
from tests.support.engines import Engine

WHOLE_JOB = {
    "name": "Nightly report",
    "schedule": {
        "cron": "30 9 * * MON-FRI",
        "timezone": "Europe/Berlin",
        "start_at": "2026-12-01T00:00:00Z",
        "end_at": "2027-12-01T00:00:00Z",
        "max_runs": 100,
        "exclude": ["2026-12-25", "2026-12-28T08:30:00Z"],
        "spread_seconds": 0.5,
        "dst": {"gap": "skip", "overlap": "both"},
    },
    "target": {
        "type": "http",
        "url": "https://example.com/hook/{{run_id}}?attempt={{attempt}}",
        "method": "PUT",
        "headers": {"X-Team": "billing"},
        "body": {"order": [1, 2.5, None, True, "é {{job_id}}"], "nested": {"a": {}}},
        "secret_arn": None,
        "signing_secret_arn": None,
        "success_codes": ["2xx", "304"],
        "completion": "response",
    },
    "retry": {
        "max_attempts": 5,
        "min_delay_seconds": 0.25,
        "max_delay_seconds": 60,
        "multiplier": 1.5,
        "jitter": "none",
        "max_age_seconds": 7200,
    },
    "timeout_seconds": 2.5,
    "heartbeat_seconds": None,
    "start_deadline_seconds": 600,
    "catch_up": "latest",
    "overlap": "buffer_one",
    "delivery": "at_most_once",
    "limits": [
        {"key": "crm-api", "max_concurrent": 5, "rate_per_second": None},
        {"key": "eu/mail:out", "max_concurrent": None, "rate_per_second": 0.5},
    ],
    "tags": {"team": "billing", "stage": "live"},
}


def test_a_created_job_is_shown_whole_with_its_defaults(api: ApiClient) -> None:
    answer = api("POST", "/v1/jobs", JOB)

    assert answer.status == 201
    job = answer.json
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert job == {
        "id": job["id"],
        "name": None,
        "schedule": {
            "every_seconds": 60,
            "start_at": None,
            "end_at": None,
            "max_runs": None,
            "exclude": [],
            "spread_seconds": 0,
        },
        "target": {
            "type": "http",
            "url": "https://example.com/hook",
            "method": "POST",
            "headers": {},
            "body": None,
            "secret_arn": None,
            "signing_secret_arn": None,
            "success_codes": ["2xx"],
            "completion": "response",
        },
        "retry": {
            "max_attempts": 3,
            "min_delay_seconds": 1,
            "max_delay_seconds": 300,
            "multiplier": 2,
            "jitter": "full",
            "max_age_seconds": 86400,
        },
        "timeout_seconds": 30,
        "heartbeat_seconds": None,
        "start_deadline_seconds": 3600,
        "catch_up": "all",
        "overlap": "allow",
        "delivery": "at_least_once",
        "limits": [],
        "tags": {},
        "state": "active",
        "pause": None,
        "revision": 1,
        "next_run_at": "2026-12-01T09:01:00Z",
        "created_at": "2026-12-01T09:00:00Z",
        "updated_at": "2026-12-01T09:00:00Z",
    }
    assert api.get(answer.headers["Location"]) == job


def test_everything_a_job_may_say_comes_back_as_it_was_said(api: ApiClient) -> None:
    answer = api("PUT", "/v1/jobs/report", WHOLE_JOB)

    assert answer.status == 201
    job = api.get("/v1/jobs/report")
    assert {name: job[name] for name in WHOLE_JOB} == WHOLE_JOB


def test_what_get_gave_can_be_put_and_changes_nothing(api: ApiClient, clock: FakeClock) -> None:
    """Read-only fields and the id come along; they are ignored."""
    for job_id, schedule in {
        "cron": WHOLE_JOB["schedule"],
        "every": {"every_seconds": 0.5 + 1},
        "anchored": {"every_seconds": 7200, "start_at": "2026-12-01T00:00:00.001Z"},
        "at": {"at": "2026-12-01T09:30:00+01:30"},
        "soon": {"at": "2026-12-01T09:01:00Z"},
    }.items():
        api("PUT", f"/v1/jobs/{job_id}", WHOLE_JOB | {"schedule": schedule})
        clock.advance(timedelta(seconds=1))
        first = api("GET", f"/v1/jobs/{job_id}")

        put = api("PUT", f"/v1/jobs/{job_id}", first.json)

        assert (put.status, put.json) == (200, first.json)
        assert api.get(f"/v1/jobs/{job_id}") == first.json


def test_a_paused_job_that_was_got_can_be_put(api: ApiClient) -> None:
    api.put()
    api("POST", "/v1/jobs/report/pause", {"note": "holiday"})
    job = api.get("/v1/jobs/report")

    assert api("PUT", "/v1/jobs/report", job).json == job


def test_a_body_is_sent_as_the_json_or_the_text_that_was_given(api: ApiClient) -> None:
    bodies: list[Any] = ["plain", "", "{}", [], {}, 0, False, 1.5, "null", [None], None]
    for body in bodies:
        target = JOB["target"] | {"body": body}

        job = api.put(target=target)

        assert job["target"]["body"] == body
        assert api.get("/v1/jobs/report")["target"]["body"] == body


def test_put_replaces_the_whole_job(api: ApiClient) -> None:
    api.put(name="old", tags={"team": "a"})

    answer = api("PUT", "/v1/jobs/report", JOB)

    assert answer.status == 200
    assert answer.headers["ETag"] == '"2"'
    assert (answer.json["name"], answer.json["tags"], answer.json["revision"]) == (None, {}, 2)


def test_a_change_is_refused_when_the_job_was_changed_meanwhile(api: ApiClient) -> None:
    api.put()
    api.put(name="theirs")

    answer = api("PUT", "/v1/jobs/report", JOB | {"name": "mine"}, headers={"If-Match": '"1"'})

    assert answer.status == 412
    assert answer.json["type"].endswith("revision-conflict")
    assert api.get("/v1/jobs/report")["name"] == "theirs"


def test_a_change_of_the_revision_that_was_read_is_made(api: ApiClient) -> None:
    for number, name in enumerate(['"{}"', "*", '"77", "{}"', 'W/"1", "{}"'], start=1):
        api.put(name=str(number))
        revision = api.get("/v1/jobs/report")["revision"]
        headers = {"If-Match": name.format(revision)}

        answer = api("PUT", "/v1/jobs/report", JOB, headers=headers)

        assert (answer.status, answer.json["revision"]) == (200, revision + 1)


def test_an_entity_tag_that_is_not_the_jobs_matches_nothing(api: ApiClient) -> None:
    api.put()
    for tag in ('"2"', 'W/"1"', '"one"', "1", '"1x"', '"99999999999999999999"', '""'):
        for method in ("PUT", "DELETE"):
            body = JOB if method == "PUT" else NOTHING
            answer = api(method, "/v1/jobs/report", body, headers={"If-Match": tag})
            assert answer.status == 412, (method, tag)
    assert api.get("/v1/jobs/report")["revision"] == 1


def test_if_match_on_a_job_that_is_not_there_creates_none(api: ApiClient) -> None:
    for tag in ('"1"', "*"):
        answer = api("PUT", "/v1/jobs/report", JOB, headers={"If-Match": tag})
        assert answer.status == 412
    assert api.get("/v1/jobs")["items"] == []


def test_a_deleted_job_is_gone(api: ApiClient) -> None:
    api.put()

    answer = api("DELETE", "/v1/jobs/report")

    assert (answer.status, answer.content) == (204, b"")
    assert api("GET", "/v1/jobs/report").status == 404
    assert api("DELETE", "/v1/jobs/report").status == 404
    assert api.get("/v1/jobs")["items"] == []


def test_a_job_that_is_created_again_goes_on_counting_revisions(api: ApiClient) -> None:
    """An `If-Match` that was read from the old life never fits the new one."""
    api.put()
    api("DELETE", "/v1/jobs/report")

    answer = api("PUT", "/v1/jobs/report", JOB)

    assert (answer.status, answer.json["revision"]) == (201, 3)


def test_a_paused_job_says_why_and_runs_nothing(api: ApiClient) -> None:
    api.put()

    answer = api("POST", "/v1/jobs/report/pause", {"note": "until the move is done"})

    assert answer.status == 200
    job = answer.json
    assert job["state"] == "paused"
    assert job["pause"] == {"note": "until the move is done", "until": None}
    assert job["next_run_at"] is None
    assert answer.headers["ETag"] == '"2"'


def test_a_pause_needs_no_body(api: ApiClient) -> None:
    for job_id, body in {"a": NOTHING, "b": {}, "c": {"note": None}}.items():
        api.put(job_id)
        answer = api("POST", f"/v1/jobs/{job_id}/pause", body)
        assert (answer.status, answer.json["pause"]["note"]) == (200, None)


def test_a_resumed_job_goes_on(api: ApiClient) -> None:
    api.put()
    api("POST", "/v1/jobs/report/pause")

    answer = api("POST", "/v1/jobs/report/resume")

    assert answer.status == 200
    assert (answer.json["state"], answer.json["pause"]) == ("active", None)
    assert answer.json["next_run_at"] == "2026-12-01T09:01:00Z"


def test_a_job_that_has_ended_cannot_be_paused(api: ApiClient, clock: FakeClock) -> None:
    api.put(schedule={"at": "2026-12-01T09:00:01Z"})
    clock.advance(timedelta(seconds=2))

    answer = api("POST", "/v1/jobs/report/pause")

    assert answer.status == 409
    assert api.get("/v1/jobs/report")["state"] == "ended"


def test_the_next_run_is_the_next_slot_to_come_though_later_ones_are_handed_over(
    api: ApiClient, clock: FakeClock
) -> None:
    api.put(schedule={"every_seconds": 60, "start_at": "2026-12-01T09:00:30Z"})
    assert api.get("/v1/jobs/report")["next_run_at"] == "2026-12-01T09:00:30Z"

    clock.advance(timedelta(seconds=31))

    assert api.get("/v1/jobs/report")["next_run_at"] == "2026-12-01T09:01:30Z"


def test_the_last_run_is_the_next_one_until_it_is_past(api: ApiClient, clock: FakeClock) -> None:
    api.put(schedule={"every_seconds": 10, "max_runs": 2})
    seen = []
    for _ in range(3):
        job = api.get("/v1/jobs/report")
        seen.append((job["state"], job["next_run_at"]))
        clock.advance(timedelta(seconds=11))

    assert seen == [
        ("active", "2026-12-01T09:00:10Z"),
        ("active", "2026-12-01T09:00:20Z"),
        ("ended", None),
    ]


def test_a_run_that_is_overdue_is_the_next_one(api: ApiClient, clock: FakeClock) -> None:
    api.put(schedule={"every_seconds": 3600})

    clock.advance(timedelta(hours=2, minutes=1))

    assert api.get("/v1/jobs/report")["next_run_at"] == "2026-12-01T10:00:00Z"


def test_an_instant_that_is_past_runs_at_once(api: ApiClient, engine: Engine) -> None:
    job = api.put(schedule={"at": "2026-11-30T09:00:00Z"})

    runs = api.get("/v1/jobs/report/runs")["items"]

    assert job["schedule"]["at"] == "2026-11-30T09:00:00Z"
    assert [run["id"] for run in runs] == ["report.20261130T090000Z"]
    assert [message.key.run_id for message in engine.receive()] == ["report.20261130T090000Z"]


def test_a_slot_that_is_near_is_handed_over_before_the_answer(
    api: ApiClient, engine: Engine, clock: FakeClock
) -> None:
    api.put(schedule={"at": "2026-12-01T09:00:05Z"})

    clock.set(NINE + timedelta(seconds=5))

    assert [message.key.run_id for message in engine.receive()] == ["report.20261201T090005Z"]


def test_fractions_of_a_second_are_kept_to_the_millisecond(api: ApiClient) -> None:
    job = api.put(
        schedule={"every_seconds": 1.2345, "start_at": "2026-12-01T10:00:00.1234Z"},
        timeout_seconds=1.0004,
    )

    assert job["schedule"]["every_seconds"] == 1.234
    assert job["schedule"]["start_at"] == "2026-12-01T10:00:00.123Z"
    assert job["timeout_seconds"] == 1


def test_a_whole_number_may_be_written_with_a_fraction_of_nought(api: ApiClient) -> None:
    job = api.put(schedule={"every_seconds": 30.0, "max_runs": 5.0}, retry={"max_attempts": 3.0})

    assert job["schedule"]["max_runs"] == 5
    assert job["retry"]["max_attempts"] == 3


def test_jobs_are_listed_by_id_and_page_by_page(api: ApiClient) -> None:
    for number in range(7):
        api.put(f"job-{number}")
    pages = []
    cursor: str | None = ""
    while cursor is not None:
        page = api.get("/v1/jobs", query=f"limit=3&cursor={cursor}")
        pages.append([job["id"] for job in page["items"]])
        cursor = page["next_cursor"]

    assert pages == [
        ["job-0", "job-1", "job-2"],
        ["job-3", "job-4", "job-5"],
        ["job-6"],
    ]


def test_a_list_holds_jobs_as_get_shows_them(api: ApiClient) -> None:
    job = api.put()

    assert api.get("/v1/jobs") == {"items": [job], "next_cursor": None}


def test_a_list_is_narrowed_by_tag_state_and_prefix(api: ApiClient) -> None:
    api.put("a-1", tags={"team": "billing"})
    api.put("a-2", tags={"team": "ops", "url": "http://x:1,y"})
    api.put("b-1", tags={"team": "billing"})
    api("POST", "/v1/jobs/b-1/pause")

    def ids(query: str) -> list[str]:
        return [job["id"] for job in api.get("/v1/jobs", query=query)["items"]]

    assert ids("tag=team:billing") == ["a-1", "b-1"]
    assert ids("tag=team:billing&state=active") == ["a-1"]
    assert ids("tag=url:http%3A%2F%2Fx%3A1%2Cy") == ["a-2"]
    assert ids("state=paused") == ["b-1"]
    assert ids("prefix=a-") == ["a-1", "a-2"]
    assert ids("prefix=%23") == []
    assert ids("tag=&state=&prefix=&limit=&cursor=") == ["a-1", "a-2", "b-1"]


def test_head_is_answered_like_get(api: ApiClient) -> None:
    api.put()

    assert api("HEAD", "/v1/jobs/report").headers == api("GET", "/v1/jobs/report").headers
