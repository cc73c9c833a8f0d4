"""The table and the queues of a deployment, made on any boto3 client."""

from typing import TYPE_CHECKING

from infra.definitions import QUEUES, TABLE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient


def create_table(dynamodb: "DynamoDBClient", name: str) -> None:
    """Make the table as it is deployed, its time to live included."""
    dynamodb.create_table(**TABLE.create_arguments(name))
    dynamodb.update_time_to_live(**TABLE.ttl_arguments(name))


def create_queues(sqs: "SQSClient", *, prefix: str) -> dict[str, str]:
    """Make every queue as it is deployed, and return their URLs by `QueueDefinition.name`."""
    urls: dict[str, str] = {}
    for definition in QUEUES.values():
        arn = None
        if definition.gives_up_to is not None:
            arn = sqs.get_queue_attributes(
                QueueUrl=urls[definition.gives_up_to.name], AttributeNames=["QueueArn"]
            )["Attributes"]["QueueArn"]
        arguments = definition.create_arguments(prefix=prefix, gives_up_to_arn=arn)
        urls[definition.name] = sqs.create_queue(**arguments)["QueueUrl"]
    return urls
