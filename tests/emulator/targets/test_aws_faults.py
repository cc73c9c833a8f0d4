"""AWS targets whose service is in trouble: a sink in the place of each answers as it may then."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from threading import active_count
from time import monotonic

import pytest

from punctual.adapters.targets.aws import carrier
from punctual.adapters.targets.aws.carrier import AwsTargets
from punctual.core.calls import Answer, Call, CallError, ErrorType, Verdict, judge
from tests.support.aws_targets import EVERY_TARGET, an_aws_call, aws_targets
from tests.support.builders import SECOND
from tests.support.calls import answer_to, collect_all
from tests.support.sinks import Gate, Sink, answer, drop, hang

pytestmark = pytest.mark.emulator

LEFT_BEHIND = {
    "lambda": "the function may go on",
    "sqs": "the message may have been sent",
    "sns": "the message may have been published",
    "eventbridge": "the event may have been taken",
    "step_functions": "an execution may have been started",
}

SNS_ERROR = b"<ErrorResponse><Error><Code>Whatever</Code></Error></ErrorResponse>"
"""SNS speaks XML, and cannot be told from nothing at all why it refuses."""


@pytest.fixture
def aws(target: Sink, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsTargets]:
    """Open targets whose every service is the sink."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with closing(aws_targets(target.url)) as targets:
        yield targets


@pytest.mark.parametrize("kind", EVERY_TARGET)
def test_a_service_in_trouble_is_asked_once_and_the_run_decides_whether_to_ask_again(
    aws: AwsTargets, target: Sink, kind: str
) -> None:
    body = SNS_ERROR if kind == "sns" else b""
    call = an_aws_call(EVERY_TARGET[kind])
    for number, (behaviour, error, verdict) in enumerate(
        [
            (answer(429, body), ErrorType.THROTTLED, Verdict.RETRYABLE),
            (answer(500, body), ErrorType.SERVICE, Verdict.RETRYABLE),
            (answer(503, body), ErrorType.SERVICE, Verdict.RETRYABLE),
            (answer(503, b"<html>"), ErrorType.SERVICE, Verdict.RETRYABLE),
            (drop, ErrorType.CONNECTION, Verdict.RETRYABLE),
            (answer(400, body), ErrorType.INVALID_REQUEST, Verdict.FINAL),
            (answer(403, body), ErrorType.ACCESS_DENIED, Verdict.FINAL),
            (answer(404, body), ErrorType.NOT_FOUND, Verdict.FINAL),
        ],
        start=1,
    ):
        target.behaviour = behaviour

        given = answer_to(aws, call)

        assert given.error is not None
        assert (given.error.type, judge(call, given)) == (error, verdict)
        assert len(target.requests) == number


def test_a_service_that_asks_for_patience_gets_it(aws: AwsTargets, target: Sink) -> None:
    target.behaviour = answer(429, b"", ("Retry-After", "7"))

    given = answer_to(aws, an_aws_call(EVERY_TARGET["lambda"]))

    assert (given.status_code, given.retry_after) == (429, "7")


@pytest.mark.parametrize("kind", EVERY_TARGET)
def test_an_attempt_ends_in_its_time_and_says_what_nobody_knows(
    aws: AwsTargets, target: Sink, kind: str
) -> None:
    target.behaviour = hang
    call = an_aws_call(EVERY_TARGET[kind], timeout=SECOND)

    given = answer_to(aws, call)

    message = f"not over within 1 s; {LEFT_BEHIND[kind]}"
    assert given.error == CallError(type=ErrorType.TIMEOUT, message=message)
    assert judge(call, given) is Verdict.TIMED_OUT


@pytest.mark.parametrize("kind", EVERY_TARGET)
def test_who_stops_waiting_is_told_so_at_once_and_what_may_have_come_of_it(
    aws: AwsTargets, target: Sink, kind: str
) -> None:
    gate = Gate()
    target.behaviour = gate.before(answer(503, b""))
    call = an_aws_call(EVERY_TARGET[kind])
    aws.launch([call])
    target.wait_for(1)
    stopped_at = monotonic()

    aws.abort(call)
    (given,) = collect_all(aws, [call])

    assert monotonic() - stopped_at < 5
    gate.open()
    message = f"Punctual stopped waiting; {LEFT_BEHIND[kind]}"
    assert given.error == CallError(type=ErrorType.ABORTED, message=message)
    assert judge(call, given) is Verdict.ABORTED


def test_a_call_that_no_thread_was_free_for_sent_nothing_and_never_does(
    aws: AwsTargets, target: Sink
) -> None:
    gate = Gate()
    target.behaviour = gate.before(answer(503, b""))
    going_on = [an_aws_call(EVERY_TARGET["sqs"]) for _ in range(carrier.THREADS_MAX)]
    late = an_aws_call(EVERY_TARGET["sqs"], timeout=SECOND)
    aws.launch([*going_on, late])

    ((call, given),) = _first(aws)

    assert call is late
    assert given.error == CallError(
        type=ErrorType.TIMEOUT, message="not over within 1 s; nothing was sent"
    )
    gate.open()
    collect_all(aws, going_on)
    assert len(target.requests) == carrier.THREADS_MAX


def test_calls_go_on_side_by_side(aws: AwsTargets, target: Sink) -> None:
    gate = Gate()
    target.behaviour = gate.before(answer(503, b""))
    calls = [an_aws_call(each) for each in EVERY_TARGET.values()]

    aws.launch(calls)
    target.wait_for(len(calls))
    gate.open()

    assert [given.status_code for given in collect_all(aws, calls)] == [503] * len(calls)


def test_a_service_that_hangs_holds_a_thread_no_longer_than_twice_the_time_of_its_call(
    aws: AwsTargets, target: Sink
) -> None:
    target.behaviour = hang
    threads = active_count()

    answer_to(aws, an_aws_call(EVERY_TARGET["lambda"], timeout=SECOND))

    give_up_at = monotonic() + 10
    while active_count() > threads + 1 and monotonic() < give_up_at:  # one is the loop's
        assert not aws.collect(wait=timedelta(milliseconds=50))
    assert active_count() <= threads + 1


def test_what_went_wrong_quotes_nothing_of_what_was_sent(aws: AwsTargets, target: Sink) -> None:
    target.behaviour = answer(400, b"")

    for each in EVERY_TARGET.values():
        call = an_aws_call(each)
        assert "slot" not in repr(call)
        assert "slot" not in repr(answer_to(aws, call))


def _first(aws: AwsTargets) -> Sequence[tuple[Call, Answer]]:
    while True:
        if came := aws.collect(wait=10 * SECOND):
            return came
