"""SNS: a message to a topic."""

import json

from punctual.adapters.targets.aws.kinds import Ask, Kind, Response, answered
from punctual.core.aws_calls import AwsCall
from punctual.core.aws_targets import SnsTarget
from punctual.core.calls import Answer


async def _publish(call: AwsCall, ask: Ask) -> Answer:
    target = call.target
    assert isinstance(target, SnsTarget), "the registry knows which"
    message: dict[str, object] = {
        "TopicArn": target.topic_arn,
        "Message": target.message.text,
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value}
            for name, value in call.labels.items()
        },
    }
    if target.topic_arn.endswith(".fifo"):
        message |= {"MessageGroupId": call.job_id, "MessageDeduplicationId": call.run_id}
    return await ask("publish", read=_published, **message)


def _published(response: Response) -> Answer:
    return answered(json.dumps({"message_id": response["MessageId"]}).encode())


def _place(target: SnsTarget) -> str:
    return target.topic_arn


SNS = Kind(
    service="sns",
    place=_place,
    left_behind="the message may have been published",
    carry=_publish,
)
