"""The call of an attempt is of its target's kind, with what the run has to say filled in."""

import json
from dataclasses import replace
from typing import Any

import pytest

from punctual.core.aws_calls import AwsCall
from punctual.core.aws_targets import Document, EventBridgeTarget, LambdaTarget, SqsTarget
from punctual.core.calls import Answer, Call, CallError, ErrorType, HttpCall, Verdict, judge
from punctual.core.jobs import HttpTarget, Target
from punctual.core.launching import call_of
from punctual.core.runs import Failure, RunState
from tests.support.aws_targets import EVERY_TARGET
from tests.support.builders import SECOND, a_job_key, a_run, a_run_key
from tests.support.clock import NINE

EVERY = "{{run_id}} {{job_id}} {{scheduled_at}} {{attempt}}"
FILLED = "report.20261201T090000Z report 2026-12-01T09:00:00Z 2"


def call(target: Target, **fields: Any) -> Call:
    """Return the call of the second attempt of the run of nine o'clock."""
    run = replace(a_run(NINE, state=RunState.RUNNING), attempt=2, **fields)
    return call_of(run, target, timeout=5 * SECOND)


def aws_call(target: Target, **fields: Any) -> AwsCall:
    made = call(target, **fields)
    assert isinstance(made, AwsCall)
    return made


def test_an_http_target_is_called_over_http_and_any_other_as_what_it_is() -> None:
    assert isinstance(call(HttpTarget(url="https://example.com/")), HttpCall)
    for target in EVERY_TARGET.values():
        made = aws_call(target)

        assert made.target == target
        assert (made.tenant, made.job_id) == (a_job_key().tenant, a_job_key().job_id)
        assert (made.run_id, made.attempt) == ("report.20261201T090000Z", 2)
        assert made.timeout == 5 * SECOND


def test_templates_are_filled_in_every_text_and_document() -> None:
    made = aws_call(
        EventBridgeTarget(
            event_bus="default",
            source=EVERY,
            detail_type=EVERY,
            detail=Document.of_json({"deep": [{EVERY: EVERY}]}),
        )
    ).target

    assert isinstance(made, EventBridgeTarget)
    assert (made.source, made.detail_type) == (FILLED, FILLED)
    assert made.detail.value == {"deep": [{FILLED: FILLED}]}


@pytest.mark.parametrize("text", ["{{ run_id }}", "{{run}}", "{run_id}", '{"a":{"b":{}}}', "{{{{"])
def test_what_is_no_template_stays_as_it_is(text: str) -> None:
    made = aws_call(SqsTarget(queue_url="q", body=Document(text, is_json=False))).target

    assert isinstance(made, SqsTarget)
    assert made.body.text == text


def test_a_document_is_json_or_text_as_it_was_written() -> None:
    assert Document.of("text") == Document("text", is_json=False)
    assert Document.of_json("text").text == '"text"'
    for value in ("text", {"a": "ü"}, [1, 2.5, None, True], 7, None):
        assert Document.of(value).value == value
        assert json.loads(Document.of_json(value).text) == Document.of_json(value).value == value


def test_what_travels_with_a_call_is_what_an_http_target_is_told() -> None:
    http = call(HttpTarget(url="https://example.com/"))
    assert isinstance(http, HttpCall)

    labels = aws_call(EVERY_TARGET["sqs"]).labels

    assert labels.items() <= dict(http.headers).items()
    assert len(labels) == 4


def test_a_call_knows_which_failures_of_its_run_are_on_record() -> None:
    """An attempt that died left none, so that the next one takes up what it began."""
    failures = tuple(
        Failure(
            attempt=number,
            finished_at=NINE,
            error=CallError(type=kind, message=""),
            retry_at=NINE,
        )
        for number, kind in enumerate([ErrorType.EXECUTION_FAILED, ErrorType.TIMEOUT], start=1)
    )

    assert aws_call(EVERY_TARGET["step_functions"]).failed_with == ()
    made = aws_call(EVERY_TARGET["step_functions"], failures=failures)
    assert made.failed_with == ("execution_failed", "timeout")


def test_an_aws_service_that_did_as_asked_has_answered_well_whatever_its_status() -> None:
    assert judge(aws_call(EVERY_TARGET["sns"]), Answer(status_code=202)) is Verdict.SUCCEEDED


def test_a_call_shows_nothing_of_what_it_sends() -> None:
    made = aws_call(LambdaTarget(function_arn="f", payload=Document('{"token":"secret"}')))

    assert "secret" not in repr(made)
    assert "secret" not in repr(made.target)


def test_a_run_has_its_own_name_in_every_life_of_its_job() -> None:
    again = replace(a_run_key(NINE), incarnation=2)

    assert aws_call(EVERY_TARGET["sqs"], key=again).labels["Punctual-Run-Id"] == again.run_id
