"""SQS: a message to a queue."""

import json

from punctual.adapters.targets.aws.kinds import Ask, Kind, Response, answered
from punctual.core.aws_calls import AwsCall
from punctual.core.aws_targets import SqsTarget
from punctual.core.calls import Answer


async def _send(call: AwsCall, ask: Ask) -> Answer:
    target = call.target
    assert isinstance(target, SqsTarget), "the registry knows which"
    message: dict[str, object] = {
        "QueueUrl": target.queue_url,
        "MessageBody": target.body.text,
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value}
            for name, value in call.labels.items()
        },
    }
    if target.message_group_id is not None:
        message["MessageGroupId"] = target.message_group_id
    if target.queue_url.endswith(".fifo"):
        message.setdefault("MessageGroupId", call.job_id)
        message["MessageDeduplicationId"] = call.run_id
    return await ask("send_message", read=_sent, **message)


def _sent(response: Response) -> Answer:
    return answered(json.dumps({"message_id": response["MessageId"]}).encode())


def _place(target: SqsTarget) -> str:
    return target.queue_url


SQS = Kind(service="sqs", place=_place, left_behind="the message may have been sent", carry=_send)
