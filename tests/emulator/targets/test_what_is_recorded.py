"""For each type of target, what becomes of the run: the executor's own code, over real sockets.

A sink answers in the place of every service; the clock of the run stands still unless it is moved.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from punctual.adapters.targets.calling import Answers
from punctual.adapters.targets.every import EveryTarget
from punctual.adapters.targets.mailbox import Mailbox
from punctual.core.aws_calls import AwsCall
from punctual.core.calls import Answer, Call, HttpCall
from punctual.core.execution import POLL
from punctual.core.jobs import Content, Delivery, HttpTarget, Policy, Target
from punctual.core.records import content_ref
from punctual.core.retry import Jitter, RetryPolicy
from punctual.core.runs import Run, RunState
from punctual.core.timeline import attempts_of, timeline
from tests.support.aws_targets import EVERY_TARGET, aws_targets
from tests.support.builders import MINUTE, SECOND, a_job, a_run_key
from tests.support.clock import NINE
from tests.support.deployment import EXECUTOR_LIVES, Deployment, a_deployment
from tests.support.keeping import http_targets
from tests.support.mishaps import Died
from tests.support.sinks import Behaviour, Peer, Request, Sink, answer, hang, in_turn

pytestmark = pytest.mark.emulator

SLOT = NINE + MINUTE
KEY = a_run_key(SLOT)
KINDS = ["http", *EVERY_TARGET]
PATIENT = Policy(retry=RetryPolicy(min_delay=SECOND, jitter=Jitter.NONE, max_attempts=2))

EXECUTION = f"arn:aws:states:eu-central-1:123456789012:execution:report:{KEY.run_id}"
GOOD_ANSWERS = {
    "http": b"done",
    "lambda": b'{"done":true}',
    "sqs": b'{"MessageId":"m-1"}',
    "sns": b"<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult>"
    b"</PublishResponse>",
    "eventbridge": b'{"FailedEntryCount":0,"Entries":[{"EventId":"e-1"}]}',
}
RESULTS = {
    "http": b"done",
    "lambda": b'{"done":true}',
    "sqs": b'{"message_id": "m-1"}',
    "sns": b'{"message_id": "m-1"}',
    "eventbridge": b'{"event_id": "e-1"}',
    "step_functions": b'{"done":true}',
}
NOT_FOUND = b"<ErrorResponse><Error><Code>NotFound</Code></Error></ErrorResponse>"
LEFT_BEHIND = {
    "lambda": "the function may go on",
    "sqs": "the message may have been sent",
    "sns": "the message may have been published",
    "eventbridge": "the event may have been taken",
    "step_functions": "the execution was stopped",
}
ABORTED = {kind: f"Punctual stopped waiting; {rest}" for kind, rest in LEFT_BEHIND.items()}
ABORTED["http"] = "the call was closed by Punctual"
TIMED_OUT = {kind: f"not over within 1 s; {rest}" for kind, rest in LEFT_BEHIND.items()}
TIMED_OUT["http"] = "no answer within 1 s"


def executing(status: str) -> Behaviour:
    """Answer as Step Functions, whose executions all stand like this."""

    async def act(request: Request, peer: Peer) -> None:
        match request.header("X-Amz-Target").rpartition(".")[2]:
            case "StartExecution":
                body = f'{{"executionArn":"{EXECUTION}","startDate":0}}'
            case "DescribeExecution":
                body = (
                    f'{{"executionArn":"{EXECUTION}","stateMachineArn":"m","startDate":0,'
                    f'"status":"{status}","output":"{{\\"done\\":true}}"}}'
                )
            case _:
                body = '{"stopDate":0}'
        await answer(200, body.encode())(request, peer)

    return act


def well(kind: str) -> Behaviour:
    """Answer as the target does that did what it was asked for."""
    return executing("SUCCEEDED") if kind == "step_functions" else answer(200, GOOD_ANSWERS[kind])


def for_long(kind: str) -> Behaviour:
    """Answer as the target does that takes its time."""
    return executing("RUNNING") if kind == "step_functions" else hang


class Watched:
    """Fills `Targets`: while the first call goes on, something happens."""

    def __init__(self, targets: EveryTarget) -> None:
        self._targets = targets
        self.meanwhile: Callable[[], None] | None = None
        self.calls: list[Call] = []

    def launch(self, calls: Sequence[Call]) -> None:
        self.calls += calls
        self._targets.launch(calls)

    def collect(self, *, wait: timedelta) -> Sequence[tuple[Call, Answer]]:
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
            return []
        return self._targets.collect(wait=wait)

    def abort(self, call: Call, *, leave: bool = False) -> None:
        self._targets.abort(call, leave=leave)


@pytest.fixture
def watched(target: Sink, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """Open targets of every kind; what calls AWS calls the sink."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    answers: Answers = Mailbox()
    kinds = {
        HttpCall: http_targets(answers=answers),
        AwsCall: aws_targets(target.url, answers=answers),
    }
    with closing(EveryTarget(kinds, answers=answers)) as targets:
        yield Watched(targets)


@pytest.fixture
def deployed(watched: Watched, tmp_path: Path) -> Iterator[Deployment]:
    with a_deployment(tmp_path, replaced={"targets": watched}) as deployment:
        yield deployment


def carried_out(deployed: Deployment, target: Sink, kind: str, policy: Policy = PATIENT) -> Run:
    """Have a job of one run, until the executor that gets the run is through with it."""
    content = Content(target=target_of(kind, target))
    job = a_job(content=content_ref(content), policy=policy, next_slot=SLOT)
    deployed.engine.jobs.put_content(job.key, job.content, content)
    assert deployed.engine.jobs.create(job) is None
    deployed.dispatch()
    return executed(deployed.at(SLOT))


def executed(deployed: Deployment) -> Run:
    """Let an executor have what there is, and return the run as it stands then."""
    deployed.send(KEY)
    received = [message for message in deployed.engine.receive() if message.key == KEY]
    deployed.execute(received[:1])
    run = deployed.run(KEY)
    assert run is not None
    return run


def target_of(kind: str, target: Sink) -> Target:
    return HttpTarget(url=f"{target.url}/hook") if kind == "http" else EVERY_TARGET[kind]


def outcomes(run: Run) -> list[str | None]:
    return [attempt.outcome for attempt in attempts_of(run)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_succeeds_ends_the_run_succeeded(
    deployed: Deployment, target: Sink, kind: str
) -> None:
    target.behaviour = well(kind)

    run = carried_out(deployed, target, kind)

    assert (run.state, run.error, outcomes(run)) == (RunState.SUCCEEDED, None, ["succeeded"])
    assert run.result is not None
    assert (run.result.status_code, run.result.body) == (200, RESULTS[kind])
    assert timeline(run)[-1].message.startswith("succeeded: status 200, ")


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_fails_in_passing_is_made_again(
    deployed: Deployment, target: Sink, kind: str
) -> None:
    target.behaviour = in_turn(answer(503, b""), *[well(kind)] * 2)

    waiting = carried_out(deployed, target, kind)
    run = executed(deployed.at(SLOT + SECOND))

    assert waiting.state is RunState.RETRYING
    assert (run.state, outcomes(run)) == (RunState.SUCCEEDED, ["failed", "succeeded"])
    error = attempts_of(run)[0].error
    assert error is not None
    assert error.type == ("http_status" if kind == "http" else "service")


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_fails_for_good_ends_the_run_failed(
    deployed: Deployment, target: Sink, kind: str
) -> None:
    target.behaviour = answer(404, NOT_FOUND if kind == "sns" else b"")

    run = carried_out(deployed, target, kind)

    assert (run.state, outcomes(run)) == (RunState.FAILED, ["failed"])
    assert run.error is not None
    assert run.error.type == ("http_status" if kind == "http" else "not_found")
    assert run.result is not None
    assert run.result.status_code == 404
    assert len(target.requests) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_takes_too_long_ends_the_run_timed_out(
    deployed: Deployment, target: Sink, kind: str
) -> None:
    target.behaviour = for_long(kind)
    once = Policy(timeout=SECOND, retry=RetryPolicy(max_attempts=1))

    run = carried_out(deployed, target, kind, once)

    assert (run.state, outcomes(run)) == (RunState.TIMED_OUT, ["timed_out"])
    assert run.error is not None
    assert (run.error.type, run.error.message) == ("timeout", TIMED_OUT[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_is_cancelled_ends_the_run_cancelled_and_says_what_may_go_on(
    deployed: Deployment, watched: Watched, target: Sink, kind: str
) -> None:
    target.behaviour = for_long(kind)

    def cancel() -> None:
        target.wait_for(2 if kind == "step_functions" else 1)
        deployed.cancel(KEY)
        deployed.engine.clock.advance(POLL)

    watched.meanwhile = cancel
    run = carried_out(deployed, target, kind)

    assert (run.state, run.reason) == (RunState.CANCELLED, "cancelled")
    assert run.error is not None
    assert (run.error.type, run.error.message) == ("aborted", ABORTED[kind])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("delivery", "state", "ended"),
    [
        (Delivery.AT_LEAST_ONCE, RunState.SUCCEEDED, ["died", "succeeded"]),
        (Delivery.AT_MOST_ONCE, RunState.UNKNOWN, ["died"]),
    ],
)
def test_a_call_whose_executor_dies_is_made_again_under_the_same_name_or_its_end_is_unknown(
    deployed: Deployment,
    watched: Watched,
    target: Sink,
    kind: str,
    delivery: Delivery,
    state: RunState,
    ended: Sequence[str],
) -> None:
    def die() -> None:
        target.wait_for(1)
        raise Died

    target.behaviour = well(kind)
    watched.meanwhile = die
    with pytest.raises(Died):
        carried_out(deployed, target, kind, replace(PATIENT, delivery=delivery))

    run = executed(deployed.at(deployed.now + EXECUTOR_LIVES + MINUTE))

    assert (run.state, outcomes(run)) == (state, ended)
    made = [(KEY.run_id, number) for number in range(1, len(ended) + 1)]
    assert [(call.run_id, call.attempt) for call in watched.calls] == made
