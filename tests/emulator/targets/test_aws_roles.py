"""Roles that AWS targets are called as: a sink in the place of STS and of SQS sees who asks."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest

from punctual.adapters.targets.aws import clients
from punctual.adapters.targets.aws.carrier import AwsTargets
from punctual.core.aws_calls import AwsCall
from punctual.core.aws_targets import Document, SqsTarget
from punctual.core.calls import ErrorType, Verdict, judge
from tests.support.aws_targets import ACCOUNT, REGION, ROLE, an_aws_call, aws_targets
from tests.support.calls import answer_to, answers_to
from tests.support.sinks import Behaviour, Peer, Request, Sink, answer

pytestmark = pytest.mark.emulator

HOUR = timedelta(hours=1)


@pytest.fixture
def aws(target: Sink, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsTargets]:
    """Open targets whose every service is the sink, called by whoever holds the key `OWN`."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    target.behaviour = aws_that_lends_roles(lasting=HOUR)
    with closing(aws_targets(target.url)) as targets:
        yield targets


def aws_that_lends_roles(*, lasting: timedelta) -> Behaviour:
    """Answer as STS, each time with another key, and as SQS."""
    taken = 0

    async def act(request: Request, peer: Peer) -> None:
        nonlocal taken
        if b"AssumeRole" not in request.body:
            await answer(200, b'{"MessageId":"m-1"}')(request, peer)
            return
        taken += 1
        until = (datetime.now(UTC) + lasting).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = (
            "<AssumeRoleResponse><AssumeRoleResult><Credentials>"
            f"<AccessKeyId>ROLE{taken}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>"
            f"<SessionToken>token</SessionToken><Expiration>{until}</Expiration>"
            "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
        )
        await answer(200, body.encode())(request, peer)

    return act


def a_call(*, tenant: str = "acme", role: str | None = ROLE, region: str = REGION) -> AwsCall:
    url = f"https://sqs.{region}.amazonaws.com/{ACCOUNT}/reports"
    return an_aws_call(SqsTarget(queue_url=url, body=Document("{}"), role_arn=role), tenant=tenant)


def taken(target: Sink) -> list[dict[str, str]]:
    """Return what was asked of STS."""
    bodies = [request.body.decode() for request in target.requests]
    asked = [parse_qs(body) for body in bodies if "AssumeRole" in body]
    return [{name: value for name, (value,) in each.items()} for each in asked]


def callers(target: Sink) -> list[str]:
    """Return the keys that messages were sent with."""
    sent = [request for request in target.requests if b"AssumeRole" not in request.body]
    keys = [re.search("Credential=([A-Z0-9]+)/", each.header("Authorization")) for each in sent]
    return [key[1] for key in keys if key]


def test_a_target_is_called_as_the_role_it_names_taken_in_the_name_of_the_tenant(
    aws: AwsTargets, target: Sink
) -> None:
    given = answer_to(aws, a_call())

    assert given.error is None
    assert taken(target) == [
        {
            "Action": "AssumeRole",
            "Version": "2011-06-15",
            "RoleArn": ROLE,
            "RoleSessionName": "punctual-acme",
            "ExternalId": "punctual:test:acme",
            "DurationSeconds": "3600",
        }
    ]
    assert callers(target) == ["ROLE1"]


def test_a_target_without_a_role_is_called_as_whoever_calls(aws: AwsTargets, target: Sink) -> None:
    answer_to(aws, a_call(role=None))

    assert (taken(target), callers(target)) == ([], ["OWN"])


def test_a_role_is_taken_once_for_many_calls(aws: AwsTargets, target: Sink) -> None:
    for _ in range(3):
        answer_to(aws, a_call())
    answers_to(aws, [a_call() for _ in range(10)])

    assert len(taken(target)) == 1
    assert callers(target) == ["ROLE1"] * 13


def test_a_role_that_was_taken_for_one_tenant_serves_no_other(
    aws: AwsTargets, target: Sink
) -> None:
    """The same role, named by a stranger: its trust policy must see the stranger's external id."""
    for tenant in ("acme", "evil", "acme"):
        answer_to(aws, a_call(tenant=tenant))

    assert [each["ExternalId"] for each in taken(target)] == [
        "punctual:test:acme",
        "punctual:test:evil",
    ]
    assert callers(target) == ["ROLE1", "ROLE2", "ROLE1"]


def test_a_role_serves_in_every_region(aws: AwsTargets, target: Sink) -> None:
    for region in ("eu-central-1", "us-east-1"):
        answer_to(aws, a_call(region=region))

    assert len(taken(target)) == 1
    assert [
        re.findall(r"Credential=\w+/\d+/([a-z0-9-]+)/sqs/", request.header("Authorization"))
        for request in target.requests
        if b"AssumeRole" not in request.body
    ] == [["eu-central-1"], ["us-east-1"]]


def test_a_role_is_taken_anew_minutes_before_it_ends(aws: AwsTargets, target: Sink) -> None:
    target.behaviour = aws_that_lends_roles(lasting=timedelta(minutes=9))

    for _ in range(2):
        answer_to(aws, a_call())

    assert callers(target) == ["ROLE1", "ROLE2"]


@pytest.mark.parametrize(
    ("status", "code", "kind", "verdict"),
    [
        (403, "AccessDenied", ErrorType.ACCESS_DENIED, Verdict.FINAL),
        (400, "Throttling", ErrorType.THROTTLED, Verdict.RETRYABLE),
        (503, "ServiceUnavailable", ErrorType.SERVICE, Verdict.RETRYABLE),
    ],
)
def test_a_role_that_may_not_be_taken_is_told_and_nothing_is_sent(
    aws: AwsTargets, target: Sink, status: int, code: str, kind: ErrorType, verdict: Verdict
) -> None:
    body = (
        f"<ErrorResponse><Error><Code>{code}</Code><Message>No.</Message></Error></ErrorResponse>"
    )
    target.behaviour = answer(status, body.encode())
    call = a_call()

    given = answer_to(aws, call)

    assert given.error is not None
    assert given.error.message == f"AssumeRole was answered with {code}: No"
    assert (given.error.type, judge(call, given)) == (kind, verdict)
    assert callers(target) == []


def test_clients_are_forgotten_where_there_are_too_many(
    aws: AwsTargets, target: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "CLIENTS_MAX", 2)

    for tenant in ("a", "b", "c", "a"):
        answer_to(aws, a_call(tenant=tenant))

    assert [each["ExternalId"][-1] for each in taken(target)] == ["a", "b", "c", "a"]


def test_an_external_id_names_one_tenant_in_letters_that_aws_takes() -> None:
    made = clients.Clients(external_id="punctual:prod")
    ids = [made.external_id_of(tenant) for tenant in ("123456789012", "a|b", "a:b", "A.b@c")]

    assert ids[0] == "punctual:prod:123456789012"
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[\w+=,.@:/-]{2,1224}", each) for each in ids)


@pytest.mark.parametrize(
    ("tenant", "name"),
    [("123456789012", "punctual-123456789012"), ("a|b:c", "punctual-a-b-c"), ("x" * 128, None)],
)
def test_a_session_is_called_after_the_tenant(tenant: str, name: str | None) -> None:
    called = clients.session_name(tenant)

    assert called == (name or f"punctual-{tenant}"[:64])
    assert re.fullmatch(r"[\w+=,.@-]{2,64}", called)
