"""A create that is sent again makes no second job."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from punctual.core.identity import fingerprint
from tests.support.api_client import JOB, Answer, ApiClient
from tests.support.apis import an_app
from tests.support.clock import FakeChance, FakeClock
from tests.support.embedded_engine import file_engine, memory_engine
from tests.support.engines import OpenEngine

KEY = {"Idempotency-Key": "order-7"}
OTHER_JOB = JOB | {"name": "other"}
CLIENTS = 16


def test_a_create_that_is_sent_again_answers_with_the_same_job(api: ApiClient) -> None:
    first = api("POST", "/v1/jobs", JOB, headers=KEY)

    again = api("POST", "/v1/jobs", JOB, headers=KEY)

    assert (first.status, again.status) == (201, 200)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json
    assert len(api.get("/v1/jobs")["items"]) == 1


def test_the_order_of_fields_and_the_space_between_them_make_no_other_body(api: ApiClient) -> None:
    backwards = {name: JOB[name] for name in reversed(JOB)}
    assert list(backwards) != list(JOB)
    api("POST", "/v1/jobs", raw=json.dumps(JOB), headers=KEY)

    again = api("POST", "/v1/jobs", raw=json.dumps(backwards, indent=4), headers=KEY)

    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_replay_shows_the_job_as_it_is_now(api: ApiClient) -> None:
    job_id = api("POST", "/v1/jobs", JOB, headers=KEY).json["id"]
    api("PUT", f"/v1/jobs/{job_id}", OTHER_JOB)

    again = api("POST", "/v1/jobs", JOB, headers=KEY)

    assert (again.status, again.json["name"]) == (200, "other")
    assert again.headers["ETag"] == '"2"'


def test_a_key_that_was_used_for_another_body_is_refused_naming_both(api: ApiClient) -> None:
    api("POST", "/v1/jobs", JOB, headers=KEY)

    other = api("POST", "/v1/jobs", OTHER_JOB, headers=KEY)

    assert other.status == 422
    assert other.json["type"].endswith("idempotency-key-reused")
    assert fingerprint(JOB) in other.json["detail"]
    assert fingerprint(OTHER_JOB) in other.json["detail"]
    assert [job["name"] for job in api.get("/v1/jobs")["items"]] == [None]


def test_a_create_that_comes_after_its_jobs_deletion_does_not_bring_it_back(
    api: ApiClient, clock: FakeClock
) -> None:
    job_id = api("POST", "/v1/jobs", JOB, headers=KEY).json["id"]
    api("DELETE", f"/v1/jobs/{job_id}")
    clock.advance(timedelta(days=89))

    for body in (JOB, OTHER_JOB):
        late = api("POST", "/v1/jobs", body, headers=KEY)
        assert late.status == 410
    assert api.get("/v1/jobs")["items"] == []


def test_without_a_key_every_create_makes_a_job(api: ApiClient) -> None:
    ids = {api("POST", "/v1/jobs", JOB).json["id"] for _ in range(3)}

    assert len(ids) == 3


def test_keys_of_one_tenant_mean_nothing_to_another(api: ApiClient) -> None:
    other = api.for_account("444455556666")

    assert api("POST", "/v1/jobs", JOB, headers=KEY).status == 201
    assert other("POST", "/v1/jobs", OTHER_JOB, headers=KEY).status == 201


def test_a_key_may_be_255_characters_long(api: ApiClient) -> None:
    assert api("POST", "/v1/jobs", JOB, headers={"Idempotency-Key": "k" * 255}).status == 201
    for key in ("k" * 256, ""):
        answer = api("POST", "/v1/jobs", JOB, headers={"Idempotency-Key": key})
        assert (answer.status, answer.pointers) == (422, ["/idempotency-key"])
    assert len(api.get("/v1/jobs")["items"]) == 1


@pytest.mark.parametrize("open_engine", [memory_engine, file_engine])
def test_sixteen_clients_with_one_key_make_one_job(open_engine: OpenEngine, tmp_path: Path) -> None:
    """All of them at once; one of them created it, and all see the same job."""
    ready = Barrier(CLIENTS)
    with open_engine(FakeClock(), tmp_path) as engine:
        api = ApiClient(app=an_app(engine, local_tenant="default", chance=FakeChance()))

        def create(_: int) -> Answer:
            ready.wait()
            return api("POST", "/v1/jobs", JOB, headers=KEY)

        with ThreadPoolExecutor(CLIENTS) as pool:
            answers = list(pool.map(create, range(CLIENTS)))

        assert sorted(answer.status for answer in answers) == [200] * (CLIENTS - 1) + [201]
        assert len({answer.content for answer in answers}) == 1
        assert len(api.get("/v1/jobs")["items"]) == 1


def test_sixteen_clients_with_as_many_bodies_make_one_job(tmp_path: Path) -> None:
    ready = Barrier(CLIENTS)
    with file_engine(FakeClock(), tmp_path) as engine:
        api = ApiClient(app=an_app(engine, local_tenant="default"))

        def create(number: int) -> Answer:
            ready.wait()
            return api("POST", "/v1/jobs", JOB | {"name": str(number)}, headers=KEY)

        with ThreadPoolExecutor(CLIENTS) as pool:
            answers = list(pool.map(create, range(CLIENTS)))

        assert sorted(answer.status for answer in answers) == [201] + [422] * (CLIENTS - 1)
        created = next(answer.json for answer in answers if answer.status == 201)
        assert api.get("/v1/jobs")["items"] == [created]
