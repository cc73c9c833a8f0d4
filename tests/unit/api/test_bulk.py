"""Many jobs in one request: each stands or falls by itself, in the order of the request."""

from datetime import timedelta
from typing import Any

import pytest

from punctual.core.errors import StoreUnavailable
from tests.support.api_client import JOB, Answer, ApiClient
from tests.support.apis import an_app
from tests.support.builders import SECOND
from tests.support.clock import FakeClock
from tests.support.engines import Engine
from tests.unit.api.conftest import ACCOUNT

KEY = {"Idempotency-Key": "order-7"}


def create(api: ApiClient, *jobs: Any, **headers: str) -> Answer:
    return api("POST", "/v1/jobs/bulk", {"jobs": list(jobs)}, headers=headers)


def named(number: int, **fields: Any) -> dict[str, Any]:
    return JOB | {"id": f"job-{number:03}"} | fields


def statuses(answer: Answer) -> list[int]:
    assert answer.status == 200, answer.content
    return [item["status"] for item in answer.json["items"]]


def ids(answer: Answer) -> list[str]:
    return [item["job"]["id"] for item in answer.json["items"]]


def test_a_hundred_jobs_are_created_in_their_order_each_as_if_alone(api: ApiClient) -> None:
    alone = api.put("alone", **named(0) | {"id": "alone"})

    answer = create(api, *(named(number) for number in range(100)))

    assert statuses(answer) == [201] * 100
    assert ids(answer) == [f"job-{number:03}" for number in range(100)]
    for item in answer.json["items"]:
        assert item["job"] | {"id": "alone"} == alone
        assert api.get(f"/v1/jobs/{item['job']['id']}") == item["job"]


def test_jobs_without_an_id_get_one(api: ApiClient) -> None:
    answer = create(api, JOB, JOB)

    assert statuses(answer) == [201, 201]
    assert len(set(ids(answer))) == 2


def test_slots_that_are_near_are_handed_over_at_once(api: ApiClient, clock: FakeClock) -> None:
    at = (clock.now() + 2 * SECOND).isoformat()

    create(api, named(1, schedule={"at": at}), named(2, schedule={"at": at}))

    for job in ("job-001", "job-002"):
        (run,) = api.get(f"/v1/jobs/{job}/runs")["items"]
        assert run["state"] == "queued"


def test_each_is_refused_by_itself_and_says_why(api: ApiClient) -> None:
    api.put("job-001", name="in the way")
    past = {"cron": "0 9 * * *", "end_at": "2020-01-01T00:00:00Z"}

    answer = create(
        api,
        named(1),
        named(2, timeout_seconds="5"),
        named(3, schedule=past),
        "no job",
        named(4),
        named(4, name="again"),
        JOB | {"id": "-"},
    )

    assert statuses(answer) == [409, 422, 422, 422, 201, 409, 422]
    problems = [item["problem"] for item in answer.json["items"] if "problem" in item]
    pointers = [[error["pointer"] for error in p.get("errors", ())] for p in problems]
    assert pointers == [[], ["/timeout_seconds"], ["/schedule"], [""], [], ["/id"]]
    assert all(problem["instance"] == "/v1/jobs/bulk" for problem in problems)
    listed = [job["id"] for job in api.get("/v1/jobs")["items"]]
    assert listed == ["job-001", "job-004"]
    assert api.get("/v1/jobs/job-001")["name"] == "in the way"


def test_a_job_that_is_there_as_wanted_already_is_shown(api: ApiClient) -> None:
    create(api, named(1))

    again = create(api, named(1), named(2))

    assert statuses(again) == [200, 201]
    assert api.get("/v1/jobs/job-001")["revision"] == 1


def test_the_id_of_a_deleted_job_is_free_again(api: ApiClient) -> None:
    create(api, named(1), named(2))
    api("DELETE", "/v1/jobs/job-001")

    again = create(api, named(1), named(3))

    assert statuses(again) == [201, 201]
    assert again.json["items"][0]["job"]["revision"] == 3


class TestAKey:
    """Stands for the whole request."""

    def test_makes_no_second_job_of_any(self, api: ApiClient) -> None:
        first = create(api, JOB, JOB | {"name": "b"}, named(1), **KEY)

        again = create(api, JOB, JOB | {"name": "b"}, named(1), **KEY)

        assert (statuses(first), statuses(again)) == ([201] * 3, [200] * 3)
        assert ids(again) == ids(first)
        assert len(api.get("/v1/jobs")["items"]) == 3

    def test_does_not_bring_back_what_was_deleted(self, api: ApiClient) -> None:
        first = create(api, JOB, JOB, **KEY)
        api("DELETE", f"/v1/jobs/{ids(first)[0]}")

        again = create(api, JOB, JOB, **KEY)

        assert statuses(again) == [410, 200]

    def test_with_another_body_is_refused_for_each(self, api: ApiClient) -> None:
        create(api, JOB, JOB, **KEY)

        other = create(api, JOB, JOB | {"name": "other"}, **KEY)

        assert statuses(other) == [422, 422]
        types = {item["problem"]["type"] for item in other.json["items"]}
        assert types == {"urn:punctual:problem:idempotency-key-reused"}

    def test_is_another_one_for_a_single_job(self, api: ApiClient) -> None:
        create(api, JOB, **KEY)

        assert api("POST", "/v1/jobs", JOB, headers=KEY).status == 201


@pytest.mark.parametrize(
    ("jobs", "pointer"), [([], "/jobs"), ([JOB] * 101, "/jobs"), ({}, "/jobs"), (None, "/jobs")]
)
def test_a_request_of_none_or_too_many_is_refused_whole(
    api: ApiClient, jobs: Any, pointer: str
) -> None:
    answer = api("POST", "/v1/jobs/bulk", {"jobs": jobs})

    assert (answer.status, answer.pointers) == (422, [pointer])
    assert api.get("/v1/jobs")["items"] == []


def test_a_job_may_be_called_bulk(api: ApiClient) -> None:
    api.put("bulk")

    assert api.get("/v1/jobs/bulk")["id"] == "bulk"


def test_what_the_store_gave_no_answer_to_says_so_and_may_be_sent_again(
    engine: Engine, api: ApiClient
) -> None:
    """The batch writes the first of two; the other one meets a store that is out of reach."""

    class HalfOut:
        def create_new(self, jobs: Any) -> list[bool]:
            return [*engine.jobs.create_new(jobs[:1]), *([False] * (len(jobs) - 1))]

        def create(self, *_: Any, **__: Any) -> None:
            raise StoreUnavailable("there was no answer")

        def __getattr__(self, name: str) -> Any:
            return getattr(engine.jobs, name)

    jobs: Any = HalfOut()
    half_out = ApiClient(app=an_app(engine, jobs=jobs)).for_account(ACCOUNT)

    first = create(half_out, named(1), named(2), **KEY)

    assert statuses(first) == [201, 503]
    assert statuses(create(api, named(1), named(2), **KEY)) == [200, 201]


def test_jobs_of_a_bulk_begin_together(api: ApiClient, clock: FakeClock) -> None:
    clock.advance(timedelta(milliseconds=7))

    answer = create(api, named(1), named(2))

    created = {item["job"]["created_at"] for item in answer.json["items"]}
    assert created == {"2026-12-01T09:00:00.007Z"}
