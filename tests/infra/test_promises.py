"""Properties of the deployment that Punctual's promises rest on."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.config import STAGES, Jwt
from infra.definitions import (
    API_TIMEOUT,
    DEAD_LETTERS_TIMEOUT,
    DISPATCH_TIMEOUT,
    FAST_TIMEOUT,
    QUEUES,
    SLOW_TIMEOUT,
    TICK_TIMEOUT,
)
from punctual.core.runs import HISTORY_KEPT
from punctual.runtime.events import read_minute
from tests.support.templates import Resource, Template, synthesise

TIMEOUTS = {
    "api": API_TIMEOUT,
    "tick": TICK_TIMEOUT,
    "dispatch": DISPATCH_TIMEOUT,
    "execute-fast": FAST_TIMEOUT,
    "execute-slow": SLOW_TIMEOUT,
    "dead_letters": DEAD_LETTERS_TIMEOUT,
}

READS = {
    "dispatch": "shards",
    "execute-fast": "fast",
    "execute-slow": "slow",
    "dead_letters": "exhausted",
}
"""Which queue feeds which function."""


def mapping_of(template: Template, function: str) -> Resource:
    """Return what feeds a function from its queue."""
    arn = {"Fn::GetAtt": [template.queues()[READS[function]].logical_id, "Arn"]}
    (mapping,) = [
        each
        for each in template.all("AWS::Lambda::EventSourceMapping")
        if each.properties["EventSourceArn"] == arn
    ]
    assert mapping.properties["FunctionName"] == {"Ref": template.functions()[function].logical_id}
    return mapping


def test_a_table_is_only_deleted_by_somebody_who_meant_it(template: Template) -> None:
    (replica,) = template.one("AWS::DynamoDB::GlobalTable").properties["Replicas"]

    assert replica["DeletionProtectionEnabled"] is True


def test_long_results_are_nobody_elses_and_go_after_the_runs_that_name_them(
    template: Template,
) -> None:
    bucket = template.one("AWS::S3::Bucket").properties
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    (policy,) = template.all("AWS::S3::BucketPolicy")
    denied = [
        statement["Condition"]
        for statement in policy.properties["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny" and statement["Principal"] == {"AWS": "*"}
    ]

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (encrypted,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encrypted["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert {"Bool": {"aws:SecureTransport": "false"}} in denied
    assert rule["Status"] == "Enabled"
    assert timedelta(days=rule["ExpirationInDays"]) > HISTORY_KEPT
    assert "Prefix" not in rule


def test_functions_know_the_bucket_of_long_results(template: Template) -> None:
    bucket = template.one("AWS::S3::Bucket")
    for name in ("api", "execute-fast", "execute-slow"):
        variables = template.functions()[name].properties["Environment"]["Variables"]
        assert template.name_of(variables["RESULTS_BUCKET"]) == bucket.name


def test_in_production_results_outlive_their_stack(prod: Template) -> None:
    assert prod.one("AWS::S3::Bucket").whole["DeletionPolicy"] == "Retain"


def test_in_production_the_table_outlives_its_stack(prod: Template) -> None:
    table = prod.one("AWS::DynamoDB::GlobalTable").whole

    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"


def test_the_table_can_be_restored_to_any_second_and_is_encrypted(template: Template) -> None:
    table = template.one("AWS::DynamoDB::GlobalTable").properties
    (replica,) = table["Replicas"]

    assert replica["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True,
        "RecoveryPeriodInDays": 35,
    }
    assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS"}


def test_queues_are_encrypted_and_closed_to_plain_http(template: Template) -> None:
    for queue in template.queues().values():
        assert queue.properties["SqsManagedSseEnabled"] is True
        assert {
            "Effect": "Deny",
            "Action": "sqs:*",
            "Principal": {"AWS": "*"},
            "Resource": {"Fn::GetAtt": [queue.logical_id, "Arn"]},
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        } in queue_policy(template, queue)


@pytest.mark.parametrize(
    ("name", "senders"),
    [
        ("fast", {"api", "dispatch"}),
        ("slow", {"api", "dispatch"}),
        ("shards", {"tick"}),
        ("exhausted", set()),
        ("dead-letters", {"execute-fast", "execute-slow", "dead_letters"}),
    ],
)
def test_only_those_who_send_may_send(template: Template, name: str, senders: set[str]) -> None:
    """Whoever acts under another role is refused, whatever that role may do."""
    (statement,) = [
        each
        for each in queue_policy(template, template.queues()[name])
        if each["Action"] == "sqs:SendMessage"
    ]
    names = {template.role_of(function): name for name, function in template.functions().items()}
    spared = statement["Condition"].get("ArnNotEquals", {}).get("aws:PrincipalArn", [])

    assert statement["Effect"] == "Deny"
    assert statement["Principal"] == {"AWS": "*"}
    # What acts under no role is SQS itself, which moves what a queue gives up on.
    assert statement["Condition"]["Null"] == {"aws:PrincipalArn": "false"}
    assert {names[arn["Fn::GetAtt"][0]] for arn in spared} == senders


def test_operators_may_put_messages_back() -> None:
    operator = "arn:aws:iam::123456789012:role/operator"
    template = synthesise(replace(STAGES["dev"], operator_role_arns=(operator,)))

    for queue in template.queues().values():
        (statement,) = [
            each for each in queue_policy(template, queue) if each["Action"] == "sqs:SendMessage"
        ]
        assert operator in statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]


def queue_policy(template: Template, queue: Resource) -> list[dict[str, Any]]:
    """Return the statements of a queue's own policy."""
    return [
        statement
        for policy in template.all("AWS::SQS::QueuePolicy")
        if policy.properties["Queues"] == [{"Ref": queue.logical_id}]
        for statement in policy.properties["PolicyDocument"]["Statement"]
    ]


def test_functions_run_on_what_they_were_tested_with(template: Template) -> None:
    layers = [{"Ref": layer.logical_id} for layer in template.all("AWS::Lambda::LayerVersion")]

    for name, function in template.functions().items():
        assert function.properties["Runtime"] == "python3.13"
        assert function.properties["Architectures"] == ["arm64"]
        assert function.properties["Layers"] == layers
        assert function.properties["Timeout"] == TIMEOUTS[name].total_seconds()
    assert len(layers) == 2


def test_every_function_has_a_role_and_a_log_of_its_own(template: Template) -> None:
    functions = template.functions().values()
    roles = {template.role_of(function) for function in functions}
    logs = {f.properties["LoggingConfig"]["LogGroup"]["Ref"] for f in functions}

    assert len(roles) == len(logs) == len(TIMEOUTS)


def test_logs_are_forgotten_in_time(template: Template) -> None:
    for group in template.all("AWS::Logs::LogGroup"):
        assert group.properties["RetentionInDays"] in {7, 90}


@pytest.mark.parametrize("function", READS)
def test_a_message_that_failed_comes_back_alone(template: Template, function: str) -> None:
    mapping = mapping_of(template, function).properties

    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BatchSize"] == (1 if function == "dispatch" else 10)
    # No batch waits for more messages: runs start on the second.
    assert mapping.get("MaximumBatchingWindowInSeconds", 0) == 0


@pytest.mark.parametrize("function", READS)
def test_a_message_stays_hidden_for_longer_than_its_function_runs(function: str) -> None:
    assert QUEUES[READS[function]].visibility > TIMEOUTS[function]


def test_executors_are_bounded(templates: Any) -> None:
    dev, prod = templates("dev"), templates("prod")

    for function in ("execute-fast", "execute-slow"):
        assert mapping_of(dev, function).properties["ScalingConfig"] == {"MaximumConcurrency": 50}
    assert mapping_of(prod, "execute-slow").properties["ScalingConfig"] == {
        "MaximumConcurrency": 200
    }
    fast = mapping_of(prod, "execute-fast").properties
    assert fast["ProvisionedPollerConfig"] == {"MinimumPollers": 10, "MaximumPollers": 50}
    assert "ScalingConfig" not in fast, "AWS refuses both"


REPORTS = {
    f"POST /v1/runs/{{run_id}}/{report}": "NONE"
    for report in ("complete", "fail", "heartbeat", "logs")
}
"""What a target reports with the token of its attempt, which the gateway cannot check."""


def authorization_of_routes(template: Template) -> dict[str, str]:
    """Return how each route of the gateway is guarded."""
    routes = template.all("AWS::ApiGatewayV2::Route")
    return {route.properties["RouteKey"]: route.properties["AuthorizationType"] for route in routes}


def test_every_request_is_signed_unless_the_stage_has_an_issuer(template: Template) -> None:
    authorization = authorization_of_routes(template)

    assert authorization == {"$default": "AWS_IAM"} | REPORTS


def test_with_an_issuer_every_request_brings_its_token() -> None:
    jwt = Jwt(issuer="https://issuer.test", audience=("punctual",))
    template = synthesise(replace(STAGES["prod"], jwt=jwt))

    assert authorization_of_routes(template) == {"$default": "JWT"} | REPORTS
    authorizer = template.one("AWS::ApiGatewayV2::Authorizer")
    (signed,) = (
        route
        for route in template.all("AWS::ApiGatewayV2::Route")
        if route.properties["RouteKey"] == "$default"
    )
    assert signed.properties["AuthorizerId"] == {"Ref": authorizer.logical_id}
    assert authorizer.properties["JwtConfiguration"] == {
        "Issuer": "https://issuer.test",
        "Audience": ["punctual"],
    }


def test_the_gateway_is_throttled_and_logs_who_asked_but_not_what_for(prod: Template) -> None:
    stage = prod.one("AWS::ApiGatewayV2::Stage").properties
    line = json.loads(stage["AccessLogSettings"]["Format"])

    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == 1_000
    assert stage["DefaultRouteSettings"]["ThrottlingBurstLimit"] == 2_000
    assert line["caller"] == "$context.identity.userArn"
    assert not {"body", "header", "query"} & {
        word for text in line.values() for word in text.split(".")
    }


def test_the_tick_comes_every_minute_and_says_which(template: Template) -> None:
    schedule = template.one("AWS::Scheduler::Schedule").properties
    event = json.loads(
        schedule["Target"]["Input"].replace(
            "<aws.scheduler.scheduled-time>", "2026-12-01T09:00:00Z"
        )
    )
    nine = datetime(2026, 12, 1, 9, tzinfo=UTC)

    assert schedule["ScheduleExpression"] == "cron(* * * * ? *)"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["Target"]["Arn"] == {
        "Fn::GetAtt": [template.functions()["tick"].logical_id, "Arn"]
    }
    assert read_minute(event, now=datetime(2026, 12, 1, 9, 7, tzinfo=UTC)) == nine


def test_a_tick_that_fails_is_repeated_within_its_minute_or_not_at_all(template: Template) -> None:
    delivery = template.one("AWS::Scheduler::Schedule").properties["Target"]["RetryPolicy"]
    (invocation,) = template.all("AWS::Lambda::EventInvokeConfig")

    assert delivery == {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 2}
    assert invocation.properties["MaximumEventAgeInSeconds"] == 60
    assert invocation.properties["MaximumRetryAttempts"] == 0


def test_the_cursor_secret_is_made_at_deployment_and_seen_by_nobody(template: Template) -> None:
    secret = template.one("AWS::SecretsManager::Secret").properties

    assert secret["GenerateSecretString"] == {"ExcludePunctuation": True, "PasswordLength": 64}
    assert "SecretString" not in secret


def test_no_resource_has_a_name_that_would_keep_it_from_being_replaced(template: Template) -> None:
    named = {
        kind
        for body in template.body["Resources"].values()
        for kind in [body["Type"].rpartition("::")[2]]
        if body.get("Properties", {}).keys() & {"Name", f"{kind}Name", "TableName"}
    }

    # Those of the first two are not the account's, and an API is known by its id.
    assert named == {"Policy", "Stage", "Api"}


def test_the_outputs_say_what_users_and_operators_need(template: Template) -> None:
    assert template.body["Outputs"].keys() == {
        "ApiUrl",
        "TableName",
        "ResultsBucketName",
        "FastQueueUrl",
        "SlowQueueUrl",
        "ShardQueueUrl",
        "ExhaustedQueueUrl",
        "DeadLettersQueueUrl",
        "AlarmTopicArn",
        "FastExecutorRoleArn",
        "SlowExecutorRoleArn",
    }
