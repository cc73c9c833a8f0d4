"""docs/targets.md says what is so."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.constructs.executor import ROLES_PREFIX
from punctual.adapters.targets.aws.clients import Clients
from punctual.core.aws_calls import AwsCall
from punctual.core.aws_targets import AWS_TARGETS
from punctual.core.calls import Answer, CallError, ErrorType, Verdict, judge
from tests.emulator.targets import test_what_is_recorded
from tests.support.api_client import ApiClient
from tests.support.aws_targets import EVERY_TARGET, an_aws_call

PAGE = (Path(__file__).parents[3] / "docs" / "targets.md").read_text("utf-8")
BLOCKS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
JOBS = [block for block in BLOCKS if "target" in block]


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading, without its head."""
    section = PAGE.partition(heading)[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job["target"]["type"])
def test_every_example_is_a_job(api: ApiClient, job: dict[str, Any]) -> None:
    answer = api("POST", "/v1/jobs", job)

    assert answer.status == 201
    assert answer.json["target"] == job["target"] | {"type": job["target"]["type"]}


def test_there_is_an_example_and_a_row_for_every_type() -> None:
    assert {job["target"]["type"] for job in JOBS} == set(AWS_TARGETS)
    every = [f"`{name}`" for name in ["http", *AWS_TARGETS]]
    assert [row[0] for row in rows("# Targets")] == every
    assert [row[0] for row in rows("## What is recorded")] == every


def test_the_trust_policy_demands_the_external_id_that_executors_bring() -> None:
    (policy,) = [block for block in BLOCKS if "Statement" in block]

    (statement,) = policy["Statement"]
    external_id = Clients(external_id="punctual:prod").external_id_of("123456789012")
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": external_id}}
    roles = {job["target"]["role_arn"].rpartition("/")[2] for job in JOBS}
    assert all(role.startswith(ROLES_PREFIX) for role in roles)


def test_failures_are_tried_again_or_not_as_the_page_says() -> None:
    call: AwsCall = an_aws_call(EVERY_TARGET["sqs"])
    for kind, _, again in rows("## Which failures are tried again"):
        error = CallError(type=ErrorType(kind.strip("`")), message="")
        verdict = judge(call, Answer(error=error))

        assert (verdict in {Verdict.RETRYABLE, Verdict.TIMED_OUT}) is (again == "yes"), kind


def test_every_cell_of_what_is_recorded_is_a_test() -> None:
    named = re.findall(r"`(test_a_call_\w+)`", PAGE)

    assert len(named) == len(rows("## What is recorded")[0]) - 1
    for name in named:
        marks = getattr(test_what_is_recorded, name).pytestmark
        (kinds,) = [mark.args[1] for mark in marks if mark.args and mark.args[0] == "kind"]
        assert kinds == ["http", *AWS_TARGETS]
