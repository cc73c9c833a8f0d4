"""Jobs that call AWS services, over HTTP."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.support.api_client import JOB, ApiClient
from tests.support.apis import an_app
from tests.support.engines import Engine

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/punctual-target-reports"

TARGETS: Mapping[str, dict[str, Any]] = {
    "lambda": {
        "type": "lambda",
        "function_arn": f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:report:live",
        "payload": {"slot": "{{scheduled_at}}", "parts": [1, None, "é"]},
        "role_arn": ROLE,
    },
    "sqs": {
        "type": "sqs",
        "queue_url": f"https://sqs.eu-central-1.amazonaws.com/{ACCOUNT}/reports.fifo",
        "body": {"run": "{{run_id}}"},
        "message_group_id": "{{job_id}}",
        "role_arn": None,
    },
    "sns": {
        "type": "sns",
        "topic_arn": f"arn:aws-cn:sns:cn-north-1:{ACCOUNT}:reports",
        "message": "attempt {{attempt}}",
        "role_arn": ROLE,
    },
    "eventbridge": {
        "type": "eventbridge",
        "event_bus": f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/reports",
        "source": "acme.reports",
        "detail_type": "Report due",
        "detail": {"slot": "{{scheduled_at}}"},
        "role_arn": ROLE,
    },
    "step_functions": {
        "type": "step_functions",
        "state_machine_arn": f"arn:aws:states:eu-central-1:{ACCOUNT}:stateMachine:report:live",
        "input": {"slot": "{{scheduled_at}}"},
        "role_arn": ROLE,
    },
}
"""One of each type, every field said."""

REQUIRED: Mapping[str, Sequence[str]] = {
    "lambda": ["function_arn"],
    "sqs": ["queue_url", "body"],
    "sns": ["topic_arn", "message"],
    "eventbridge": ["source", "detail_type"],
    "step_functions": ["state_machine_arn"],
}

BAD: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "lambda": {
        "function_arn": [
            "report",
            f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:{{{{job_id}}}}",
            f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:report\n",
            f"arn:aws:sns:eu-central-1:{ACCOUNT}:report",
            f"arn:aws:lambda:evil.example/:{ACCOUNT}:function:report",
            None,
        ],
        "role_arn": ["admin", f"arn:aws:iam::{ACCOUNT}:user/me", 1],
        "url": ["https://example.com"],
    },
    "sqs": {
        "queue_url": [
            "reports",
            f"https://example.com/{ACCOUNT}/reports",
            f"http://sqs.eu-central-1.amazonaws.com/{ACCOUNT}/reports",
            f"https://sqs.eu-central-1.amazonaws.com.evil.example/{ACCOUNT}/reports",
            "https://sqs.eu-central-1.amazonaws.com/reports",
        ],
        "body": [""],
        "message_group_id": ["", "a b", "x" * 129],
    },
    "sns": {
        "topic_arn": ["reports", f"arn:aws:sqs:eu-central-1:{ACCOUNT}:reports"],
        "message": [""],
    },
    "eventbridge": {
        "event_bus": ["", "a bus", "https://events.eu-central-1.amazonaws.com/"],
        "source": ["", "aws.s3", "x" * 257, "a\nb"],
        "detail_type": ["", "x" * 129],
        "detail": ["text", [], None],
    },
    "step_functions": {
        "state_machine_arn": [
            f"arn:aws:states:eu-central-1:{ACCOUNT}:execution:report:one",
            f"arn:aws:states:eu-central-1:{ACCOUNT}:stateMachine:",
        ]
    },
}


@pytest.mark.parametrize("kind", TARGETS)
def test_a_target_is_shown_as_it_was_written_and_can_be_put_back(api: ApiClient, kind: str) -> None:
    created = api("PUT", "/v1/jobs/report", JOB | {"target": TARGETS[kind]})
    put_back = api("PUT", "/v1/jobs/report", created.json)

    assert created.status == 201
    assert created.json["target"] == TARGETS[kind]
    assert put_back.status == 200
    assert put_back.json["target"] == TARGETS[kind]


@pytest.mark.parametrize("kind", TARGETS)
def test_what_is_required_is_asked_for_and_all_else_has_a_default(
    api: ApiClient, kind: str
) -> None:
    least = {name: TARGETS[kind][name] for name in ["type", *REQUIRED[kind]]}

    none = api("POST", "/v1/jobs", JOB | {"target": {"type": kind}})
    some = api("POST", "/v1/jobs", JOB | {"target": least})

    assert (none.status, none.pointers) == (422, [f"/target/{name}" for name in REQUIRED[kind]])
    assert some.status == 201
    assert some.json["target"]["role_arn"] is None
    assert set(some.json["target"]) == set(TARGETS[kind])


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (kind, field, value)
        for kind, fields in BAD.items()
        for field, values in fields.items()
        for value in values
    ],
    ids=str,
)
def test_a_bad_value_is_told_by_its_field(
    api: ApiClient, kind: str, field: str, value: Any
) -> None:
    answer = api("POST", "/v1/jobs", JOB | {"target": TARGETS[kind] | {field: value}})

    assert (answer.status, answer.pointers) == (422, [f"/target/{field}"])


def test_who_sends_no_arn_is_shown_one(api: ApiClient) -> None:
    answer = api("POST", "/v1/jobs", JOB | {"target": TARGETS["lambda"] | {"function_arn": "x"}})

    (error,) = answer.json["errors"]
    assert error["detail"] == (
        "should be the ARN of a function,"
        " such as arn:aws:lambda:eu-central-1:123456789012:function:report"
    )


def test_what_is_sent_may_be_256_kilobytes_as_it_is_stored_and_no_more(api: ApiClient) -> None:
    target = TARGETS["sqs"] | {"body": {"quotes, each of four bytes": '"' * 65_000}}
    too_long = TARGETS["sqs"] | {"body": {"quotes, each of four bytes": '"' * 66_000}}

    assert api("POST", "/v1/jobs", JOB | {"target": target}).status == 201
    answer = api("POST", "/v1/jobs", JOB | {"target": too_long})
    assert (answer.status, answer.pointers) == (422, ["/target"])


@pytest.fixture
def local_api(engine: Engine) -> ApiClient:
    """The API on one machine."""
    return ApiClient(app=an_app(engine, local_tenant="default"))


def test_on_one_machine_a_queue_may_be_an_emulated_one(
    local_api: ApiClient, api: ApiClient
) -> None:
    target = TARGETS["sqs"] | {"queue_url": f"http://127.0.0.1:4566/{ACCOUNT}/reports"}

    assert local_api("POST", "/v1/jobs", JOB | {"target": target}).status == 201
    assert api("POST", "/v1/jobs", JOB | {"target": target}).pointers == ["/target/queue_url"]
