"""Some fields of a job are changed, and all others stay as they are."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punctual.api.patching import merged
from tests.support.api_client import NOTHING, Answer, ApiClient
from tests.support.apis import an_app
from tests.support.engines import Engine
from tests.unit.api.conftest import ACCOUNT

PATCH_TYPE = {"Content-Type": "application/merge-patch+json"}
WHOLE: dict[str, Any] = {
    "name": "Report",
    "schedule": {"cron": "0 9 * * *", "timezone": "Europe/Berlin", "max_runs": 7},
    "target": {
        "type": "http",
        "url": "https://example.com/hook",
        "headers": {"x-a": "1", "x-b": "2"},
        "body": {"a": 1},
    },
    "retry": {"max_attempts": 5},
    "tags": {"team": "billing", "env": "test"},
}

EXAMPLES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
"""What RFC 7386 gives in its appendix."""

json = st.recursive(
    st.none() | st.integers(0, 2) | st.sampled_from("xy"),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner) | st.lists(inner, max_size=2),
    max_leaves=8,
)


def patch(api: ApiClient, body: Any, **headers: str) -> Answer:
    return api("PATCH", "/v1/jobs/report", body, headers=headers)


@pytest.mark.parametrize(("value", "change", "result"), EXAMPLES)
def test_a_patch_does_what_the_standard_says(value: Any, change: Any, result: Any) -> None:
    assert merged(value, change) == result


@given(value=json, change=json)
def test_a_patch_that_is_repeated_changes_nothing_more(value: Any, change: Any) -> None:
    once = merged(value, change)

    assert merged(once, change) == once


@pytest.mark.parametrize("headers", [{}, PATCH_TYPE, {"Content-Type": "application/json"}])
def test_what_a_patch_does_not_name_stays(api: ApiClient, headers: dict[str, str]) -> None:
    before = api.put(**WHOLE)

    answer = patch(
        api,
        {"timeout_seconds": 5, "target": {"headers": {"x-a": None}}, "tags": {"env": "live"}},
        **headers,
    )

    assert answer.status == 200
    target = before["target"] | {"headers": {"x-b": "2"}}
    assert answer.json == before | {
        "timeout_seconds": 5,
        "target": target,
        "tags": {"team": "billing", "env": "live"},
        "revision": 2,
    }
    assert answer.headers["ETag"] == '"2"'
    assert api.get("/v1/jobs/report") == answer.json


def test_null_takes_a_field_to_its_default(api: ApiClient) -> None:
    api.put(**WHOLE)

    answer = patch(api, {"name": None, "retry": None, "schedule": {"timezone": None}})

    assert answer.json["name"] is None
    assert answer.json["retry"]["max_attempts"] == 3
    assert answer.json["schedule"]["timezone"] == "UTC"


def test_a_rule_takes_the_place_of_another_that_is_named_null(api: ApiClient) -> None:
    api.put(**WHOLE)
    rule = {"cron": None, "timezone": None, "dst": None, "every_seconds": 60}

    answer = patch(api, {"schedule": rule})

    assert answer.status == 200, answer.content
    assert answer.json["schedule"]["every_seconds"] == 60
    assert answer.json["schedule"]["max_runs"] == 7


def test_a_patch_that_changes_nothing_makes_no_revision(api: ApiClient) -> None:
    before = api.put(**WHOLE)

    assert patch(api, {}).json == before
    assert patch(api, before).json == before, "read-only fields are ignored"


def test_slots_of_an_interval_stay_where_they_are(api: ApiClient) -> None:
    before = api.put(schedule={"every_seconds": 3600})

    answer = patch(api, {"name": "hourly"})

    assert answer.json["next_run_at"] == before["next_run_at"]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"timeout_seconds": "5"}, ["/timeout_seconds"]),
        ({"schedule": {"cron": "61 * * * *"}}, ["/schedule/cron"]),
        ({"schedule": {"every_seconds": 60}}, ["/schedule"]),
        ({"target": {"url": "http://127.0.0.1/"}}, ["/target/url"]),
        ({"target": None}, ["/target"]),
        ({"payload": 1, "tags": {"a:b": "c"}}, ["/tags/a:b", "/payload"]),
        ({"id": "other"}, ["/id"]),
        ([], [""]),
        ("text", [""]),
    ],
)
def test_what_would_be_no_job_is_refused_field_by_field(
    api: ApiClient, body: Any, pointers: list[str]
) -> None:
    before = api.put(**WHOLE)

    answer = patch(api, body)

    assert (answer.status, sorted(answer.pointers)) == (422, sorted(pointers)), answer.content
    assert api.get("/v1/jobs/report") == before


def test_a_patch_of_another_revision_is_refused(api: ApiClient) -> None:
    api.put(**WHOLE)
    patch(api, {"name": "second"})

    stale = patch(api, {"name": "third"}, **{"If-Match": '"1"'})

    assert stale.status == 412
    assert patch(api, {"name": "third"}, **{"If-Match": '"2"'}).json["revision"] == 3


def test_a_patch_without_a_revision_is_one_of_the_job_as_it_is_by_then(
    api: ApiClient, engine: Engine
) -> None:
    """Another change comes between the read and the write, twice."""
    api.put(**WHOLE)
    others = [{"timeout_seconds": 7}, {"tags": {"env": "live"}}]

    class Meddled:
        def change(self, *args: Any, **options: Any) -> bool:
            if others:
                assert patch(api, others.pop(0)).status == 200
            return engine.jobs.change(*args, **options)

        def __getattr__(self, name: str) -> Any:
            return getattr(engine.jobs, name)

    jobs: Any = Meddled()
    meddled = ApiClient(app=an_app(engine, jobs=jobs)).for_account(ACCOUNT)

    answer = patch(meddled, {"name": "mine"})

    assert answer.status == 200
    assert (answer.json["name"], answer.json["timeout_seconds"]) == ("mine", 7)
    assert answer.json["tags"]["env"] == "live"
    assert answer.json["revision"] == 4


def test_what_is_no_patch_cannot_be_read(api: ApiClient) -> None:
    api.put(**WHOLE)

    assert patch(api, NOTHING).status == 400
    assert patch(api, {}, **{"Content-Type": "application/json-patch+json"}).status == 415
    assert api("PUT", "/v1/jobs/report", WHOLE, headers=PATCH_TYPE).status == 415


def test_what_is_not_there_is_not_made(api: ApiClient) -> None:
    assert patch(api, WHOLE).status == 404
    assert api("PATCH", "/v1/jobs/~", {}).status == 404


def test_a_secret_that_a_job_has_stays_and_another_tenants_is_refused(api: ApiClient) -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:punctual/"
    ours, theirs = f"{arn}{ACCOUNT}/token-a1B2c3", f"{arn}other/token-a1B2c3"
    api("PUT", "/v1/jobs/report", WHOLE | {"target": WHOLE["target"] | {"secret_arn": ours}})

    renamed = api("PATCH", "/v1/jobs/report", {"name": "Other"}, headers=PATCH_TYPE)
    stolen = api("PATCH", "/v1/jobs/report", {"target": {"secret_arn": theirs}}, headers=PATCH_TYPE)

    assert (renamed.status, renamed.json["target"]["secret_arn"]) == (200, ours)
    assert stolen.status == 422
    assert [error["pointer"] for error in stolen.json["errors"]] == ["/target/secret_arn"]
