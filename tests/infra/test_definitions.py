"""The template makes the table and the queues that every other test is run on."""

from typing import Any

from infra.definitions import QUEUES, TABLE
from tests.support.templates import Template


def test_the_table_is_the_one_of_the_definitions(template: Template) -> None:
    table = template.one("AWS::DynamoDB::GlobalTable").properties
    tested = TABLE.create_arguments("any")

    assert table["BillingMode"] == tested["BillingMode"]
    assert table["KeySchema"] == tested["KeySchema"]
    assert _by(table["AttributeDefinitions"], "AttributeName") == _by(
        tested["AttributeDefinitions"], "AttributeName"
    )
    assert _by(table["GlobalSecondaryIndexes"], "IndexName") == _by(
        tested["GlobalSecondaryIndexes"], "IndexName"
    )
    assert table["TimeToLiveSpecification"] == TABLE.ttl_arguments("any")["TimeToLiveSpecification"]


def test_the_queues_are_those_of_the_definitions(template: Template) -> None:
    queues = template.queues()
    assert queues.keys() == QUEUES.keys()

    for name, definition in QUEUES.items():
        properties = queues[name].properties
        assert properties["VisibilityTimeout"] == definition.visibility.total_seconds()
        assert properties["MessageRetentionPeriod"] == definition.retention.total_seconds()
        assert properties.get("FifoQueue", False) is definition.fifo
        if definition.gives_up_to is None:
            assert "RedrivePolicy" not in properties
        else:
            given_up = queues[definition.gives_up_to.name].logical_id
            assert properties["RedrivePolicy"] == {
                "deadLetterTargetArn": {"Fn::GetAtt": [given_up, "Arn"]},
                "maxReceiveCount": definition.receives_max,
            }


def _by(entries: list[dict[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    return {entry[name]: entry for entry in entries}
