"""What each role may do, all of it: a change shows as a difference to `policies.json`.

`python -m tests.infra.test_policies` writes the file anew.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.config import STAGES
from punctual.core.secrets import NAME_PREFIX
from tests.support.templates import Template, synthesise

SNAPSHOT = Path(__file__).with_name("policies.json")

RESULTS = "ResultsBucket/results/*"
SECRETS = "arn:AWS::Partition:secretsmanager:AWS::Region:AWS::AccountId:secret:punctual/*"
ROLES = "arn:AWS::Partition:iam::AWS::AccountId:role/punctual-target-*"
"""What is not known by name when it is deployed: a fixed beginning, and nothing before it."""

Policies = dict[str, list[dict[str, Any]]]


def policies(template: Template) -> Policies:
    """Return the statements of every role by whose it is, resources by name."""
    owners = {template.role_of(function): name for name, function in template.functions().items()}
    return {
        owners.get(role.logical_id, role.name): template.statements(role.logical_id)
        for role in template.all("AWS::IAM::Role")
    }


def test_roles_may_do_what_they_did(templates: Any) -> None:
    for stage in STAGES:
        assert policies(templates(stage)) == json.loads(SNAPSHOT.read_text())


def test_nobody_may_do_everything_or_something_everywhere(template: Template) -> None:
    for statements in policies(template).values():
        for statement in statements:
            assert not [action for action in statement["actions"] if "*" in action]
            anywhere = {resource for resource in statement["resources"] if "*" in resource}
            assert anywhere <= {RESULTS, SECRETS, ROLES}


def test_no_role_has_a_policy_from_elsewhere(template: Template) -> None:
    for role in template.all("AWS::IAM::Role"):
        assert "ManagedPolicyArns" not in role.properties


def test_a_role_is_taken_by_the_one_service_that_it_is_for(template: Template) -> None:
    for role in template.all("AWS::IAM::Role"):
        (statement,) = role.properties["AssumeRolePolicyDocument"]["Statement"]
        service = "scheduler" if role.name == "TickerScheduleRole" else "lambda"
        assert statement["Principal"] == {"Service": f"{service}.amazonaws.com"}


def test_executors_read_the_secrets_of_jobs_and_the_api_its_own(prod: Template) -> None:
    read = {
        name: statement["resources"]
        for name, statements in policies(prod).items()
        for statement in statements
        if statement["actions"] == ["secretsmanager:GetSecretValue"]
    }

    assert read == {
        "api": ["ApiCursorSecret"],
        "execute-fast": [SECRETS],
        "execute-slow": [SECRETS],
    }
    assert actions_by_role(prod, "secretsmanager").keys() == read.keys()
    assert SECRETS.endswith(f":secret:{NAME_PREFIX}*")


def test_executors_take_the_roles_of_targets_and_nobody_else_takes_any(prod: Template) -> None:
    taken = {
        name: statement["resources"]
        for name, statements in policies(prod).items()
        for statement in statements
        if statement["actions"] == ["sts:AssumeRole"]
    }

    assert taken == {"execute-fast": [ROLES], "execute-slow": [ROLES]}
    assert actions_by_role(prod, "sts").keys() == taken.keys()


def test_executors_call_no_target_of_aws_as_themselves(prod: Template) -> None:
    for service in ("lambda", "sns", "events", "states"):
        assert actions_by_role(prod, service).keys() <= {"TickerScheduleRole"}


def test_roles_may_be_in_other_accounts_where_a_stage_says_so() -> None:
    stage = replace(STAGES["prod"], target_accounts=("210987654321",))

    statements = policies(synthesise(stage))["execute-fast"]

    (roles,) = [each["resources"] for each in statements if "sts:AssumeRole" in each["actions"]]
    assert set(roles) == {ROLES, "arn:AWS::Partition:iam::210987654321:role/punctual-target-*"}


def test_who_hears_of_results_puts_them_and_the_api_gets_them(prod: Template) -> None:
    assert actions_by_role(prod, "s3") == {
        "api": {"s3:GetObject", "s3:ListBucket", "s3:PutObject"},
        "execute-fast": {"s3:PutObject"},
        "execute-slow": {"s3:PutObject"},
    }


def test_executors_read_no_index_and_send_no_run(prod: Template) -> None:
    for lane in ("fast", "slow"):
        statements = policies(prod)[f"execute-{lane}"]
        reads = [s["resources"] for s in statements if "dynamodb:Query" in s["actions"]]
        sends_to = [s["resources"] for s in statements if "sqs:SendMessage" in s["actions"]]

        assert reads == [["Table"]], "the table alone"
        assert sends_to == [["QueuesDeadLetters"]]


def test_nobody_scans_the_table_or_changes_its_shape(prod: Template) -> None:
    used = {action for actions in actions_by_role(prod, "dynamodb").values() for action in actions}

    assert used <= {
        "dynamodb:BatchGetItem",
        "dynamodb:BatchWriteItem",
        "dynamodb:DeleteItem",
        "dynamodb:PartiQLDelete",
        "dynamodb:PartiQLInsert",
        "dynamodb:PartiQLUpdate",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
    }


def actions_by_role(template: Template, service: str) -> dict[str, set[str]]:
    """Return what roles may do with a service, for those that may do anything."""
    found = {
        name: {
            action
            for statement in statements
            for action in statement["actions"]
            if action.startswith(f"{service}:")
        }
        for name, statements in policies(template).items()
    }
    return {name: actions for name, actions in found.items() if actions}


if __name__ == "__main__":
    json.dump(policies(synthesise(STAGES["prod"])), SNAPSHOT.open("w"), indent=2)
    sys.stdout.write(f"wrote {SNAPSHOT.name}\n")
