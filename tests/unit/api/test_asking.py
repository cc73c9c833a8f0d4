"""Runs that are asked for over HTTP: once per key, and listed among the others."""

from datetime import timedelta
from typing import Any

import pytest

from punctual.core.identity import RunKey, parse_run_id
from punctual.core.runs import Cancel, Ending, RunState
from tests.support.api_client import NOTHING, Answer, ApiClient
from tests.support.builders import SECOND
from tests.support.clock import FakeClock
from tests.support.engines import Engine
from tests.unit.api.conftest import ACCOUNT

KEY = {"Idempotency-Key": "order-7"}
RUNS = "/v1/jobs/report/runs"
EVENTS = {"type": "eventbridge", "source": "reports", "detail_type": "done"}


def run_now(api: ApiClient, body: Any = NOTHING, **how: Any) -> Answer:
    return api("POST", RUNS, body, **how)


def end(engine: Engine, run_id: str) -> RunKey:
    """Give a run its outcome."""
    key = parse_run_id(ACCOUNT, run_id)
    now = engine.clock.now()
    ending = Ending(state=RunState.FAILED, at=now)
    assert engine.runs.move([Cancel(key=key, ending=ending, scheduled_at=now)])[0].applied
    return key


def test_a_run_that_is_asked_for_reads_as_documented(api: ApiClient, clock: FakeClock) -> None:
    job = api.put()
    clock.advance(timedelta(milliseconds=123))

    answer = run_now(api)

    assert answer.status == 202
    run = answer.json
    assert run["id"].startswith("report.m.20261201T090000123.")
    assert answer.headers["Location"] == f"/v1/runs/{run['id']}"
    assert (run["trigger"], run["state"]) == ("manual", "queued")
    assert run["scheduled_at"] == "2026-12-01T09:00:00.123Z"
    assert api.get(answer.headers["Location"]) == run
    assert api.get("/v1/jobs/report") == job, "nothing of the job moves"


@pytest.mark.parametrize("body", [NOTHING, {}, {"body": None}, {"body": {"a": 1}}, {"body": "x"}])
def test_it_may_have_a_body_of_its_own(api: ApiClient, body: Any) -> None:
    api.put()

    assert run_now(api, body).status == 202


@pytest.mark.parametrize(
    ("target", "body", "pointer"),
    [
        (None, {"payload": 1}, "/payload"),
        (None, [], ""),
        (EVENTS, {"body": "no object"}, "/body"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(
    api: ApiClient, target: Any, body: Any, pointer: str
) -> None:
    api.put(**({"target": target} if target else {}))

    answer = run_now(api, body)

    assert (answer.status, answer.pointers) == (422, [pointer])
    assert {run["trigger"] for run in api.get(RUNS)["items"]} == {"schedule"}


def test_a_request_that_is_sent_again_answers_with_the_same_run(
    api: ApiClient, engine: Engine, clock: FakeClock
) -> None:
    api.put()
    first = run_now(api, {"body": 1}, headers=KEY)
    end(engine, first.json["id"])
    clock.advance(SECOND)

    again = run_now(api, {"body": 1}, headers=KEY)

    assert (first.status, again.status) == (202, 200)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.json["id"], again.json["state"]) == (first.json["id"], "failed")
    other = run_now(api, {"body": 2}, headers=KEY)
    assert (other.status, other.json["type"]) == (
        422,
        "urn:punctual:problem:idempotency-key-reused",
    )


def test_what_is_paused_does_not_run(api: ApiClient) -> None:
    api.put()
    api("POST", "/v1/jobs/report/pause")

    answer = run_now(api)

    assert answer.status == 409
    assert "paused" in answer.json["detail"]


def test_what_is_not_there_does_not_run(api: ApiClient) -> None:
    assert run_now(api).status == 404
    assert api("POST", "/v1/jobs/~/runs").status == 404
    assert api("POST", "/v1/runs/report.m.1/replay").status == 404
    assert api("POST", "/v1/runs/~/replay").status == 404


def test_a_run_that_ended_is_replayed_once_per_key(api: ApiClient, engine: Engine) -> None:
    api.put()
    original = run_now(api).json["id"]
    early = api("POST", f"/v1/runs/{original}/replay")
    assert early.status == 409
    end(engine, original)

    first = api("POST", f"/v1/runs/{original}/replay", headers=KEY)
    again = api("POST", f"/v1/runs/{original}/replay", headers=KEY)

    assert (first.status, again.status) == (202, 200)
    assert first.json["id"].startswith("report.r.20261201T090000000.")
    assert first.json["trigger"] == "replay"
    assert first.headers["Location"] == f"/v1/runs/{first.json['id']}"
    assert again.json["id"] == first.json["id"]


def test_lists_hold_runs_of_every_kind_newest_first(
    api: ApiClient, engine: Engine, clock: FakeClock
) -> None:
    """Two a minute, beside the slots of every minute; page by page as in one."""
    api.put()
    asked: list[str] = []
    for _ in range(4):
        clock.advance(30 * SECOND)
        asked.append(run_now(api).json["id"])
    end(engine, asked[0])
    asked.append(api("POST", f"/v1/runs/{asked[0]}/replay").json["id"])

    whole = api.get(RUNS, query="limit=100")["items"]

    for limit in (1, 2, 7):
        found, query = [], f"limit={limit}"
        while query:
            part = api.get(RUNS, query=query)
            found += part["items"]
            cursor = part["next_cursor"]
            query = f"limit={limit}&cursor={cursor}" if cursor else ""
        assert found == whole
    at = [run["scheduled_at"] for run in whole if run["trigger"] != "replay"]
    assert at == sorted(at, reverse=True)
    assert [run["id"] for run in whole if run["trigger"] != "schedule"] == asked[::-1]
    assert "2026-12-01T09:01:00Z" in at


def test_lists_are_bounded_by_when_runs_were_asked_for(api: ApiClient, clock: FakeClock) -> None:
    api.put()
    ids = []
    for _ in range(3):
        ids.append(run_now(api).json["id"])
        clock.advance(timedelta(milliseconds=400))

    query = "from=2026-12-01T09:00:00.4Z&to=2026-12-01T09:00:00.8Z"

    assert [run["id"] for run in api.get(RUNS, query=query)["items"]] == ids[1:2]
