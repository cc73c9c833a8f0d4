"""What goes out over the wire, and what of the answer is kept."""

import gzip
from datetime import timedelta

import pytest

from punctual.core.calls import BODY_KEPT_MAX, Answer, Verdict, http_call, judge
from punctual.core.jobs import HttpTarget
from tests.emulator.targets.conftest import KINDS, AnyTargets, OpenTargets
from tests.support.calls import a_call, answer_to
from tests.support.clock import NINE, FakeClock
from tests.support.keeping import MemoryResults
from tests.support.sinks import Request, Sink, answer, head, raw, sink

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.parametrize("open_targets", sorted(KINDS), indirect=True),
]

SECRET = "Bearer not-for-anybody-else"

OURS = (
    "Idempotency-Key",
    "Punctual-Attempt",
    "Punctual-Job-Id",
    "Punctual-Run-Id",
    "Punctual-Scheduled-At",
    "webhook-id",
    "webhook-timestamp",
)


def attempt_of_a_run(targets: AnyTargets, target: Sink, number: int) -> Request:
    """Carry out an attempt of a run as an executor does, and return what the target saw."""
    call = http_call(
        HttpTarget(
            url=f"{target.url}/hook",
            headers=(("Authorization", SECRET), ("punctual-attempt", "7")),
            body='{"attempt": "{{attempt}}"}',
        ),
        tenant="acme",
        run_id="report.20261201T090000Z",
        job_id="report",
        scheduled_at=NINE,
        attempt=number,
        timeout=timedelta(seconds=20),
    )
    assert answer_to(targets, call).error is None
    return target.requests[-1]


def test_every_header_of_ours_is_there_once_and_stays_the_same_over_attempts(
    open_targets: OpenTargets, target: Sink
) -> None:
    clock = FakeClock()
    targets = open_targets(clock=clock)
    first = attempt_of_a_run(targets, target, 1)
    clock.set(NINE + timedelta(seconds=7))
    second = attempt_of_a_run(targets, target, 2)

    assert {name: first.header(name) for name in OURS} == {
        "Idempotency-Key": "report.20261201T090000Z",
        "Punctual-Attempt": "1",
        "Punctual-Job-Id": "report",
        "Punctual-Run-Id": "report.20261201T090000Z",
        "Punctual-Scheduled-At": "2026-12-01T09:00:00Z",
        "webhook-id": "report.20261201T090000Z",
        "webhook-timestamp": "1796115600",
    }
    changed = {name for name in OURS if first.header(name) != second.header(name)}
    assert changed == {"Punctual-Attempt", "webhook-timestamp"}
    assert second.header("Punctual-Attempt") == "2"
    assert second.header("webhook-timestamp") == "1796115607"
    assert second.body == b'{"attempt": "2"}'
    assert second.header("Authorization") == SECRET


def test_nothing_is_sent_that_neither_the_job_nor_http_asks_for(
    targets: AnyTargets, target: Sink
) -> None:
    answer_to(targets, a_call(target.url))

    (request,) = target.requests
    assert sorted(name for name, _ in request.headers) == [
        "Accept",
        "Accept-Encoding",
        "Content-Length",
        "Content-Type",
        "Host",
        "User-Agent",
        "webhook-timestamp",
    ]
    assert request.header("Accept-Encoding") == "identity"
    assert request.header("Host") == target.url.removeprefix("http://")


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("", "/"),
        ("?only=query", "/?only=query"),
        ("/signed%2Fpath?sig=a%2Fb+c%3D&empty=", "/signed%2Fpath?sig=a%2Fb+c%3D&empty="),
        ("/up/../and/./down//twice", "/up/../and/./down//twice"),
        ("/braces{}|^`<>\"';@:$", "/braces{}|^`<>\"';@:$"),
        ("/%7euser?q=%zz", "/%7euser?q=%zz"),
        ("/grün?q=☃", "/gr%C3%BCn?q=%E2%98%83"),
        ("/path#fragment", "/path"),
    ],
)
def test_a_url_is_sent_as_it_is_written(
    targets: AnyTargets, target: Sink, written: str, sent: str
) -> None:
    """A signature over it would not hold otherwise."""
    assert answer_to(targets, a_call(target.url + written)).error is None

    assert target.requests[0].target == sent


@pytest.mark.parametrize("method", ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"])
def test_every_method_is_sent_with_a_body_and_without(
    targets: AnyTargets, target: Sink, method: str
) -> None:
    if method == "HEAD":
        target.behaviour = raw(head(200, ("Content-Length", "9")), close=False)

    with_body = answer_to(targets, a_call(target.url, method=method))
    without = answer_to(targets, a_call(target.url, method=method, body=b"", headers=()))

    assert (with_body.status_code, without.status_code) == (200, 200)
    assert [(r.method, r.body) for r in target.requests] == [(method, b'{"a": 1}'), (method, b"")]
    assert not target.requests[1].values("Content-Type")


def test_a_large_body_arrives_whole(targets: AnyTargets, target: Sink) -> None:
    body = bytes(range(256)) * 1024

    assert answer_to(targets, a_call(target.url, body=body)).error is None

    assert target.requests[0].body == body


def test_the_answer_is_kept_with_what_the_record_needs(targets: AnyTargets, target: Sink) -> None:
    headers = (("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", "120"))
    target.behaviour = answer(503, b"come back later", *headers)

    assert answer_to(targets, a_call(target.url)) == Answer(
        status_code=503,
        content_type="text/plain; charset=utf-8",
        retry_after="120",
        body=b"come back later",
        body_bytes=15,
    )


@pytest.mark.parametrize("size", [0, BODY_KEPT_MAX, BODY_KEPT_MAX + 1, 300_000])
def test_the_beginning_of_a_body_comes_with_the_answer_and_a_long_one_is_put_away(
    open_targets: OpenTargets, target: Sink, size: int
) -> None:
    body = bytes(number % 251 for number in range(size))
    target.behaviour = answer(200, body)
    results = MemoryResults()

    given = answer_to(open_targets(results=results), a_call(target.url))

    assert given.error is None
    assert given.body == body[:BODY_KEPT_MAX]
    assert given.body_bytes == size
    assert not given.truncated
    stored = None if given.stored is None else results.bodies[given.stored]
    assert stored == (body if size > BODY_KEPT_MAX else None)


@pytest.mark.parametrize("status", [200, 204, 205, 304, 400, 404, 410, 429, 500, 599, 999])
def test_every_status_is_an_answer(targets: AnyTargets, target: Sink, status: int) -> None:
    target.behaviour = raw(head(status, ("Content-Length", "0")))

    given = answer_to(targets, a_call(target.url))

    assert given == Answer(status_code=status)


def test_what_comes_before_the_answer_is_not_the_answer(targets: AnyTargets, target: Sink) -> None:
    """A target may say that it goes on, or send hints; the status that counts comes after them."""
    target.behaviour = raw(head(100), head(103, ("Link", "</style.css>")), head(204))

    assert answer_to(targets, a_call(target.url)).status_code == 204


def test_a_target_of_the_last_century_is_understood(targets: AnyTargets, target: Sink) -> None:
    target.behaviour = raw(b"HTTP/1.0 200 OK\r\n\r\nthe body ends with the connection")

    given = answer_to(targets, a_call(target.url))

    assert (given.error, given.body) == (None, b"the body ends with the connection")


def test_a_compressed_answer_is_kept_and_counted_as_it_came(
    targets: AnyTargets, target: Sink
) -> None:
    """Inflated, a few bytes may be gigabytes."""
    bomb = gzip.compress(b"\0" * 10_000_000)
    target.behaviour = answer(200, bomb, ("Content-Encoding", "gzip"))

    given = answer_to(targets, a_call(target.url))

    assert given.error is None
    assert (given.body, given.body_bytes) == (bomb[:BODY_KEPT_MAX], len(bomb))


def test_headers_of_the_answer_can_be_stored_whatever_they_hold(
    targets: AnyTargets, target: Sink
) -> None:
    kind = b"Content-Type: kind\xe9/" + b"x" * 1000
    target.behaviour = raw(b"HTTP/1.1 200 OK\r\n" + kind + b"\r\n\r\nok")

    given = answer_to(targets, a_call(target.url))

    assert given.content_type is not None
    assert given.content_type.startswith("kind?/xxx")
    assert given.content_type.isascii()
    assert len(given.content_type) == 128


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(targets: AnyTargets, target: Sink, status: int) -> None:
    """It would lead past every check, to the machine's own credentials for one."""
    call = a_call(target.url, method="GET", body=b"")
    with sink() as elsewhere:
        for location in (f"{elsewhere.url}/", "http://169.254.169.254/latest/meta-data/", "/"):
            target.behaviour = answer(status, b"", ("Location", location))

            given = answer_to(targets, call)

            assert (given.status_code, given.error) == (status, None)
            assert judge(call, given) is Verdict.FINAL
        assert elsewhere.requests == []
    assert len(target.requests) == 3


def test_no_proxy_of_the_environment_gets_to_see_a_call(
    targets: AnyTargets, target: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sink() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("no_proxy", "")

        assert answer_to(targets, a_call(target.url)).error is None

        assert proxy.requests == []
    assert len(target.requests) == 1


def test_a_cookie_is_not_brought_back(targets: AnyTargets, target: Sink) -> None:
    """Two runs, of two tenants perhaps, have nothing to do with each other."""
    target.behaviour = answer(200, b"ok", ("Set-Cookie", "session=1; Path=/"))

    for _ in range(2):
        answer_to(targets, a_call(target.url))

    assert [request.values("Cookie") for request in target.requests] == [[], []]
