"""What users see of runs over HTTP, and how they cancel them."""

from datetime import timedelta
from typing import Any

import pytest

from punctual.core.identity import JobKey, RunKey
from punctual.core.runs import Ending, Finish, Result, Retry, RunState, Start
from tests.support.api_client import ApiClient
from tests.support.apis import a_dispatch, an_app
from tests.support.builders import MINUTE, SECOND, a_failure, a_stretch
from tests.support.clock import NINE, FakeClock
from tests.support.engines import Engine
from tests.support.keeping import MemoryResults
from tests.unit.api.conftest import ACCOUNT

MS = timedelta(milliseconds=1)
REPORT = JobKey(ACCOUNT, "report")
FIRST = NINE + MINUTE
FIRST_ID = "report.20261201T090100Z"


@pytest.fixture
def results() -> MemoryResults:
    return MemoryResults()


def a_started_run(engine: Engine, *, owner: str = "first", late: timedelta = 41 * MS) -> RunKey:
    """Start the first run of the job `report`."""
    key = RunKey.of_slot(REPORT, incarnation=1, slot=FIRST)
    now = FIRST + late
    start = Start(key=key, owner=owner, now=now, lease_until=now + MINUTE)
    assert engine.runs.move([start])[0].applied
    return key


def finish(engine: Engine, key: RunKey, state: RunState, **fields: Any) -> None:
    """End a run that `first` holds, 161 ms after its slot."""
    ending = Ending(state=state, at=FIRST + 161 * MS, **fields)
    move = Finish(key=key, owner="first", ending=ending, scheduled_at=FIRST)
    assert engine.runs.move([move])[0].applied


def test_a_run_that_succeeded_reads_as_documented(api: ApiClient, engine: Engine) -> None:
    api.put()
    key = a_started_run(engine)
    body = b'{"ok":true}'
    finish(
        engine,
        key,
        RunState.SUCCEEDED,
        result=Result(
            status_code=200, content_type="application/json", body=body, body_bytes=len(body)
        ),
    )

    assert api.get(f"/v1/runs/{FIRST_ID}") == {
        "id": FIRST_ID,
        "job_id": "report",
        "trigger": "schedule",
        "state": "succeeded",
        "reason": None,
        "scheduled_at": "2026-12-01T09:01:00Z",
        "started_at": "2026-12-01T09:01:00.041Z",
        "finished_at": "2026-12-01T09:01:00.161Z",
        "lateness_seconds": 0.041,
        "duration_seconds": 0.12,
        "attempt": 1,
        "attempts": [
            {
                "number": 1,
                "started_at": "2026-12-01T09:01:00.041Z",
                "finished_at": "2026-12-01T09:01:00.161Z",
                "outcome": "succeeded",
                "error": None,
                "retry_at": None,
            }
        ],
        "result": {"status_code": 200, "body": '{"ok":true}', "truncated": False},
        "error": None,
    }


def test_the_list_of_runs_begins_with_those_to_come(api: ApiClient, engine: Engine) -> None:
    """Ten that are not handed over, ten that are, and the one that runs."""
    api.put()
    a_started_run(engine)

    runs = api.get("/v1/jobs/report/runs")["items"]

    assert [run["state"] for run in runs] == ["scheduled"] * 10 + ["queued"] * 9 + ["running"]
    slots = [run["scheduled_at"] for run in runs]
    assert slots == sorted(slots, reverse=True)
    assert runs[-1] == api.get(f"/v1/runs/{FIRST_ID}")


def test_a_run_to_come_can_be_read_by_the_id_it_will_have(api: ApiClient) -> None:
    api.put()
    coming = api.get("/v1/jobs/report/runs")["items"][0]

    assert coming["state"] == "scheduled"
    assert api.get(f"/v1/runs/{coming['id']}") == coming
    assert coming | {"attempts": [], "started_at": None, "result": None} == coming


def test_runs_are_listed_page_by_page_though_coming_ones_are_handed_over_meanwhile(
    api: ApiClient, engine: Engine, clock: FakeClock
) -> None:
    api.put()
    whole = [run["id"] for run in api.get("/v1/jobs/report/runs", query="limit=100")["items"]]
    dispatch = a_dispatch(engine)
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = api.get("/v1/jobs/report/runs", query=f"limit=3&cursor={cursor}")
        assert len(page["items"]) <= 3
        seen += [run["id"] for run in page["items"]]
        cursor = page["next_cursor"]
        clock.advance(MINUTE)
        dispatch.visit(engine.jobs.read([REPORT])[REPORT])

    assert seen == whole


def test_runs_are_narrowed_by_state(api: ApiClient, engine: Engine) -> None:
    api.put()
    finish(engine, a_started_run(engine), RunState.FAILED)

    def ids(query: str) -> list[str]:
        page = api.get("/v1/jobs/report/runs", query=query)
        assert page["next_cursor"] is None
        return [run["id"] for run in page["items"]]

    assert ids("state=failed") == [FIRST_ID]
    assert len(ids("state=scheduled")) == 10
    assert len(ids("state=queued")) == 9
    assert ids("state=succeeded") == []


def test_runs_are_narrowed_by_slot(api: ApiClient) -> None:
    """The first instant is included, the last is not."""
    api.put()

    def minutes(query: str) -> list[str]:
        page = api.get("/v1/jobs/report/runs", query=query)
        return [run["scheduled_at"][14:16] for run in page["items"]]

    assert minutes("from=2026-12-01T09:02:00Z&to=2026-12-01T09:04:00Z") == ["03", "02"]
    assert minutes("to=2026-12-01T09:02:00.001Z") == ["02", "01"]
    assert minutes("from=2026-12-01T10:19:00%2B01:00") == ["20", "19"]
    assert minutes("from=2026-12-01T10:19:00+01:00") == ["20", "19"]
    assert minutes("from=2026-12-01T10:00:00Z") == []
    assert minutes("to=2026-12-01T09:00:00Z") == []


def test_slots_within_one_second_are_each_listed_once(api: ApiClient, engine: Engine) -> None:
    """Names of runs do not sort like slots there."""
    every = {"every_seconds": 1.25, "start_at": "2026-12-01T09:00:00Z"}
    api.put(schedule=every)
    whole = api.get("/v1/jobs/report/runs", query="limit=100&to=2026-12-01T09:00:10.001Z")

    assert {run["scheduled_at"][17:] for run in whole["items"]} == {
        "01.250Z",
        "02.500Z",
        "03.750Z",
        "05Z",
        "06.250Z",
        "07.500Z",
        "08.750Z",
        "10Z",
    }
    halves = [
        run["id"]
        for query in (
            "from=2026-12-01T09:00:05Z&to=2026-12-01T09:00:10.001Z",
            "to=2026-12-01T09:00:05Z",
        )
        for run in api.get("/v1/jobs/report/runs", query=query)["items"]
    ]
    assert halves == [run["id"] for run in whole["items"]]


def test_the_last_slots_of_a_bounded_job_are_the_last_to_come(api: ApiClient) -> None:
    api.put(schedule={"every_seconds": 3600, "max_runs": 3})

    runs = api.get("/v1/jobs/report/runs")["items"]

    assert [run["scheduled_at"][11:13] for run in runs] == ["12", "11", "10"]
    assert api("GET", "/v1/runs/report.20261201T120000Z").status == 200
    assert api("GET", "/v1/runs/report.20261201T130000Z").status == 404


@pytest.mark.parametrize(
    "name",
    [
        "20261201T090130Z",  # between two slots that are handed over
        "20261201T093030Z",  # between two to come
        "20261201T085900Z",  # before the first
        "20271201T090000Z",  # too far ahead to be shown
        "m.5f3a",
    ],
)
def test_what_is_no_slot_is_no_run(api: ApiClient, name: str) -> None:
    api.put()

    assert api("GET", f"/v1/runs/report.{name}").status == 404


def test_a_paused_job_has_no_run_to_come(api: ApiClient) -> None:
    api.put(schedule={"every_seconds": 3600})
    coming = api.get("/v1/jobs/report/runs")["items"][0]["id"]
    api("POST", "/v1/jobs/report/pause")

    assert api.get("/v1/jobs/report/runs")["items"] == []
    assert api("GET", f"/v1/runs/{coming}").status == 404


def test_what_a_deleted_job_did_can_still_be_seen(api: ApiClient, engine: Engine) -> None:
    api.put()
    finish(engine, a_started_run(engine), RunState.SUCCEEDED)
    api("DELETE", "/v1/jobs/report")

    runs = api.get("/v1/jobs/report/runs", query="state=succeeded")["items"]

    assert [run["id"] for run in runs] == [FIRST_ID]
    assert api.get(f"/v1/runs/{FIRST_ID}")["state"] == "succeeded"


def test_a_job_that_is_created_again_has_a_history_of_its_own(
    api: ApiClient, engine: Engine
) -> None:
    api.put()
    finish(engine, a_started_run(engine), RunState.SUCCEEDED)
    api("DELETE", "/v1/jobs/report")
    api.put()

    runs = api.get("/v1/jobs/report/runs", query="limit=100")["items"]

    assert runs[-1]["id"] == "report~2.20261201T090100Z"
    assert {run["state"] for run in runs} == {"scheduled", "queued"}
    assert api.get(f"/v1/runs/{FIRST_ID}")["state"] == "succeeded"


def test_stretches_that_were_left_out_are_gaps(api: ApiClient, engine: Engine) -> None:
    api.put()
    early = a_stretch(NINE - 60 * MINUTE, count=10)
    late = a_stretch(NINE - 30 * MINUTE, count=5)
    engine.runs.put_stretches([(REPORT, early), (REPORT, late)])

    def gaps(query: str = "") -> list[Any]:
        found: list[Any] = api.get("/v1/jobs/report/runs", query=query)["gaps"]
        return found

    assert gaps() == [
        {
            "from": "2026-12-01T08:30:00Z",
            "to": "2026-12-01T08:34:00Z",
            "count": 5,
            "reason": "catch_up",
        },
        {
            "from": "2026-12-01T08:00:00Z",
            "to": "2026-12-01T08:09:00Z",
            "count": 10,
            "reason": "catch_up",
        },
    ]
    assert [gap["count"] for gap in gaps("from=2026-12-01T08:09:00Z")] == [5, 10]
    assert [gap["count"] for gap in gaps("from=2026-12-01T08:09:01Z")] == [5]
    assert [gap["count"] for gap in gaps("to=2026-12-01T08:30:00Z")] == [10]


def test_a_run_that_waits_for_its_retry_shows_what_failed(api: ApiClient, engine: Engine) -> None:
    api.put()
    key = a_started_run(engine)
    failure = a_failure(finished_at=FIRST + SECOND, after=2 * SECOND)
    engine.runs.move([Retry(key=key, owner="first", failure=failure)])

    run = api.get(f"/v1/runs/{FIRST_ID}")

    assert run["state"] == "retrying"
    assert run["attempts"] == [
        {
            "number": 1,
            "started_at": "2026-12-01T09:01:00.041Z",
            "finished_at": "2026-12-01T09:01:01Z",
            "outcome": "failed",
            "error": {"type": "http_status", "message": "the target answered 503"},
            "retry_at": "2026-12-01T09:01:03Z",
        }
    ]
    assert (run["finished_at"], run["duration_seconds"]) == (None, None)


def test_the_log_of_a_run_tells_its_story(api: ApiClient, engine: Engine) -> None:
    api.put()
    key = a_started_run(engine)
    failure = a_failure(finished_at=FIRST + SECOND, after=2 * SECOND)
    engine.runs.move([Retry(key=key, owner="first", failure=failure)])

    assert api.get(f"/v1/runs/{FIRST_ID}/logs") == {
        "items": [
            {
                "at": "2026-12-01T09:01:00.041Z",
                "attempt": 1,
                "level": "info",
                "message": "attempt 1 started 0.041 s after its slot",
            },
            {
                "at": "2026-12-01T09:01:01Z",
                "attempt": 1,
                "level": "warning",
                "message": "the target answered 503 (http_status); tried again in 2 s",
            },
        ]
    }


def test_a_run_that_has_not_begun_has_an_empty_log(api: ApiClient) -> None:
    api.put()

    assert api.get(f"/v1/runs/{FIRST_ID}/logs") == {"items": []}


def test_a_result_is_what_the_target_sent(api: ApiClient, engine: Engine) -> None:
    api.put()
    key = a_started_run(engine)
    body = bytes(range(256))
    result = Result(status_code=200, content_type="image/png", body=body, body_bytes=256)
    finish(engine, key, RunState.SUCCEEDED, result=result)

    answer = api("GET", f"/v1/runs/{FIRST_ID}/result")

    assert (answer.status, answer.content) == (200, body)
    assert answer.headers["Content-Type"] == "image/png"


@pytest.mark.parametrize(
    ("content_type", "shown"),
    [
        (None, "application/octet-stream"),
        ("", "application/octet-stream"),
        ("text/html", "text/html"),
        ("application/json", "application/json"),
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("text/html\r\nSet-Cookie: a=b", "application/octet-stream"),
        ("text/é", "application/octet-stream"),
        ("x" * 300, "application/octet-stream"),
    ],
)
def test_a_result_is_no_page_of_ours(
    api: ApiClient, engine: Engine, content_type: str | None, shown: str
) -> None:
    """What a target sent must not run as a script where our API is at home."""
    api.put()
    key = a_started_run(engine)
    page = b"<script>fetch('/v1/jobs')</script>"
    result = Result(status_code=200, content_type=content_type, body=page, body_bytes=len(page))
    finish(engine, key, RunState.SUCCEEDED, result=result)

    answer = api("GET", f"/v1/runs/{FIRST_ID}/result")

    assert answer.content == page
    assert answer.headers["Content-Type"] == shown
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")


def test_a_long_result_is_whole_and_the_run_shows_its_beginning(
    engine: Engine, results: MemoryResults
) -> None:
    api = ApiClient(app=an_app(engine, results=results)).for_account(ACCOUNT)
    api.put()
    body = bytes(range(256)) * 3906
    kept = Result(status_code=200, body=body[:500], body_bytes=len(body), stored=results.put(body))
    finish(engine, a_started_run(engine), RunState.SUCCEEDED, result=kept)

    answer = api("GET", f"/v1/runs/{FIRST_ID}/result")
    shown = api.get(f"/v1/runs/{FIRST_ID}")["result"]

    assert answer.content == body
    assert "Punctual-Truncated" not in answer.headers
    assert shown == {
        "status_code": 200,
        "body": body[:500].decode(errors="replace"),
        "truncated": False,
    }


@pytest.mark.parametrize("stored", [None, "0" * 32], ids=["never kept", "gone"])
def test_a_result_that_is_not_whole_says_so(
    api: ApiClient, engine: Engine, stored: str | None
) -> None:
    api.put()
    kept = Result(
        status_code=200,
        body=b"x" * 500,
        body_bytes=9_000,
        stored=stored,
        truncated=stored is None,
    )
    finish(engine, a_started_run(engine), RunState.SUCCEEDED, result=kept)

    answer = api("GET", f"/v1/runs/{FIRST_ID}/result")

    assert answer.content == b"x" * 500
    assert answer.headers["Punctual-Truncated"] == "true"


def test_a_result_out_of_reach_is_to_be_asked_for_again(
    engine: Engine, results: MemoryResults
) -> None:
    api = ApiClient(app=an_app(engine, results=results)).for_account(ACCOUNT)
    api.put()
    kept = Result(status_code=200, body=b"x" * 500, body_bytes=9_000, stored="0" * 32)
    finish(engine, a_started_run(engine), RunState.SUCCEEDED, result=kept)
    results.is_down = True

    assert api("GET", f"/v1/runs/{FIRST_ID}/result").status == 503


def test_a_run_without_an_answer_has_no_result(api: ApiClient, engine: Engine) -> None:
    api.put()
    a_started_run(engine)

    assert api("GET", f"/v1/runs/{FIRST_ID}/result").status == 404


def test_a_queued_run_is_cancelled_at_once(api: ApiClient) -> None:
    api.put()

    answer = api("POST", f"/v1/runs/{FIRST_ID}/cancel")

    assert answer.status == 202
    assert (answer.json["state"], answer.json["reason"]) == ("cancelled", "cancelled")
    assert api.get(f"/v1/runs/{FIRST_ID}") == answer.json


def test_a_running_run_is_asked_to_stop(api: ApiClient, engine: Engine, clock: FakeClock) -> None:
    api.put()
    a_started_run(engine)
    clock.set(FIRST + SECOND)

    answers = [api("POST", f"/v1/runs/{FIRST_ID}/cancel") for _ in range(2)]

    assert [answer.status for answer in answers] == [202, 202]
    assert {answer.json["state"] for answer in answers} == {"cancelling"}
    listed = api.get("/v1/jobs/report/runs", query="state=cancelling")["items"]
    assert [run["id"] for run in listed] == [FIRST_ID]
    assert api.get("/v1/jobs/report/runs", query="state=running")["items"] == []


@pytest.mark.parametrize("state", [state for state in RunState if state.terminal])
def test_a_run_that_has_ended_cannot_be_cancelled(
    api: ApiClient, engine: Engine, state: RunState
) -> None:
    api.put()
    finish(engine, a_started_run(engine), state)
    before = api.get(f"/v1/runs/{FIRST_ID}")

    answer = api("POST", f"/v1/runs/{FIRST_ID}/cancel")

    assert answer.status == 409
    assert api.get(f"/v1/runs/{FIRST_ID}") == before


def test_a_run_that_is_not_handed_over_cannot_be_cancelled(api: ApiClient) -> None:
    api.put(schedule={"every_seconds": 3600})
    coming = api.get("/v1/jobs/report/runs")["items"][-1]["id"]

    assert api("POST", f"/v1/runs/{coming}/cancel").status == 409
    assert api.get(f"/v1/runs/{coming}")["state"] == "scheduled"
