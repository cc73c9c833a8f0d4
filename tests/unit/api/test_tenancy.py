"""Who asks is known from the verified identity alone, and sees nothing of anybody else."""

import json
from typing import Any

import pytest

from punctual.core.errors import Unauthenticated
from tests.support.api_client import JOB, ApiClient
from tests.support.apis import an_app
from tests.support.clock import FakeClock
from tests.support.document import served_document
from tests.support.embedded_engine import memory_engine
from tests.support.engines import Engine
from tests.unit.api.conftest import ACCOUNT

OTHER = "444455556666"
RUN_ID = "report.20261201T090100Z"

ROUTES = [
    ("GET", "/v1/jobs/report", None),
    ("DELETE", "/v1/jobs/report", None),
    ("PATCH", "/v1/jobs/report", {"name": "mine"}),
    ("POST", "/v1/jobs/report/pause", {"note": "mine"}),
    ("POST", "/v1/jobs/report/resume", None),
    ("GET", "/v1/jobs/report/upcoming", None),
    ("POST", "/v1/jobs/report/skip", {"scheduled_at": "2026-12-01T09:01:00Z"}),
    ("GET", "/v1/jobs/report/runs", None),
    ("POST", "/v1/jobs/report/runs", {"body": 1}),
    ("GET", f"/v1/runs/{RUN_ID}", None),
    ("GET", f"/v1/runs/{RUN_ID}/logs", None),
    ("GET", f"/v1/runs/{RUN_ID}/result", None),
    ("POST", f"/v1/runs/{RUN_ID}/cancel", None),
    ("POST", f"/v1/runs/{RUN_ID}/replay", None),
]
REPORTS = ("complete", "fail", "heartbeat", "logs")
TENANT_ROUTES = [
    *ROUTES,
    ("GET", "/v1/jobs", None),
    ("POST", "/v1/jobs", JOB),
    ("POST", "/v1/jobs/bulk", {"jobs": [JOB]}),
]


def everything(api: ApiClient) -> Any:
    """Return all that a caller can see."""
    return [
        api.get("/v1/jobs"),
        api.get("/v1/jobs/report/runs", query="limit=100"),
        api.get(f"/v1/runs/{RUN_ID}/logs"),
    ]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_what_is_another_tenants_is_not_found(
    api: ApiClient, method: str, path: str, body: Any
) -> None:
    """Not forbidden, which would tell that it is there; and it stays as it is."""
    api.put()
    before = everything(api)

    answer = api.for_account(OTHER)(method, path, *([] if body is None else [body]))

    assert answer.status == 404
    assert everything(api) == before


def test_every_route_is_among_those_asked() -> None:
    """A route that comes later is to be asked too."""
    paths = json.loads(served_document())["paths"]
    served = {
        (method.upper(), path.format(job_id="report", run_id=RUN_ID))
        for path, operations in paths.items()
        for method in operations
    }
    asked = {(method, path) for method, path, _ in TENANT_ROUTES}
    of_no_tenant = {("GET", "/v1/health"), ("POST", "/v1/schedules/preview")}
    of_attempts = {  # which are known by their tokens: see test_callbacks
        ("POST", f"/v1/runs/{RUN_ID}/{report}") for report in REPORTS
    }
    assert served - asked == of_no_tenant | of_attempts | {("PUT", "/v1/jobs/report")}


def test_a_list_holds_ones_own_jobs_only(api: ApiClient) -> None:
    api.put("mine")
    other = api.for_account(OTHER)
    other.put("theirs")

    assert [job["id"] for job in api.get("/v1/jobs")["items"]] == ["mine"]
    assert [job["id"] for job in other.get("/v1/jobs")["items"]] == ["theirs"]


def test_two_tenants_may_have_jobs_of_one_name(api: ApiClient) -> None:
    other = api.for_account(OTHER)
    api.put(name="mine")
    other.put(name="theirs")
    other("DELETE", "/v1/jobs/report")

    assert api.get("/v1/jobs/report")["name"] == "mine"


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/report/runs"])
def test_a_cursor_opens_nothing_to_another_tenant(api: ApiClient, path: str) -> None:
    other = api.for_account(OTHER)
    for client in (api, other):
        client.put()
        client.put("second")
    cursor = api.get(path, query="limit=1")["next_cursor"]

    assert api("GET", path, query=f"cursor={cursor}").status == 200
    assert other("GET", path, query=f"cursor={cursor}").status == 400


def test_a_cursor_opens_no_other_list(api: ApiClient) -> None:
    for job_id in ("a", "b"):
        api.put(job_id)
    of_jobs = api.get("/v1/jobs", query="limit=1")["next_cursor"]
    of_runs = api.get("/v1/jobs/a/runs", query="limit=1")["next_cursor"]

    assert api("GET", "/v1/jobs", query=f"cursor={of_runs}").status == 400
    assert api("GET", "/v1/jobs/a/runs", query=f"cursor={of_jobs}").status == 400
    assert api("GET", "/v1/jobs/b/runs", query=f"cursor={of_runs}").status == 400


def test_a_cursor_that_was_changed_opens_nothing(api: ApiClient) -> None:
    for job_id in ("a", "b", "c"):
        api.put(job_id)
    cursor: str = api.get("/v1/jobs", query="limit=1")["next_cursor"]
    for place in range(len(cursor)):
        changed = cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :]
        answer = api("GET", "/v1/jobs", query=f"cursor={changed}")
        same = [job["id"] for job in answer.json.get("items", [])] == ["b", "c"]
        # The last character may hold bits that no byte is made of: then it is the same cursor.
        assert answer.status == 400 or (same and place == len(cursor) - 1)


def test_a_cursor_ends_with_the_key_that_sealed_it(api: ApiClient, engine: Engine) -> None:
    for job_id in ("a", "b"):
        api.put(job_id)
    cursor = api.get("/v1/jobs", query="limit=1")["next_cursor"]
    app = an_app(engine, cursor_key=b"another key")

    assert (
        ApiClient(app=app).for_account(ACCOUNT)("GET", "/v1/jobs", query=f"cursor={cursor}").status
        == 400
    )


@pytest.mark.parametrize(
    "authorizer",
    [
        None,
        {},
        {"lambda": {"tenant": "acme"}},
        {"iam": None},
        {"iam": {}},
        {"iam": {"accountId": None}},
        {"iam": {"accountId": ""}},
        {"iam": {"accountId": 111122223333}},
        {"jwt": {}},
        {"jwt": {"claims": None}},
        {"jwt": {"claims": {"sub": "acme"}}},
        {"jwt": {"claims": {"tenant": ""}}},
        {"jwt": {"claims": {"tenant": "acme#report"}}},
        {"jwt": {"claims": {"tenant": "acme/report"}}},
        {"jwt": {"claims": {"tenant": "a b"}}},
        {"jwt": {"claims": {"tenant": "acme\n"}}},
        {"jwt": {"claims": {"tenant": "[acme other]"}}},
        {"jwt": {"claims": {"tenant": ["acme"]}}},
        {"jwt": {"claims": {"tenant": "x" * 129}}},
    ],
    ids=str,
)
@pytest.mark.parametrize(("method", "path", "body"), TENANT_ROUTES)
def test_nobody_in_particular_is_turned_away(
    engine_app: Any, authorizer: Any, method: str, path: str, body: Any
) -> None:
    api = ApiClient(app=engine_app, authorizer=authorizer)

    answer = api(method, path, *([] if body is None else [body]))

    assert answer.status == 401
    assert answer.json["type"].endswith(Unauthenticated.code)
    assert answer.headers["WWW-Authenticate"]


@pytest.fixture(scope="module")
def engine_app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Yield the API of the cloud; nobody gets so far that they would change anything."""
    with memory_engine(FakeClock(), tmp_path_factory.mktemp("empty")) as engine:
        yield an_app(engine)


def test_headers_query_and_body_say_nothing_of_who_asks(api: ApiClient) -> None:
    api.put()
    claims = {"X-Tenant": ACCOUNT, "Tenant": ACCOUNT, "Authorization": f"Bearer {ACCOUNT}"}

    assert api.for_account(OTHER)("GET", "/v1/jobs/report", headers=claims).status == 404
    unknown = ApiClient(app=api.app)
    assert unknown("GET", "/v1/jobs/report", headers=claims).status == 401


def test_a_token_names_its_tenant_by_the_claim_that_was_agreed(engine: Engine) -> None:
    claims = {"jwt": {"claims": {"tenant": "acme", "org": "other"}}}
    usual = ApiClient(app=an_app(engine), authorizer=claims)
    agreed = ApiClient(app=an_app(engine, tenant_claim="org"), authorizer=claims)
    usual.put(name="acme's")
    agreed.put(name="other's")

    assert usual.get("/v1/jobs/report")["name"] == "acme's"
    assert agreed.get("/v1/jobs/report")["name"] == "other's"


def test_on_one_machine_nobody_is_asked_who_they_are(engine: Engine) -> None:
    api = ApiClient(app=an_app(engine, local_tenant="default"))
    api.put()

    assert api.for_account(OTHER).get("/v1/jobs/report")["id"] == "report"


@pytest.mark.parametrize(
    ("url", "in_cloud", "on_one_machine"),
    [
        ("https://example.com/hook", 201, 201),
        ("http://example.com/hook", 422, 201),
        ("http://127.0.0.1:8080/hook", 422, 201),
        ("https://10.0.0.1/hook", 422, 201),
        ("http://169.254.169.254/", 422, 422),
        ("ftp://example.com/", 422, 422),
    ],
)
def test_where_a_target_may_lie_depends_on_where_it_is_called_from(
    engine: Engine, url: str, in_cloud: int, on_one_machine: int
) -> None:
    job = JOB | {"target": {"type": "http", "url": url}}
    cloud = ApiClient(app=an_app(engine)).for_account(ACCOUNT)
    lenient = ApiClient(app=an_app(engine, allow_private_targets=True)).for_account(OTHER)
    local = ApiClient(app=an_app(engine, local_tenant="default"))

    assert cloud("PUT", "/v1/jobs/report", job).status == in_cloud
    assert lenient("PUT", "/v1/jobs/report", job).status == on_one_machine
    assert local("PUT", "/v1/jobs/report", job).status == on_one_machine
