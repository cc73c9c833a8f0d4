"""What one attempt sends to a target, what comes back, and what that means for the run."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

from punctual.core.aws_calls import AwsCall
from punctual.core.jobs import HttpTarget
from punctual.core.templates import fill, json_written, percent_encoded, values_of

BODY_KEPT_MAX = 500
"""Bytes of an answer's body that are kept with the run; what lies beyond is only counted."""

BODY_READ_MAX = 1_000_000
"""Bytes of an answer's body that are read at all; a longer answer is cut off, not awaited."""

RETRY_AFTER_MAX = timedelta(days=14)
"""A longer `Retry-After` counts as this much: no run is retried at a greater age."""

USER_AGENT = "Punctual"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall:
    """One attempt's HTTP request, ready to send.

    URL, headers and body may hold secrets, so they are left out of its `repr`. What only whoever
    sends it knows is not in it yet: the time, the signature, and what its secrets hold.
    """

    tenant: str
    """Whose secrets it may use."""
    run_id: str
    attempt: int
    """Number of the attempt, from 1."""
    method: str
    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    secret_arn: str | None = None
    signing_secret_arn: str | None = None
    timeout: timedelta
    """Total deadline of the attempt, from launch to the answer's last byte."""
    success_codes: tuple[str, ...]
    """Status codes (`204`) and classes (`2xx`) that count as success."""


Call = HttpCall | AwsCall
"""One attempt's request to a target."""


class ErrorType(StrEnum):
    """Why an attempt failed, as the run's record names it."""

    TIMEOUT = "timeout"
    """No whole answer within the attempt's deadline."""
    CONNECTION = "connection"
    """No connection, a certificate that does not hold, or an answer that broke off."""
    REFUSED_ADDRESS = "refused_address"
    """The target lies where nothing may be called; nothing was sent."""
    INVALID_REQUEST = "invalid_request"
    """The request cannot be sent as it is; nothing was sent."""
    ABORTED = "aborted"
    """We closed the call ourselves, since its run was cancelled or given up."""
    HTTP_STATUS = "http_status"
    """The target answered, and its status is no success."""
    THROTTLED = "throttled"
    """An AWS service has no room at the moment."""
    SERVICE = "service"
    """An AWS service failed."""
    NOT_FOUND = "not_found"
    """What an AWS call goes to does not exist."""
    ACCESS_DENIED = "access_denied"
    """The role, or who assumes it, may not do this."""
    FUNCTION_ERROR = "function_error"
    """The invoked function ended with an error of its own."""
    EXECUTION_FAILED = "execution_failed"
    """The execution of the state machine ended without success; it is over."""
    SECRET = "secret"  # noqa: S105 - it holds none
    """A secret of the target cannot be read now; nothing was sent."""
    SECRET_MISSING = "secret_missing"  # noqa: S105
    """The target names a secret that does not exist; nothing was sent."""
    SECRET_UNUSABLE = "secret_unusable"  # noqa: S105
    """A secret of the target holds nothing that can be sent or signed with; nothing was sent."""
    HOST_DOWN = "host_down"
    """The target's host took no connection lately; nothing was sent, and the attempt is none."""
    INTERNAL = "internal"
    """A fault of our own; the target may or may not have been called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallError:
    """Why there is no good answer."""

    type: str
    """An `ErrorType`."""
    message: str
    """A short sentence without secrets and without a full stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back from one call, or why nothing did."""

    status_code: int | None = None
    """Also set when the answer broke off after its head."""
    content_type: str | None = None
    retry_after: str | None = None
    """The `Retry-After` header as it came."""
    body: bytes = field(default=b"", repr=False)
    """The first `BODY_KEPT_MAX` bytes, as they came over the wire (never inflated)."""
    body_bytes: int = 0
    """How many bytes were read; reading stops soon after `BODY_READ_MAX`."""
    stored: str | None = None
    """Under which name `Results` has the body, up to `BODY_READ_MAX`, if `body` is not all."""
    truncated: bool = False
    """Whether there was more than can be had, here or there."""
    log: tuple[str, ...] = field(default=(), repr=False)
    """Lines that the target wrote about its work, oldest first, where it tells them."""
    error: CallError | None = None
    """None when a whole HTTP answer came, whatever its status."""
    again_in: timedelta | None = None
    """Set where the call was put off and nothing was sent: when it may be worth another try."""


class Verdict(StrEnum):
    """What an answer means for the attempt."""

    SUCCEEDED = "succeeded"
    RETRYABLE = "retryable"
    """Failed; another attempt may fare better."""
    FINAL = "final"
    """Failed, and another attempt would fare the same."""
    TIMED_OUT = "timed_out"
    """Retryable too; a run whose last attempt ended so is `timed_out`, not `failed`."""
    ABORTED = "aborted"
    """Stopped by us; what to record is known to who stopped it."""
    PUT_OFF = "put_off"
    """Nothing was sent, so the attempt does not count; the run is tried again later."""


_RETRYABLE_STATUSES = frozenset({408, 425, 429, *range(500, 600)})
_FINAL_ERRORS = frozenset(
    {
        ErrorType.REFUSED_ADDRESS,
        ErrorType.INVALID_REQUEST,
        ErrorType.SECRET_MISSING,
        ErrorType.SECRET_UNUSABLE,
        ErrorType.NOT_FOUND,
        ErrorType.ACCESS_DENIED,
    }
)


def judge(call: Call, answer: Answer) -> Verdict:
    """Say what an answer means for its attempt.

    An answer that broke off is judged by the break, not by its status: whether the target had
    finished its work is not known. The job's own success codes come before every other rule. An
    AWS service that did what it was asked for answers without an error.
    """
    if answer.error is not None:
        if answer.again_in is not None:
            return Verdict.PUT_OFF
        if answer.error.type == ErrorType.ABORTED:
            return Verdict.ABORTED
        if answer.error.type == ErrorType.TIMEOUT:
            return Verdict.TIMED_OUT
        return Verdict.FINAL if answer.error.type in _FINAL_ERRORS else Verdict.RETRYABLE
    if isinstance(call, AwsCall):
        return Verdict.SUCCEEDED
    status = answer.status_code
    assert status is not None, "an answer without an error has a status"
    if str(status) in call.success_codes or f"{status // 100}xx" in call.success_codes:
        return Verdict.SUCCEEDED
    return Verdict.RETRYABLE if status in _RETRYABLE_STATUSES else Verdict.FINAL


def error_of(answer: Answer) -> CallError:
    """Return what the record of a failed attempt says about its answer."""
    if answer.error is not None:
        return answer.error
    return CallError(
        type=ErrorType.HTTP_STATUS, message=f"the target answered with status {answer.status_code}"
    )


def retry_after_seconds(value: str | None, *, now: datetime) -> timedelta | None:
    """Return how long a `Retry-After` header asks to wait; None when it asks for nothing sensible.

    Args:
        value: Seconds (`120`) or an HTTP date; a date that is past asks for no wait.
        now: Aware.
    """
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch("[0-9]+", text):
        return timedelta(seconds=min(float(text), RETRY_AFTER_MAX.total_seconds()))
    try:
        date = parsedate_to_datetime(text)
        at = (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return max(timedelta(0), min(at - now, RETRY_AFTER_MAX))


_OUR_HEADERS = frozenset(
    {"idempotency-key", "webhook-id", "webhook-timestamp", "webhook-signature"}
)
_OUR_PREFIX = "punctual-"
_CONNECTION_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_FIELD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def header_refusal(name: str, value: str) -> str | None:
    """Return why a job may not set this header, or None when it may."""
    lower = name.lower()
    if _TOKEN.fullmatch(name) is None:
        return "not the name of a header"
    if lower in _OUR_HEADERS or lower.startswith(_OUR_PREFIX):
        return "set by Punctual on every call"
    if lower in _CONNECTION_HEADERS:
        return "belongs to the connection, not to the request"
    if _NO_FIELD_VALUE.search(value):
        return "holds a control character"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """Where and with what an attempt reports back."""

    url: str
    token: str = field(repr=False)


def http_call(
    target: HttpTarget,
    *,
    tenant: str,
    run_id: str,
    job_id: str,
    scheduled_at: datetime,
    attempt: int,
    timeout: timedelta,
    callback: Callback | None = None,
) -> HttpCall:
    """Make the request of one attempt: templates filled, our own headers set.

    Headers that `header_refusal` names are left out, so none of ours is ever doubled and no value
    can begin a header of its own.

    Args:
        target: As the user wrote it.
        tenant: Whose job it is.
        run_id: Also the idempotency key: the same on every attempt of the run.
        job_id: The job's name within its tenant.
        scheduled_at: The run's slot.
        attempt: Number of the attempt, from 1.
        timeout: Total deadline of the attempt.
        callback: How the target reports back; None where its answer is the outcome.
    """
    assert attempt >= 1, "attempts are counted from 1"
    values = values_of(run_id=run_id, job_id=job_id, scheduled_at=scheduled_at, attempt=attempt)
    headers = {
        name: fill(value, values)
        for name, value in target.headers
        if header_refusal(name, value) is None
    }
    written = {name.lower() for name in headers}
    if "user-agent" not in written:
        headers["User-Agent"] = USER_AGENT
    if target.body is not None and "content-type" not in written:
        kind = "application/json" if target.body_is_json else "text/plain; charset=utf-8"
        headers["Content-Type"] = kind
    headers |= {
        "Idempotency-Key": run_id,
        "webhook-id": run_id,
        "Punctual-Job-Id": job_id,
        "Punctual-Run-Id": run_id,
        "Punctual-Scheduled-At": values["scheduled_at"],
        "Punctual-Attempt": values["attempt"],
    }
    if callback is not None:
        headers |= {
            "Punctual-Callback-Url": callback.url,
            "Punctual-Callback-Token": callback.token,
        }
    in_body = json_written if target.body_is_json else str
    return HttpCall(
        tenant=tenant,
        run_id=run_id,
        attempt=attempt,
        method=target.method,
        url=fill(target.url, values, as_written=percent_encoded),
        headers=tuple(headers.items()),
        body=fill(target.body or "", values, as_written=in_body).encode(),
        secret_arn=target.secret_arn,
        signing_secret_arn=target.signing_secret_arn,
        timeout=timeout,
        success_codes=target.success_codes,
    )
