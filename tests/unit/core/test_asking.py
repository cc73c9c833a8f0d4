"""What a run that is asked for is born with, and what its call sends."""

import json
from typing import Any

import pytest

from punctual.core.asking import CONTENT_BYTES_MAX, asked_run, own_ref, own_until, with_body
from punctual.core.aws_targets import (
    Document,
    EventBridgeTarget,
    LambdaTarget,
    SnsTarget,
    SqsTarget,
    StepFunctionsTarget,
)
from punctual.core.errors import InvalidRequest
from punctual.core.identity import RunKey
from punctual.core.jobs import Content, Delivery, HttpTarget, Lane, Policy, Target
from punctual.core.runs import HISTORY_KEPT, LIFE_MAX, Trigger
from punctual.core.strands import MANUAL, REPLAYS, asked_name
from tests.support.builders import HOUR, MINUTE, a_content, a_job, a_run_key
from tests.support.clock import NINE

NAME = asked_name(MANUAL, at=NINE, token="a")

SENDING: list[tuple[Target, str]] = [
    (LambdaTarget(function_arn="f", payload=Document.of_json({})), "payload"),
    (SqsTarget(queue_url="q", body=Document.of("old")), "body"),
    (SnsTarget(topic_arn="t", message=Document.of("old")), "message"),
    (
        EventBridgeTarget(
            event_bus="default", source="s", detail_type="d", detail=Document.of_json({})
        ),
        "detail",
    ),
    (StepFunctionsTarget(state_machine_arn="m", input=Document.of_json({})), "input"),
]


def test_a_run_is_born_with_the_policies_of_its_job_as_they_are() -> None:
    policy = Policy(timeout=5 * MINUTE, delivery=Delivery.AT_MOST_ONCE)
    job = a_job(policy=policy, schedule_revision=3, incarnation=2)

    run = asked_run(job, NAME, trigger=Trigger.MANUAL)

    assert run.key == RunKey(job.key, 2, NAME)
    assert (run.trigger, run.scheduled_at, run.due_at) == (Trigger.MANUAL, NINE, NINE)
    assert (run.max_attempts, run.delivery, run.lane) == (1, Delivery.AT_MOST_ONCE, Lane.SLOW)
    assert (run.schedule_revision, run.content) == (3, None)


def test_a_run_for_an_earlier_time_is_due_when_it_was_asked_for() -> None:
    name = asked_name(REPLAYS, at=NINE, token="a")

    run = asked_run(a_job(), name, trigger=Trigger.REPLAY, scheduled_at=NINE - HOUR)

    assert (run.scheduled_at, run.due_at) == (NINE - HOUR, NINE)


@pytest.mark.parametrize(
    ("body", "sent", "is_json"),
    [({"a": [1, "ü"]}, '{"a":[1,"ü"]}', True), ("as it is", "as it is", False), (0, "0", True)],
)
def test_an_http_call_sends_the_body_as_a_job_would(body: Any, sent: str, is_json: bool) -> None:
    content = a_content(body='{"old":1}', method="PUT", tags=(("team", "a"),))

    target = with_body(content, body).target

    assert target == HttpTarget(
        url="https://example.com/hook", method="PUT", body=sent, body_is_json=is_json
    )
    assert with_body(content, body).tags == content.tags


@pytest.mark.parametrize(("target", "field"), SENDING, ids=[field for _, field in SENDING])
def test_every_target_sends_the_body_in_its_own_way(target: Target, field: str) -> None:
    changed = with_body(Content(target=target), {"a": 1}).target

    assert json.loads(getattr(changed, field).text) == {"a": 1}
    assert type(changed) is type(target)


@pytest.mark.parametrize(
    ("target", "body"),
    [(SENDING[3][0], "no object"), (SENDING[1][0], ""), (SENDING[2][0], "")],
)
def test_what_a_target_cannot_send_is_refused_by_name(target: Target, body: str) -> None:
    with pytest.raises(InvalidRequest, match="/body"):
        with_body(Content(target=target), body)


def test_a_body_that_no_record_holds_is_refused_by_name() -> None:
    with_body(a_content(), "x" * (CONTENT_BYTES_MAX - 1000))

    with pytest.raises(InvalidRequest, match="/body: takes up more than"):
        with_body(a_content(), "x" * CONTENT_BYTES_MAX)


def test_two_runs_never_share_a_content_though_they_send_the_same() -> None:
    one, other = a_run_key(name=NAME), a_run_key(name=asked_name(MANUAL, at=NINE, token="b"))

    assert own_ref(one, a_content()) != own_ref(other, a_content())
    assert own_ref(one, a_content()) != own_ref(one, a_content(body="1"))
    assert own_ref(one, a_content()) == own_ref(one, a_content())


def test_a_content_of_its_own_outlives_the_longest_life_of_its_run() -> None:
    job = a_job()
    last_start = NINE + job.policy.start_deadline
    last_end = last_start + max(job.policy.retry.max_age, LIFE_MAX)

    assert own_until(job, now=NINE) >= last_end + HISTORY_KEPT
