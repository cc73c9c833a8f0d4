"""Targets that report back are known by their token alone; what they may send is checked first."""

from typing import Any

import pytest

from punctual.core.callbacks import hold, owner_of, token_of
from punctual.core.identity import JobKey, RunKey
from punctual.core.runs import Start
from tests.support.api_client import NOTHING, Answer, ApiClient
from tests.support.builders import MINUTE, SECOND
from tests.support.clock import NINE, FakeClock
from tests.support.engines import Engine
from tests.unit.api.conftest import ACCOUNT

SLOT = NINE + MINUTE
KEY = RunKey.of_slot(JobKey(ACCOUNT, "report"), incarnation=1, slot=SLOT)
PATH = f"/v1/runs/{KEY.run_id}"
CALLBACK: dict[str, Any] = {
    "target": {"type": "http", "url": "https://example.com/hook", "completion": "callback"},
    "heartbeat_seconds": 60,
    "retry": {"min_delay_seconds": 7, "max_delay_seconds": 7, "jitter": "none"},
}
TOKEN = token_of(ACCOUNT, "a-secret")
FAILURE = {"error": {"type": "sold_out", "message": "none left"}}

REPORTS: list[tuple[str, Any]] = [
    ("complete", {"result": 1}),
    ("fail", FAILURE),
    ("heartbeat", NOTHING),
    ("logs", {"lines": ["hello"]}),
]


@pytest.fixture
def target(api: ApiClient, engine: Engine, clock: FakeClock) -> ApiClient:
    """Return the API as the target of a run sees it that accepted the work; nobody verified it."""
    api.put(**CALLBACK)
    clock.set(SLOT)
    start = Start(key=KEY, owner=owner_of(TOKEN), now=SLOT, lease_until=SLOT + MINUTE)
    (moved,) = engine.runs.move([start])
    assert moved.run is not None
    (held,) = engine.runs.move([hold(moved.run, heartbeat=MINUTE, now=SLOT)])
    assert held.applied
    return ApiClient(app=api.app)


def report(
    target: ApiClient, what: str, body: Any = NOTHING, *, token: str | None = TOKEN
) -> Answer:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return target("POST", f"{PATH}/{what}", body, headers=headers)


def test_a_target_completes_its_run(target: ApiClient, api: ApiClient, clock: FakeClock) -> None:
    clock.advance(9 * SECOND)

    answer = report(target, "complete", {"result": {"rows": 3}})

    assert answer.status == 200
    run = api.get(PATH)
    assert answer.json == run["attempts"][0]
    assert answer.json["outcome"] == "succeeded"
    assert run["state"] == "succeeded"
    assert run["duration_seconds"] == 9
    assert run["result"] == {"status_code": 200, "body": '{"rows":3}', "truncated": False}
    assert api("GET", f"{PATH}/result").headers["Content-Type"] == "application/json"
    assert report(target, "complete", {"result": {"rows": 3}}).json == answer.json


def test_a_long_result_can_be_had_whole(target: ApiClient, api: ApiClient) -> None:
    assert report(target, "complete", {"result": "x" * 100_000}).status == 200

    assert api.get(PATH)["result"]["truncated"] is False
    assert api("GET", f"{PATH}/result").content == b"x" * 100_000


def test_a_target_reports_that_it_failed(target: ApiClient, api: ApiClient) -> None:
    answer = report(target, "fail", FAILURE)

    assert answer.status == 200
    assert answer.json == {
        "number": 1,
        "started_at": "2026-12-01T09:01:00Z",
        "finished_at": "2026-12-01T09:01:00Z",
        "outcome": "failed",
        "error": FAILURE["error"],
        "retry_at": "2026-12-01T09:01:07Z",
    }
    assert api.get(PATH)["state"] == "retrying"
    assert report(target, "fail", FAILURE).json == answer.json


def test_a_target_may_say_that_another_attempt_is_of_no_use(
    target: ApiClient, api: ApiClient
) -> None:
    assert report(target, "fail", FAILURE | {"retry": False}).json["outcome"] == "failed"

    run = api.get(PATH)
    assert (run["state"], run["error"]) == ("failed", FAILURE["error"])


def test_a_heartbeat_tells_whether_the_run_was_cancelled(target: ApiClient, api: ApiClient) -> None:
    assert report(target, "heartbeat").json == {"cancel_requested": False}

    assert api("POST", f"{PATH}/cancel").json["state"] == "cancelling"

    assert report(target, "heartbeat").json == {"cancel_requested": True}
    assert report(target, "fail", FAILURE).json["outcome"] == "cancelled"
    assert api.get(PATH)["state"] == "cancelled"


def test_lines_are_in_the_log_of_the_run_among_what_happened(
    target: ApiClient, api: ApiClient, clock: FakeClock
) -> None:
    clock.advance(SECOND)
    answer = report(target, "logs", {"lines": ["loaded 10 rows", "bell \x07"]})
    clock.advance(SECOND)
    report(target, "complete", {})

    assert (answer.status, answer.content) == (204, b"")
    items = api.get(f"{PATH}/logs")["items"]
    assert [(item["at"][-3:], item["level"], item["message"]) for item in items] == [
        ("00Z", "info", "attempt 1 started 0 s after its slot"),
        ("01Z", "info", "loaded 10 rows"),
        ("01Z", "info", r"bell \x07"),
        ("02Z", "info", "succeeded"),
    ]
    assert {item["attempt"] for item in items} == {1}


@pytest.mark.parametrize(("what", "body"), REPORTS)
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        TOKEN,
        f"Basic {TOKEN}",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {token_of('999988887777', 'a-secret')}",
        f"Bearer {token_of(ACCOUNT, 'another')}",
        f"Bearer {owner_of(TOKEN)}",
    ],
)
def test_whoever_has_no_token_of_the_attempt_is_nobody(
    target: ApiClient, api: ApiClient, what: str, body: Any, authorization: str | None
) -> None:
    before = api.get(PATH)
    headers = {} if authorization is None else {"Authorization": authorization}

    answer = target("POST", f"{PATH}/{what}", body, headers=headers)

    assert answer.status == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "WWW-Authenticate" in answer.headers
    assert api.get(PATH) == before


@pytest.mark.parametrize(("what", "body"), REPORTS)
def test_the_identity_of_a_user_is_no_token(
    target: ApiClient, api: ApiClient, what: str, body: Any
) -> None:
    assert api("POST", f"{PATH}/{what}", body).status == 401


@pytest.mark.parametrize(("what", "body"), REPORTS)
def test_an_attempt_that_another_one_followed_is_told_so(
    target: ApiClient, engine: Engine, what: str, body: Any
) -> None:
    late = SLOT + 5 * MINUTE
    start = Start(key=KEY, owner="another", now=late, lease_until=late + MINUTE)
    assert engine.runs.move([start])[0].applied

    answer = report(target, what, body)

    assert answer.status == 409
    assert answer.json["type"] == "urn:punctual:problem:conflict"


@pytest.mark.parametrize(
    ("what", "body", "pointers"),
    [
        ("complete", {"outcome": 1}, ["/outcome"]),
        ("fail", {}, ["/error"]),
        ("fail", {"error": "sold out"}, ["/error"]),
        ("fail", {"error": {"message": "none left"}}, ["/error/type"]),
        ("fail", {"error": {"type": ""}}, ["/error/type"]),
        ("fail", {"error": {"type": "a\nb"}}, ["/error/type"]),
        ("fail", {"error": {"type": "x" * 65}}, ["/error/type"]),
        ("fail", FAILURE | {"retry": 1}, ["/retry"]),
        ("logs", {}, ["/lines"]),
        ("logs", {"lines": "one"}, ["/lines"]),
        ("logs", {"lines": [1]}, ["/lines/0"]),
        ("logs", {"lines": ["x"] * 101}, ["/lines"]),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_name(
    target: ApiClient, what: str, body: Any, pointers: list[str]
) -> None:
    answer = report(target, what, body)

    assert answer.status == 422
    assert answer.pointers == pointers


def test_a_job_says_how_long_its_target_may_be_silent(api: ApiClient) -> None:
    assert api.put(**CALLBACK)["heartbeat_seconds"] == 60
    target = CALLBACK["target"]
    shown = api.put("other", target=target)

    assert shown["heartbeat_seconds"] is None
    assert shown["target"]["completion"] == "callback"
    assert api("PUT", "/v1/jobs/other", shown).json == shown


@pytest.mark.parametrize("seconds", [10, 14 * 86_400, 10.5])
def test_a_silence_of_ten_seconds_to_two_weeks_may_be_allowed(
    api: ApiClient, seconds: float
) -> None:
    job = api.put(**CALLBACK | {"heartbeat_seconds": seconds})

    assert job["heartbeat_seconds"] == seconds


@pytest.mark.parametrize(
    "fields",
    [
        CALLBACK | {"heartbeat_seconds": 9.9},
        CALLBACK | {"heartbeat_seconds": 14 * 86_400 + 1},
        CALLBACK | {"heartbeat_seconds": "60"},
        {"heartbeat_seconds": 60},
        {
            "heartbeat_seconds": 60,
            "target": {
                "type": "sqs",
                "queue_url": "https://sqs.eu-central-1.amazonaws.com/123456789012/reports",
                "body": {},
            },
        },
    ],
)
def test_a_silence_that_makes_no_sense_is_refused(api: ApiClient, fields: Any) -> None:
    """A target whose answer is the outcome has none to be silent in."""
    answer = api(
        "PUT",
        "/v1/jobs/report",
        {
            "schedule": {"every_seconds": 60},
            "target": {"type": "http", "url": "https://example.com"},
        }
        | fields,
    )

    assert answer.status == 422
    assert "/heartbeat_seconds" in answer.pointers
