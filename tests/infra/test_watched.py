"""What watches the deployed workers in end-to-end tests knows what a call needs to be allowed."""

from importlib import import_module
from typing import Any

import pytest

watched = import_module("tests.support.worker.sitecustomize")

TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/Jobs"

READS = {"Effect": "Allow", "Action": "dynamodb:Query", "Resource": [TABLE, f"{TABLE}/index/due"]}

ROLE = "arn:aws:iam::123456789012:role/punctual-target-reports"
TAKES = {
    "Effect": "Allow",
    "Action": "sts:AssumeRole",
    "Resource": "arn:aws:iam::123456789012:role/punctual-target-*",
}


@pytest.mark.parametrize(
    ("service", "operation", "params", "needed"),
    [
        ("dynamodb", "Query", {"TableName": "Jobs"}, [("dynamodb:Query", ":table/Jobs")]),
        (
            "dynamodb",
            "Query",
            {"TableName": "Jobs", "IndexName": "due"},
            [("dynamodb:Query", ":table/Jobs/index/due")],
        ),
        (
            "dynamodb",
            "BatchWriteItem",
            {"RequestItems": {"Jobs": []}},
            [("dynamodb:BatchWriteItem", ":table/Jobs")],
        ),
        (
            "dynamodb",
            "BatchExecuteStatement",
            {
                "Statements": [
                    {"Statement": 'INSERT INTO "Jobs" VALUE {}'},
                    {"Statement": 'DELETE FROM "Jobs" WHERE "pk" = ?'},
                ]
            },
            [("dynamodb:PartiQLInsert", ":table/Jobs"), ("dynamodb:PartiQLDelete", ":table/Jobs")],
        ),
        (
            "sqs",
            "SendMessageBatch",
            {"QueueUrl": "http://localhost:4566/123456789012/fast"},
            [("sqs:SendMessage", ":fast")],
        ),
        (
            "s3",
            "GetObject",
            {"Bucket": "kept", "Key": "results/a"},
            [("s3:GetObject", "arn:aws:s3:::kept/results/a")],
        ),
        ("sts", "AssumeRole", {"RoleArn": ROLE}, [("sts:AssumeRole", ROLE)]),
        ("kms", "Decrypt", {}, [("kms:Decrypt", "unknown")]),
    ],
)
def test_a_call_needs_an_action_on_a_resource(
    service: str, operation: str, params: Any, needed: list[tuple[str, str]]
) -> None:
    assert list(watched.needed(service, operation, params)) == needed


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("dynamodb:Query", ":table/Jobs", True),
        ("dynamodb:Query", ":table/Jobs/index/due", True),
        ("dynamodb:Query", ":table/Jobs/index/failed", False),
        ("dynamodb:PutItem", ":table/Jobs", False),
        ("dynamodb:Query", "unknown", False),
    ],
)
def test_a_statement_allows_what_it_names_and_nothing_else(
    action: str, resource: str, allowed: bool
) -> None:
    assert watched.allows(READS, action, resource) is allowed


@pytest.mark.parametrize(
    ("role", "allowed"),
    [(ROLE, True), (ROLE.replace("target", "admin"), False), (ROLE.replace("123", "321"), False)],
)
def test_a_statement_may_name_a_beginning(role: str, allowed: bool) -> None:
    assert watched.allows(TAKES, "sts:AssumeRole", role) is allowed
