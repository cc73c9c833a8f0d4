"""What an attempt sends, and what an answer means for its run."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punctual.core.calls import (
    BODY_KEPT_MAX,
    RETRY_AFTER_MAX,
    Answer,
    CallError,
    ErrorType,
    HttpCall,
    Verdict,
    error_of,
    header_refusal,
    http_call,
    judge,
    retry_after_seconds,
)
from punctual.core.jobs import HttpTarget
from tests.support.builders import SECOND
from tests.support.calls import a_call
from tests.support.clock import NINE

OURS = {
    "Idempotency-Key": "report.20261201T090000Z",
    "webhook-id": "report.20261201T090000Z",
    "Punctual-Job-Id": "report",
    "Punctual-Run-Id": "report.20261201T090000Z",
    "Punctual-Scheduled-At": "2026-12-01T09:00:00Z",
    "Punctual-Attempt": "1",
}


def call_of(target: HttpTarget, **fields: Any) -> HttpCall:
    """Return the call of the first attempt of the run of nine o'clock."""
    values: dict[str, Any] = {
        "tenant": "acme",
        "run_id": "report.20261201T090000Z",
        "job_id": "report",
        "scheduled_at": NINE,
        "attempt": 1,
        "timeout": 30 * SECOND,
    }
    return http_call(target, **values | fields)


def a_target(url: str = "https://example.com/hook", **fields: Any) -> HttpTarget:
    return HttpTarget(url=url, **fields)


class TestTheRequest:
    """Made from the target as the user wrote it, and what Punctual adds."""

    def test_it_carries_the_same_key_on_every_attempt_and_the_number_of_each(self) -> None:
        first = call_of(a_target())
        third = call_of(a_target(), attempt=3)

        assert dict(first.headers) == {"User-Agent": "Punctual"} | OURS
        assert dict(third.headers) == dict(first.headers) | {"Punctual-Attempt": "3"}
        assert (first.attempt, third.attempt) == (1, 3)

    def test_it_is_what_the_user_wrote(self) -> None:
        target = a_target(
            method="PUT",
            headers=(("Authorization", "Bearer x"), ("X-Empty", "")),
            body='{"a": [1, "ü"]}',
            success_codes=("2xx", "409"),
        )

        call = call_of(target, timeout=5 * SECOND)

        assert (call.method, call.url) == ("PUT", "https://example.com/hook")
        assert call.body == b'{"a": [1, "\xc3\xbc"]}'
        assert call.timeout == 5 * SECOND
        assert call.success_codes == ("2xx", "409")
        assert dict(call.headers) == OURS | {
            "Authorization": "Bearer x",
            "X-Empty": "",
            "User-Agent": "Punctual",
            "Content-Type": "application/json",
        }

    @pytest.mark.parametrize(
        ("fields", "kind"),
        [
            ({"body": "{}"}, "application/json"),
            ({"body": "text", "body_is_json": False}, "text/plain; charset=utf-8"),
            ({"body": "", "body_is_json": False}, "text/plain; charset=utf-8"),
            ({"body": "<a/>", "headers": (("content-type", "text/xml"),)}, "text/xml"),
            ({"body": None}, None),
        ],
    )
    def test_it_says_what_its_body_is_unless_the_user_does(
        self, fields: dict[str, Any], kind: str | None
    ) -> None:
        headers = call_of(a_target(**fields)).headers

        kinds = [value for name, value in headers if name.lower() == "content-type"]
        assert kinds == ([] if kind is None else [kind])

    def test_it_says_who_calls_unless_the_user_does(self) -> None:
        headers = call_of(a_target(headers=(("user-agent", "cron"),))).headers

        assert [v for n, v in headers if n.lower() == "user-agent"] == ["cron"]

    def test_no_body_is_none_at_all(self) -> None:
        assert call_of(a_target()).body == b""

    @pytest.mark.parametrize(
        "name",
        [
            "Idempotency-Key",
            "IDEMPOTENCY-KEY",
            "webhook-id",
            "Webhook-Signature",
            "punctual-attempt",
            "Punctual-Anything",
            "Host",
            "Content-Length",
            "transfer-encoding",
            "Connection",
            "Accept-Encoding",
            "Expect",
            "Upgrade",
            "Proxy-Authorization",
        ],
    )
    def test_a_header_that_is_ours_or_the_connections_is_not_the_users(self, name: str) -> None:
        """What was stored before a name became ours must not double it."""
        assert header_refusal(name, "theirs") is not None

        headers = call_of(a_target(headers=((name, "theirs"), ("X-Own", "stays")))).headers

        assert "theirs" not in [value for _, value in headers]
        assert dict(headers) == {"X-Own": "stays", "User-Agent": "Punctual"} | OURS

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("X-A", "one\r\nX-B: two"),
            ("X-A", "one\ntwo"),
            ("X-A", "nul\0"),
            ("X-A", "escape\x1b"),
            ("X-A", "\x7f"),
            ("X A", "one"),
            ("X-A:", "one"),
            ("", "one"),
            ("X-Ä", "one"),
            ("X\r\nY", "one"),
        ],
    )
    def test_a_header_that_would_be_another_is_left_out(self, name: str, value: str) -> None:
        assert header_refusal(name, value) is not None
        assert (name, value) not in call_of(a_target(headers=((name, value),))).headers

    @pytest.mark.parametrize(
        ("name", "value"),
        [("X-A", "one"), ("Authorization", "Basic eA=="), ("X-A", "tab\tü"), ("Accept", "a/b")],
    )
    def test_any_other_header_may_be_set(self, name: str, value: str) -> None:
        assert header_refusal(name, value) is None
        assert (name, value) in call_of(a_target(headers=((name, value),))).headers

    def test_its_secrets_are_not_shown(self) -> None:
        secret = "s3cr3t"
        target = a_target(
            f"https://example.com/?token={secret}", headers=(("X-Key", secret),), body=f'"{secret}"'
        )

        assert secret not in repr(call_of(target))
        assert secret not in repr(Answer(status_code=200, body=secret.encode()))

    def test_attempts_are_counted_from_one(self) -> None:
        with pytest.raises(AssertionError):
            call_of(a_target(), attempt=0)


class TestTemplates:
    """Each value is written as its surroundings ask for."""

    ALL = "{{run_id}} {{job_id}} {{scheduled_at}} {{attempt}}"
    FILLED = "report.20261201T090000Z report 2026-12-01T09:00:00Z 1"

    def test_they_are_filled_in_url_headers_and_body(self) -> None:
        call = call_of(
            a_target(
                "https://example.com/{{job_id}}?at={{scheduled_at}}&n={{attempt}}",
                headers=(("X-All", self.ALL),),
                body=json.dumps({"{{job_id}}": self.ALL}),
            )
        )

        assert call.url == "https://example.com/report?at=2026-12-01T09%3A00%3A00Z&n=1"
        assert dict(call.headers)["X-All"] == self.FILLED
        assert json.loads(call.body) == {"report": self.FILLED}

    @pytest.mark.parametrize(
        "text", ["{{ run_id }}", "{{RUN_ID}}", "{{other}}", "{run_id}", "{{run_id}", "{{}}", "}}{{"]
    )
    def test_what_is_no_template_stays(self, text: str) -> None:
        assert call_of(a_target(body=text, body_is_json=False)).body == text.encode()

    def test_what_is_filled_in_is_not_read_again(self) -> None:
        call = call_of(a_target(body="{{run_id}}", body_is_json=False), run_id="{{attempt}}")

        assert call.body == b"{{attempt}}"

    @given(run_id=st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()))
    def test_no_value_breaks_out_of_where_it_stands(self, run_id: str) -> None:
        target = a_target("https://example.com/{{run_id}}/end?a=b#c", body='["{{run_id}}", 1]')

        call = call_of(target, run_id=run_id)

        assert json.loads(call.body) == [run_id, 1]
        start, middle, end = call.url.partition("/end?a=b#c")
        assert (middle, end) == ("/end?a=b#c", "")
        assert not set("/?#& ") & set(start.removeprefix("https://example.com/"))


def an_error(kind: ErrorType) -> Answer:
    return Answer(error=CallError(type=kind, message="why"))


class TestTheVerdict:
    """The status decides where there is a whole answer, and the error where there is none."""

    @pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
    def test_two_hundreds_are_success(self, status: int) -> None:
        assert judge(a_call(), Answer(status_code=status)) is Verdict.SUCCEEDED

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 599])
    def test_what_may_be_better_next_time_is_retried(self, status: int) -> None:
        assert judge(a_call(), Answer(status_code=status)) is Verdict.RETRYABLE

    @pytest.mark.parametrize(
        "status", [20, 101, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 410, 422, 600]
    )
    def test_the_rest_is_final_redirects_included(self, status: int) -> None:
        assert judge(a_call(), Answer(status_code=status)) is Verdict.FINAL

    @pytest.mark.parametrize(
        ("codes", "status", "verdict"),
        [
            (("404",), 404, Verdict.SUCCEEDED),
            (("503",), 503, Verdict.SUCCEEDED),
            (("3xx",), 302, Verdict.SUCCEEDED),
            (("204",), 200, Verdict.FINAL),
            (("2xx", "409"), 409, Verdict.SUCCEEDED),
            (("2xx", "409"), 410, Verdict.FINAL),
            (("5xx",), 200, Verdict.FINAL),
            ((), 200, Verdict.FINAL),
        ],
    )
    def test_the_jobs_own_codes_come_first(
        self, codes: tuple[str, ...], status: int, verdict: Verdict
    ) -> None:
        assert judge(a_call(success_codes=codes), Answer(status_code=status)) is verdict

    @pytest.mark.parametrize(
        ("kind", "verdict"),
        [
            (ErrorType.TIMEOUT, Verdict.TIMED_OUT),
            (ErrorType.CONNECTION, Verdict.RETRYABLE),
            (ErrorType.REFUSED_ADDRESS, Verdict.FINAL),
            (ErrorType.INVALID_REQUEST, Verdict.FINAL),
            (ErrorType.ABORTED, Verdict.ABORTED),
            (ErrorType.INTERNAL, Verdict.RETRYABLE),
        ],
    )
    def test_an_error_says_whether_to_try_again(self, kind: ErrorType, verdict: Verdict) -> None:
        assert judge(a_call(), an_error(kind)) is verdict

    @pytest.mark.parametrize("kind", [ErrorType.CONNECTION, ErrorType.TIMEOUT, ErrorType.ABORTED])
    def test_an_answer_that_broke_off_is_no_success_whatever_its_status(
        self, kind: ErrorType
    ) -> None:
        broken = Answer(status_code=200, error=CallError(type=kind, message="why"))

        assert judge(a_call(), broken) is not Verdict.SUCCEEDED
        assert judge(a_call(), broken) is judge(a_call(), an_error(kind))

    def test_the_record_tells_the_error_or_else_the_status(self) -> None:
        error = CallError(type=ErrorType.TIMEOUT, message="no answer within 30 s")

        assert error_of(Answer(error=error, status_code=200)) is error
        assert error_of(Answer(status_code=503)) == CallError(
            type=ErrorType.HTTP_STATUS, message="the target answered with status 503"
        )


class TestRetryAfter:
    """Seconds or a date; a target may ask for no more than fourteen days."""

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0),
            ("120", 120),
            (" 7 ", 7),
            ("007", 7),
            ("Tue, 01 Dec 2026 09:02:00 GMT", 120),
            ("Tuesday, 01-Dec-26 09:02:00 GMT", 120),
            ("Tue Dec  1 09:02:00 2026", 120),
            ("Tue, 01 Dec 2026 10:02:00 +0100", 120),
            ("Tue, 01 Dec 2026 08:00:00 GMT", 0),
            ("99999999999999999999", RETRY_AFTER_MAX.total_seconds()),
            ("9" * 5000, RETRY_AFTER_MAX.total_seconds()),
            ("Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_MAX.total_seconds()),
        ],
    )
    def test_it_is_read_in_every_form_that_http_knows(self, value: str, seconds: float) -> None:
        assert retry_after_seconds(value, now=NINE) == timedelta(seconds=seconds)

    @pytest.mark.parametrize(
        "value",
        [
            None,
            "",
            "soon",
            "-1",
            "1.5",
            "+5",
            "1e3",
            "٣",
            "120, 240",
            "2026-12-01T09:02:00Z",
            "Tue, 32 Dec 2026 09:02:00 GMT",
            "Tue, 01 Dec 2026 25:00:00 GMT",
            "Tue, 01 Dec 99999 09:02:00 GMT",
            "Tue, 01 Dec 2026 09:02:00 +9999999",
        ],
    )
    def test_what_makes_no_sense_asks_for_nothing(self, value: str | None) -> None:
        assert retry_after_seconds(value, now=NINE) is None

    def test_it_counts_from_now_in_any_zone(self) -> None:
        tokyo = timezone(timedelta(hours=9))
        now = datetime(2026, 12, 1, 18, 1, tzinfo=tokyo)

        wait = retry_after_seconds("Tue, 01 Dec 2026 09:02:00 GMT", now=now)

        assert wait == timedelta(minutes=1)

    @given(value=st.text(max_size=60))
    def test_no_header_is_too_strange_to_be_read(self, value: str) -> None:
        """It is a target's to write, and an executor's to survive."""
        wait = retry_after_seconds(value, now=NINE)

        assert wait is None or timedelta(0) <= wait <= RETRY_AFTER_MAX

    @given(
        day=st.sampled_from(["Mon,", "Tue", "", "Monday,"]),
        numbers=st.lists(st.integers(-99999, 99999), min_size=0, max_size=6),
        month=st.sampled_from(["Jan", "Dec", "Foo", "13"]),
        clock=st.sampled_from(["09:02:00", "24:61:99", "9", "::", "09.02.00", ""]),
        zone=st.sampled_from(["GMT", "+0000", "-9999", "+99999999", "EST", "", "()"]),
    )
    def test_nothing_that_looks_like_a_date_is_either(
        self, day: str, numbers: list[int], month: str, clock: str, zone: str
    ) -> None:
        first, *rest = [*map(str, numbers), ""]
        value = " ".join([day, first, month, *rest, clock, zone])

        wait = retry_after_seconds(value, now=datetime(2026, 12, 1, tzinfo=UTC))

        assert wait is None or timedelta(0) <= wait <= RETRY_AFTER_MAX


def test_an_answer_keeps_as_much_as_the_record_of_a_run_has_room_for() -> None:
    """The run is one item of one kilobyte, and the body of its answer half of that."""
    assert BODY_KEPT_MAX == 500


def test_equal_calls_are_equal() -> None:
    assert a_call() == a_call()
