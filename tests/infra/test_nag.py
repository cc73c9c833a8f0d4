"""cdk-nag's AwsSolutions rules, and our waivers of them."""

import pytest
from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from infra.app import make_app
from infra.config import STAGES
from infra.stacks.punctual import PunctualStack
from infra.waivers import waive

Findings = set[tuple[str, str]]
"""Resources by path, each with a rule."""


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_has_a_finding(stage: str) -> None:
    make_app(STAGES[stage]).synth()


@pytest.mark.parametrize("stage", STAGES)
def test_every_finding_is_waived_alone_and_no_waiver_is_left_over(stage: str) -> None:
    app = App(analytics_reporting=False, context={"aws:cdk:bundling-stacks": []})
    stack = PunctualStack(app, f"Punctual-{stage}", config=STAGES[stage])
    found = findings(app, stack)

    waive(stack)

    assert waived(stack) == found


def findings(app: App, stack: PunctualStack) -> Findings:
    """Return what the rules find, whether it is waived or not."""
    report = AwsSolutionsChecks(app).validate_scope(stack)
    return {
        (str(resource.construct_path).removesuffix("/Resource"), violation.rule_name)
        for violation in report.violations
        for resource in violation.violating_resources
    }


def waived(stack: PunctualStack) -> Findings:
    """Return what is waived, by the very resource that it is waived on."""
    return {
        (construct.node.path, rule.removeprefix("AwsSolutions::"))
        for construct in stack.node.find_all()
        for entry in construct.node.metadata
        if entry.type == Validations.ACKNOWLEDGED_RULES_METADATA_KEY
        for rule, reason in entry.data.items()
        if len(reason.split()) > 10
    }
