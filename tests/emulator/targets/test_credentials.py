"""What a target is shown of secrets: a header, a signature, and nothing where one cannot be had."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from punctual.core.calls import ErrorType, Verdict, judge
from punctual.core.secrets import SecretUnavailable, SecretUnusable
from tests.emulator.targets.conftest import OpenTargets
from tests.support.calls import a_call, answer_to, answers_to
from tests.support.clock import FakeClock
from tests.support.keeping import BEARER, SIGNING, MemorySecrets
from tests.support.sinks import Request, Sink

pytestmark = pytest.mark.emulator

KEY = b"0123456789abcdef01234567"
OTHER_KEY = b"the key that comes after that one"


def whsec(key: bytes) -> str:
    return f"whsec_{base64.b64encode(key).decode()}"


def raising(error: Exception) -> Callable[[], str]:
    def read() -> str:
        raise error

    return read


def seen(open_targets: OpenTargets, target: Sink, values: Any, **fields: Any) -> Request:
    """Return what the target saw of a call whose secrets have these values."""
    targets = open_targets(secrets=MemorySecrets(values), clock=FakeClock())
    assert answer_to(targets, a_call(target.url, **fields)).error is None
    return target.requests[-1]


def test_a_secret_is_shown_as_a_bearer_token(open_targets: OpenTargets, target: Sink) -> None:
    request = seen(open_targets, target, {BEARER: "s3cret\n"}, secret_arn=BEARER)

    assert request.header("Authorization") == "Bearer s3cret"


def test_a_secret_may_name_a_header_of_its_own_which_comes_before_the_jobs(
    open_targets: OpenTargets, target: Sink
) -> None:
    request = seen(
        open_targets,
        target,
        {BEARER: '{"header": "X-Api-Key", "value": "s3cret"}'},
        secret_arn=BEARER,
        headers=(("x-api-key", "left over"), ("X-Other", "stays")),
    )

    assert request.header("X-Api-Key") == "s3cret"
    assert request.header("X-Other") == "stays"
    assert request.values("Authorization") == []


def test_a_signature_covers_id_time_and_body_as_they_arrive(
    open_targets: OpenTargets, target: Sink
) -> None:
    request = seen(open_targets, target, {SIGNING: whsec(KEY)}, signing_secret_arn=SIGNING)

    signed = f"report.20261201T090000Z.{request.header('webhook-timestamp')}.".encode()
    expected = base64.b64encode(hmac.digest(KEY, signed + request.body, hashlib.sha256)).decode()
    assert request.header("webhook-timestamp") == "1796115600"
    assert request.header("webhook-signature") == f"v1,{expected}"


def test_while_keys_change_there_are_two_signatures(
    open_targets: OpenTargets, target: Sink
) -> None:
    values = {SIGNING: f"{whsec(OTHER_KEY)} {whsec(KEY)}"}
    both = seen(open_targets, target, values, signing_secret_arn=SIGNING)
    old = seen(open_targets, target, {SIGNING: whsec(KEY)}, signing_secret_arn=SIGNING)

    signatures = both.header("webhook-signature").split()
    assert len(signatures) == 2
    assert signatures[1] == old.header("webhook-signature")


@pytest.mark.parametrize(
    ("value", "kind", "verdict"),
    [
        (None, ErrorType.SECRET_MISSING, Verdict.FINAL),
        (raising(SecretUnavailable("out of reach")), ErrorType.SECRET, Verdict.RETRYABLE),
        (raising(SecretUnusable("holds bytes")), ErrorType.SECRET_UNUSABLE, Verdict.FINAL),
        ("", ErrorType.SECRET_UNUSABLE, Verdict.FINAL),
        ("s3cret\r\nHost: evil", ErrorType.SECRET_UNUSABLE, Verdict.FINAL),
        ('{"header": "Host", "value": "s3cret"}', ErrorType.SECRET_UNUSABLE, Verdict.FINAL),
        ('{"header": "webhook-id", "value": "s3cret"}', ErrorType.SECRET_UNUSABLE, Verdict.FINAL),
        ('{"value": "s3cret"}', ErrorType.SECRET_UNUSABLE, Verdict.FINAL),
        ("s3crét", ErrorType.SECRET_UNUSABLE, Verdict.FINAL),
        ("s3cret" * 2_000, ErrorType.SECRET_UNUSABLE, Verdict.FINAL),
    ],
)
def test_without_its_secret_nothing_is_sent_and_nothing_of_it_is_told(
    open_targets: OpenTargets, target: Sink, value: Any, kind: ErrorType, verdict: Verdict
) -> None:
    secrets = MemorySecrets({} if value is None else {BEARER: value})
    call = a_call(target.url, secret_arn=BEARER)

    given = answer_to(open_targets(secrets=secrets), call)

    assert given.error is not None
    assert given.error.type == kind
    assert "s3cr" not in repr((given, call))
    assert judge(call, given) is verdict
    assert target.requests == []


def test_without_a_usable_key_nothing_is_sent(open_targets: OpenTargets, target: Sink) -> None:
    secrets = MemorySecrets({SIGNING: "whsec_s3cret"})

    given = answer_to(open_targets(secrets=secrets), a_call(target.url, signing_secret_arn=SIGNING))

    assert given.error is not None
    assert given.error.type == ErrorType.SECRET_UNUSABLE
    assert "s3cret" not in given.error.message
    assert target.requests == []


def test_in_the_cloud_no_tenant_can_show_another_ones_secret(open_targets: OpenTargets) -> None:
    secrets = MemorySecrets({BEARER: "s3cret"})
    targets = open_targets(secrets=secrets, allow_private=False)

    given = answer_to(targets, a_call(tenant="other", secret_arn=BEARER))

    assert given.error is not None
    assert given.error.type == ErrorType.SECRET_UNUSABLE
    assert secrets.reads == []


def test_calls_that_wait_for_one_secret_share_its_reading(
    open_targets: OpenTargets, target: Sink
) -> None:
    begun, read = Event(), Event()

    def slowly() -> str:
        begun.set()
        assert read.wait(20)
        return "s3cret"

    secrets = MemorySecrets({BEARER: slowly})
    targets = open_targets(secrets=secrets)
    calls = [a_call(target.url, secret_arn=BEARER) for _ in range(20)]
    targets.launch(calls)
    assert begun.wait(20)
    other = answer_to(targets, a_call(target.url))
    read.set()
    answers = answers_to(targets, [])
    while len(answers) < len(calls):
        answers += [answer for _, answer in targets.collect(wait=calls[0].timeout)]

    assert other.status_code == 200
    assert len(answers) == 20
    assert secrets.reads == [BEARER]
