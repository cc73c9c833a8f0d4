"""Whatever is wrong with a request is told, field by field, and nothing of it is stored."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from enum import Enum
from typing import Any

import pytest

from punctual.ports import JobStore
from tests.support.api_client import JOB, Answer, ApiClient
from tests.support.apis import an_app
from tests.support.clock import FakeClock
from tests.support.embedded_engine import memory_engine
from tests.unit.api.conftest import ACCOUNT


class Value(Enum):
    """What is no JSON, and said of a field all the same; it names a test alike in every process."""

    REMOVED = "removed"


REMOVED: Any = Value.REMOVED
WHOLE: dict[str, Any] = JOB | {
    "retry": {"max_attempts": 3},
    "tags": {"team": "billing"},
    "target": JOB["target"] | {"headers": {"X-Team": "billing"}},
}
CRON = {"cron": "0 9 * * *", "timezone": "Europe/Berlin"}


class ReadOnlyJobs:
    """The engine's jobs for whoever must not write."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs

    def __getattr__(self, name: str) -> Any:
        assert name in {"read", "read_contents", "list"}, f"wrote: {name}"
        return getattr(self._jobs, name)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiClient]:
    """Yield the API over jobs that cannot be written, so that all tests may share it."""
    with memory_engine(FakeClock(), tmp_path_factory.mktemp("empty")) as engine:
        jobs: Any = ReadOnlyJobs(engine.jobs)
        yield ApiClient(app=an_app(engine, jobs=jobs)).for_account(ACCOUNT)


def the_problem(answer: Answer, status: int) -> dict[str, Any]:
    """Return what an answer says, which is a problem with all its parts."""
    assert answer.status == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json
    assert problem["status"] == status
    assert problem["type"].startswith("urn:punctual:problem:")
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"].startswith("/")
    for error in problem.get("errors", ()):
        assert 0 < len(error["detail"]) <= 500
    return problem


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return a good job with one thing in it replaced, added or removed."""
    job = deepcopy(WHOLE)
    *outer, last = path.split("/")
    place: Any = job
    for step in outer:
        place = place[step]
    if value is REMOVED:
        del place[last]
    else:
        place[last] = value
    return job


BAD_VALUES: Mapping[str, Sequence[Any]] = {
    "name": ["", "x" * 129, 5, "two\nlines", "nul\x00"],
    "nme": ["x"],
    "schedule": [
        REMOVED,
        None,
        "0 9 * * *",
        [],
        {},
        {"cron": None},
        {"every_seconds": 5, "cron": "* * * * *"},
    ],
    "schedule/every_seconds": ["60", True, 0, 0.999, -1, 1e300, [60], 10**12],
    "schedule/every": [60],
    "schedule/start_at": ["2026-12-01", "2026-12-01T09:00:00", 1764579600, "tomorrow", True],
    "schedule/end_at": ["2026-13-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z"],
    "schedule/max_runs": [0, -1, 1.5, "3", True, 10**10],
    "schedule/exclude": ["2026-12-25", {}, ["2026-12-25"] * 501],
    "schedule/exclude/0": ["2026-02-30", "25.12.2026", 20261225, None],
    "schedule/spread_seconds": [-1, "1", 86_401, True, None],
    "schedule/timezone": ["Europe/Berlin"],
    "schedule/dst": [{"gap": "skip"}],
    "target": [REMOVED, None, [], "https://example.com"],
    "target/type": [REMOVED, "ftp", None, 1],
    "target/url": [
        REMOVED,
        None,
        "",
        "example.com",
        "ftp://example.com/",
        "http://example.com/",
        "https://user:secret@example.com/",
        "https://example.com:22/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://localhost/",
        "https://exam ple.com/",
        "https://{{run_id}}.example.com/",
        "https://example.com/" + "x" * 2048,
    ],
    "target/method": ["post", "TRACE", 1, None],
    "target/headers": [[], "X-Team: a", None],
    "target/headers/X-Team": [1, None, "a\r\nHost: evil", "x" * 4097],
    "target/headers/a b": ["c"],
    "target/headers/x-team": ["twice"],
    "target/headers/Idempotency-Key": ["mine"],
    "target/headers/webhook-id": ["mine"],
    "target/headers/Punctual-Attempt": ["1"],
    "target/headers/Host": ["evil.example"],
    "target/success_codes": [[], "2xx", ["2xx"] * 21],
    "target/success_codes/0": ["6xx", "20", "2XX", 200, None],
    "target/timeout": [5],
    "retry": [None, 3],
    "retry/max_attempts": [0, 21, "3", True, 2.5],
    "retry/min_delay_seconds": [-0.1, "1", 1_209_601],
    "retry/max_delay_seconds": [-1, 0.5, None],
    "target/secret_arn": [
        "",
        5,
        "punctual/111122223333/token",
        "arn:aws:s3:::punctual/111122223333/token",
        "arn:aws:secretsmanager:eu-central-1:111122223333:secret:punctual/other/token-a1B2c3",
        "arn:aws:secretsmanager:eu-central-1:111122223333:secret:token-a1B2c3",
    ],
    "target/signing_secret_arn": [True, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    "retry/multiplier": [0.5, 101, "2"],
    "retry/jitter": ["equal", True],
    "retry/max_age_seconds": [0, 1_209_601],
    "retry/attempts": [5],
    "timeout_seconds": [0, 0.5, 841, "30", True, None],
    "start_deadline_seconds": [0, 1_209_601, "1"],
    "catch_up": ["some", None, 1],
    "overlap": ["some", None, True],
    "delivery": ["exactly_once", None],
    "limits": [None, {}, [{"key": f"key-{number}", "max_concurrent": 1} for number in range(3)]],
    "limits/0": [None, "crm-api", {"key": "crm-api"}, {"key": "crm-api", "max_concurrent": None}],
    "tags": [[], "team:billing", {str(number): "" for number in range(21)}],
    "tags/team": [1, None, "x" * 257, "a\tb"],
    "tags/a:b": ["a colon parts a tag's name from its value"],
    "tags/": [""],
}


def cases(table: Mapping[str, Sequence[Any]]) -> list[tuple[str, Any]]:
    return [(path, value) for path, values in table.items() for value in values]


def bad_job(path: str, value: Any) -> dict[str, Any]:
    """Return a job with a bad value; one for an entry of a list makes that list."""
    if path.endswith("/0"):
        return changed(path.removesuffix("/0"), [value])
    return changed(path, value)


@pytest.mark.parametrize(("path", "value"), cases(BAD_VALUES), ids=str)
def test_a_bad_value_is_told_by_its_field(api: ApiClient, path: str, value: Any) -> None:
    job = bad_job(path, value)

    for method, where in (("POST", "/v1/jobs"), ("PUT", "/v1/jobs/report")):
        problem = the_problem(api(method, where, job), 422)

        assert [error["pointer"] for error in problem["errors"]][:1] == [f"/{path}"]


@pytest.mark.parametrize(
    ("limit", "pointer"),
    [
        ({"key": ""}, "/limits/1/key"),
        ({"key": "a b"}, "/limits/1/key"),
        ({"key": "a#b"}, "/limits/1/key"),
        ({"key": "-a"}, "/limits/1/key"),
        ({"key": "x" * 65}, "/limits/1/key"),
        ({"max_concurrent": 0}, "/limits/1/max_concurrent"),
        ({"max_concurrent": 101}, "/limits/1/max_concurrent"),
        ({"max_concurrent": 1.5}, "/limits/1/max_concurrent"),
        ({"rate_per_second": 0}, "/limits/1/rate_per_second"),
        ({"rate_per_second": 101}, "/limits/1/rate_per_second"),
        ({"rate_per_second": True}, "/limits/1/rate_per_second"),
        ({"key": "crm-api"}, "/limits"),
    ],
    ids=str,
)
def test_a_limit_that_cannot_be_used_is_told_by_its_field(
    api: ApiClient, limit: Any, pointer: str
) -> None:
    limits = [{"key": "crm-api", "max_concurrent": 5}, {"key": "b", "max_concurrent": 1} | limit]

    answer = api("PUT", "/v1/jobs/report", JOB | {"limits": limits})

    assert (answer.status, answer.pointers) == (422, [pointer])


@pytest.mark.parametrize(
    ("schedule", "pointer"),
    [
        ({"cron": "0 9 * *"}, "/schedule/cron"),
        ({"cron": "61 * * * *"}, "/schedule/cron"),
        ({"cron": "0 0 30 2 *"}, "/schedule/cron"),
        ({"cron": "* " * 200}, "/schedule/cron"),
        ({"cron": ""}, "/schedule/cron"),
        ({"cron": 5}, "/schedule/cron"),
        (CRON | {"timezone": "Europe/Bielefeld"}, "/schedule/timezone"),
        (CRON | {"timezone": "../../etc/passwd"}, "/schedule/timezone"),
        (CRON | {"timezone": "x" * 65}, "/schedule/timezone"),
        (CRON | {"dst": {"gap": "before"}}, "/schedule/dst/gap"),
        (CRON | {"dst": {"overlap": "none"}}, "/schedule/dst/overlap"),
        (CRON | {"dst": "skip"}, "/schedule/dst"),
        (CRON | {"dst": {"fold": 1}}, "/schedule/dst/fold"),
        ({"at": "2026-12-01"}, "/schedule/at"),
        ({"at": "2026-02-30T00:00:00Z"}, "/schedule/at"),
        ({"at": 5}, "/schedule/at"),
        ({"at": "1969-12-31T23:59:59Z"}, "/schedule/at"),
        ({"at": "3000-01-01T00:00:00Z"}, "/schedule/at"),
        ({"at": "2026-12-01T09:00:00Z", "dst": {}}, "/schedule/dst"),
        (CRON | {"end_at": "2020-01-01T00:00:00Z"}, "/schedule"),
        (
            CRON | {"start_at": "2027-02-01T00:00:00Z", "end_at": "2027-01-01T00:00:00Z"},
            "/schedule/end_at",
        ),
        ({"every_seconds": 5, "end_at": "2026-12-01T09:00:04Z"}, "/schedule"),
        ({"at": "2026-12-01T09:00:00Z", "exclude": ["2026-12-01"]}, "/schedule/exclude"),
    ],
    ids=str,
)
def test_a_schedule_that_cannot_be_used_is_told_by_its_field(
    api: ApiClient, schedule: Any, pointer: str
) -> None:
    problem = the_problem(api("PUT", "/v1/jobs/report", JOB | {"schedule": schedule}), 422)

    assert [error["pointer"] for error in problem["errors"]] == [pointer]


def test_every_wrong_field_is_told_at_once(api: ApiClient) -> None:
    job = JOB | {
        "id": 7,
        "schedule": {"cron": "every day", "timezone": "UTC", "max_runs": True},
        "target": {"type": "http", "url": "gopher://x", "headers": {"Webhook-Id": "", "a/~b": ""}},
        "retry": {"max_attempts": "5"},
        "overlap": "sometimes",
        "limits": [{"key": "crm api", "max_concurrent": 0, "rate": 5}],
        "tags": {"a": 1},
        "color/~": "red",
    }

    answer = api("POST", "/v1/jobs", job)

    assert answer.status == 422
    assert answer.pointers == [
        "/id",
        "/schedule/max_runs",
        "/target/url",
        "/target/headers/Webhook-Id",
        "/target/headers/a~1~0b",
        "/retry/max_attempts",
        "/overlap",
        "/limits/0/key",
        "/limits/0/max_concurrent",
        "/limits/0/rate",
        "/tags/a",
        "/color~1~0",
    ]


def test_a_schedule_is_read_though_other_fields_are_wrong(api: ApiClient) -> None:
    answer = api("POST", "/v1/jobs", {"schedule": {"cron": "every day"}, "name": 5})

    assert answer.pointers == ["/name", "/schedule/cron", "/target"]


def test_no_more_than_fifty_wrong_fields_are_told(api: ApiClient) -> None:
    answer = api("POST", "/v1/jobs", JOB | {f"field-{number}": 0 for number in range(1000)})

    assert answer.status == 422
    assert len(answer.pointers) == 50


def test_what_is_told_shows_nothing_of_what_was_sent(api: ApiClient) -> None:
    secret = "Bearer eyJhbGciOi"
    target = {"type": "http", "url": secret, "headers": {"Authorization": [secret]}, "body": secret}

    answer = api("POST", "/v1/jobs", JOB | {"target": target, "name": {"secret": secret}})

    assert answer.status == 422
    assert secret not in answer.content.decode()


@pytest.mark.parametrize("job_id", ["Report", "-report", "_x", "a.b", "a~2", "x" * 65, "ä", "a b"])
def test_an_id_that_no_job_may_have_is_refused(api: ApiClient, job_id: str) -> None:
    problem = the_problem(api("PUT", f"/v1/jobs/{job_id}", JOB), 422)

    assert [error["pointer"] for error in problem["errors"]] == ["/id"]
    for method, path in (
        ("GET", f"/v1/jobs/{job_id}"),
        ("DELETE", f"/v1/jobs/{job_id}"),
        ("POST", f"/v1/jobs/{job_id}/pause"),
        ("GET", f"/v1/jobs/{job_id}/runs"),
    ):
        the_problem(api(method, path), 404)


def test_an_id_in_the_body_must_be_the_one_of_the_path(api: ApiClient) -> None:
    put = api("PUT", "/v1/jobs/report", JOB | {"id": "other"})
    post = api("POST", "/v1/jobs", JOB | {"id": "report"})

    assert (put.status, put.pointers) == (422, ["/id"])
    assert (post.status, post.pointers) == (422, ["/id"])
    assert "PUT" in post.json["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"note": 5}, "/note"),
        ({"note": "x" * 501}, "/note"),
        ({"note": "a\x1b[31mred"}, "/note"),
        ({"reason": "x"}, "/reason"),
        ({"until": "2026-12-02T00:00:00Z"}, "/until"),
        ([], ""),
        ("note", ""),
    ],
    ids=str,
)
def test_a_bad_pause_is_told_by_its_field(api: ApiClient, body: Any, pointer: str) -> None:
    problem = the_problem(api("POST", "/v1/jobs/report/pause", body), 422)

    assert [error["pointer"] for error in problem["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("limit=1e1", "limit"),
        ("limit=%2B5", "limit"),
        ("limit=-1", "limit"),
        ("limit=1_0", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("state=deleted", "state"),
        ("state=ACTIVE", "state"),
        ("tag=billing", "tag"),
        ("tag=:billing", "tag"),
        ("tag=my%20team:billing", "tag"),
        ("limit=5&limit=6", "limit"),
        ("tag=a:b&tag=c:d", "tag"),
        ("status=active", "status"),
        ("prefix=" + "x" * 65, "prefix"),
    ],
)
def test_a_bad_parameter_of_a_list_of_jobs_is_told(api: ApiClient, query: str, name: str) -> None:
    problem = the_problem(api("GET", "/v1/jobs", query=query), 422)

    assert [error["pointer"] for error in problem["errors"]] == [f"/{name}"]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("state=done", "state"),
        ("from=yesterday", "from"),
        ("to=2026-12-01", "to"),
        ("since=2026-12-01T00:00:00Z", "since"),
        ("limit=1000", "limit"),
    ],
)
def test_a_bad_parameter_of_a_list_of_runs_is_told(api: ApiClient, query: str, name: str) -> None:
    problem = the_problem(api("GET", "/v1/jobs/report/runs", query=query), 422)

    assert [error["pointer"] for error in problem["errors"]] == [f"/{name}"]


@pytest.mark.parametrize("query", ["limit=%FF", "&".join(f"a{n}=1" for n in range(50))])
def test_a_query_that_cannot_be_read_is_refused(api: ApiClient, query: str) -> None:
    the_problem(api("GET", "/v1/jobs", query=query), 400)


def test_a_parameter_where_none_is_taken_is_told(api: ApiClient) -> None:
    answer = api("GET", "/v1/jobs/report", query="fields=id")

    assert (answer.status, answer.pointers) == (422, ["/fields"])


@pytest.mark.parametrize("where", ["/v1/jobs", "/v1/jobs/report/runs"])
@pytest.mark.parametrize(
    "cursor", ["x", "AAAA", "%00", "....", "ä", "A" * 2000, "QUFBQUFBQUFBQUFBQUFBQWpvYi0x"]
)
def test_a_cursor_that_no_list_gave_is_refused(api: ApiClient, where: str, cursor: str) -> None:
    the_problem(api("GET", where, query=f"cursor={cursor}"), 400)


DEEP = 40_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "nonsense",
        "{'a': 1}",
        '{"a": 1,}',
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": -1e999}',
        '{"a": 01}',
        '{"a": 1} {}',
        '{"a": "\x01"}',
        '{"a": 1, "a": 2}',
        '{"target": {"type": "http", "type": "http"}}',
        '{"a": "\\ud800"}',
        '{"\\udfff": 1}',
        '{"a": "\\ud800\\u0041"}',
        '{"a": %s}' % ("1" * 5000),
        "[" * DEEP,
        "[" * 101 + "]" * 101,
        '{"a":' * 100 + "[]" + "}" * 100,
        '{"a":' * DEEP + "1" + "}" * DEEP,
        "\ufeff{}",
        "\ud800",
    ],
    ids=lambda text: repr(text[:30]),
)
def test_a_body_that_is_not_json_is_refused(api: ApiClient, text: str) -> None:
    for method, path in (("POST", "/v1/jobs"), ("PUT", "/v1/jobs/report")):
        the_problem(api(method, path, raw=text), 400)
    if text:  # a pause may go without a body
        the_problem(api("POST", "/v1/jobs/report/pause", raw=text), 400)


@pytest.mark.parametrize("body", [[], "text", 5, True, [JOB]], ids=str)
def test_a_body_that_is_no_object_is_refused(api: ApiClient, body: Any) -> None:
    problem = the_problem(api("POST", "/v1/jobs", body), 422)

    assert problem["errors"] == [{"pointer": "", "detail": "should be an object"}]


def test_null_is_no_body(api: ApiClient) -> None:
    the_problem(api("POST", "/v1/jobs", None), 400)


def test_a_body_over_the_limit_is_refused(api: ApiClient) -> None:
    target = JOB["target"] | {"body": "x" * 256 * 1024}

    for method, path in (("POST", "/v1/jobs"), ("PUT", "/v1/jobs/report")):
        the_problem(api(method, path, JOB | {"target": target}), 413)
    the_problem(api("POST", "/v1/jobs/report/pause", {"note": "x" * 256 * 1024}), 413)


def test_the_limit_counts_bytes_not_characters(api: ApiClient) -> None:
    raw = json.dumps(JOB | {"name": "ä" * 131_072}, ensure_ascii=False)

    assert len(raw) < 256 * 1024
    the_problem(api("POST", "/v1/jobs", raw=raw), 413)


def test_a_target_that_takes_up_too_much_as_it_is_stored_is_refused(api: ApiClient) -> None:
    """Quotation marks in a text within a JSON body are escaped twice."""
    target = JOB["target"] | {"body": {"a": '"' * 100_000}}

    answer = api("POST", "/v1/jobs", JOB | {"target": target})

    assert (answer.status, answer.pointers) == (422, ["/target/body"])


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "application/xml",
        "application/json; charset=latin-1",
        "multipart/form-data; boundary=x",
        "",
    ],
)
def test_a_body_that_says_it_is_something_else_is_refused(
    api: ApiClient, content_type: str
) -> None:
    for method, path in (("POST", "/v1/jobs"), ("PUT", "/v1/jobs/report")):
        answer = api(method, path, JOB, headers={"Content-Type": content_type})
        the_problem(answer, 415)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/jobs/", 404),
        ("GET", "/v1/jobs/a/b/c", 404),
        ("GET", "/v2/jobs", 404),
        ("GET", "/v1/jobs/../runs", 404),
        ("POST", "/v1/jobs/report/unpause", 404),
        ("GET", "/v1/runs/report", 404),
        ("GET", "/v1/runs/report.now", 404),
        ("GET", "/v1/runs/report~1.20261201T090000Z", 404),
        ("GET", "/v1/runs/report.20261301T990000Z", 404),
        ("GET", "/v1/runs/report.20261201T090000Z", 404),
        ("GET", "/v1/runs/report.20261201T090000Z/logs", 404),
        ("GET", "/v1/runs/report.20261201T090000Z/result", 404),
        ("POST", "/v1/runs/report.20261201T090000Z/cancel", 404),
        ("POST", "/v1/jobs/report/resume", 404),
        ("POST", "/v1/jobs/report/pause", 404),
    ],
)
def test_what_is_not_there_is_not_found(
    api: ApiClient, method: str, path: str, status: int
) -> None:
    problem = the_problem(api(method, path), status)

    assert problem["instance"] == path


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/jobs", "GET, HEAD, POST"),
        ("POST", "/v1/jobs/report", "DELETE, GET, HEAD, PATCH, PUT"),
        ("GET", "/v1/jobs/report/pause", "POST"),
        ("OPTIONS", "/v1/jobs", "GET, HEAD, POST"),
        ("DELETE", "/v1/jobs/report/runs", "GET, HEAD, POST"),
        ("POST", "/v1/health", "GET, HEAD"),
        ("TRACE", "/docs", "GET, HEAD"),
        ("get", "/v1/runs/report.20261201T090000Z/cancel", "POST"),
    ],
)
def test_a_method_that_a_path_does_not_take_is_told_which_it_takes(
    api: ApiClient, method: str, path: str, allowed: str
) -> None:
    answer = api(method, path)

    the_problem(answer, 405)
    assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "status"),
    [
        ("GET", "/v1/\udcff", "", {}, 404),
        ("GET", "/v1/jobs/\udcff", "", {}, 404),
        ("PUT", "/v1/jobs/\udcff", "", {}, 404),
        ("GET", "/v1/runs/\udcff", "", {}, 404),
        ("GET", "/v1/jobs", "\udcff=1", {}, 422),
        ("GET", "/v1/jobs", "prefix=\udcff", {}, 422),
        ("GET", "/v1/jobs", "cursor=\udcff", {}, 422),
        ("POST", "/v1/jobs", "", {"Idempotency-Key": "\udcff"}, 422),
        ("POST", "/v1/jobs", "", {"Content-Type": "\udcff"}, 415),
        ("PUT", "/v1/jobs/report", "", {"If-Match": "\udcff"}, 412),
    ],
)
def test_what_is_no_text_is_refused_wherever_it_stands(
    api: ApiClient, method: str, path: str, query: str, headers: dict[str, str], status: int
) -> None:
    """A server reads bytes that are no UTF-8 as halves of surrogate pairs."""
    the_problem(api(method, path, JOB, query=query, headers=headers), status)


def test_bytes_that_are_no_text_are_refused(api: ApiClient) -> None:
    """A gateway hands over what is not text in base64."""
    answer = send_bytes(api, b'{"name": "\xff"}')

    the_problem(answer, 400)


def test_json_may_come_in_base64(api: ApiClient) -> None:
    answer = send_bytes(api, json.dumps({"nme": 1}).encode())

    assert answer.status == 422
    assert "/nme" in answer.pointers


def send_bytes(api: ApiClient, content: bytes) -> Answer:
    def encoded(event: dict[str, Any]) -> dict[str, Any]:
        return api.app(event | {"isBase64Encoded": True})

    client = ApiClient(app=encoded, authorizer=api.authorizer)
    return client("POST", "/v1/jobs", raw=b64encode(content).decode())
