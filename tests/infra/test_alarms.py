"""Alarms ring where something is wrong, tell somebody, and say what to do."""

import inspect
import re
from typing import Any

import pytest

from infra.constructs.layers import ROOT
from infra.constructs.metrics import OUTCOMES
from punctual.core.runs import RunState
from punctual.runtime import observability
from tests.support.templates import Resource, Template


def alarms(template: Template) -> dict[str, Resource]:
    """Return the alarms by name."""
    return {
        each.name.removeprefix("Alarms"): each for each in template.all("AWS::CloudWatch::Alarm")
    }


def test_every_alarm_tells_the_topic_when_it_rings_and_when_it_is_over(template: Template) -> None:
    topic = [{"Ref": template.one("AWS::SNS::Topic").logical_id}]

    for alarm in alarms(template).values():
        assert alarm.properties["AlarmActions"] == alarm.properties["OKActions"] == topic


def test_alarms_may_tell_the_topic(template: Template) -> None:
    """A topic with a policy of its own refuses everybody whom that does not name."""
    statements = template.one("AWS::SNS::TopicPolicy").properties["PolicyDocument"]["Statement"]

    assert {
        "Effect": "Allow",
        "Action": "sns:Publish",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
        "Resource": {"Ref": template.one("AWS::SNS::Topic").logical_id},
    } in [{key: value for key, value in each.items() if key != "Sid"} for each in statements]


def test_every_alarm_has_a_page_that_says_what_to_do(template: Template) -> None:
    for name, alarm in alarms(template).items():
        (page,) = re.findall(r"docs/runbooks/[a-z-]+\.md", alarm.properties["AlarmDescription"])
        assert name in (ROOT / page).read_text(), f"{page} does not speak of {name}"


@pytest.mark.parametrize(
    ("name", "rings_at", "silence"),
    [
        ("OldMessageFast", ("GreaterThanThreshold", 1170, 3), "notBreaching"),
        ("OldMessageSlow", ("GreaterThanThreshold", 1860, 3), "notBreaching"),
        ("OldMessageShards", ("GreaterThanThreshold", 90, 3), "notBreaching"),
        ("OldMessageExhausted", ("GreaterThanThreshold", 360, 3), "notBreaching"),
        ("DeadLetters", ("GreaterThanThreshold", 0, 1), "notBreaching"),
        ("JobParked", ("GreaterThanThreshold", 0, 1), "notBreaching"),
        ("TickMissing", ("LessThanThreshold", 1, 3), "breaching"),
    ],
)
def test_an_alarm_rings_at_its_bound(
    prod: Template, name: str, rings_at: tuple[str, float, int], silence: str
) -> None:
    alarm = alarms(prod)[name].properties

    assert (alarm["ComparisonOperator"], alarm["Threshold"], alarm["EvaluationPeriods"]) == rings_at
    assert alarm["TreatMissingData"] == silence
    assert alarm["Period"] == 60


def test_nothing_listens_to_a_metric_that_no_function_writes(prod: Template) -> None:
    source = inspect.getsource(observability)
    namespace = "Punctual-prod"
    services = {
        function.properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        for function in prod.functions().values()
    }
    heard = [
        (alarm.properties["MetricName"], alarm.properties["Dimensions"][0]["Value"])
        for alarm in prod.all("AWS::CloudWatch::Alarm")
        if alarm.properties["Namespace"] == namespace
    ] + re.findall(rf'"{namespace}","(\w+)","service","([\w-]+)"', _dashboard(prod))

    assert len(heard) > 20
    for metric, service in heard:
        assert metric in OUTCOMES or f'"{metric}"' in source
        assert service in services


def test_the_dashboard_shows_every_way_in_which_a_run_ends(prod: Template) -> None:
    terminal = [state for state in RunState if state.terminal]
    written = {
        "Runs" + "".join(word.capitalize() for word in state.value.split("_")) for state in terminal
    }

    assert set(OUTCOMES) == written
    assert all(outcome in _dashboard(prod) for outcome in OUTCOMES)


def _dashboard(template: Template) -> str:
    """Return the dashboard's body, what is known at deployment alone left out."""
    body: Any = template.one("AWS::CloudWatch::Dashboard").properties["DashboardBody"]
    return "".join(part for part in body["Fn::Join"][1] if isinstance(part, str))
