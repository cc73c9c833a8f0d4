"""Lambda: a function that is invoked, and answers."""

import base64
import contextlib
import json
from dataclasses import replace

from punctual.adapters.targets.aws.errors import printable
from punctual.adapters.targets.aws.kinds import Ask, Kind, Response, answered
from punctual.core.aws_calls import AwsCall
from punctual.core.aws_targets import LambdaTarget
from punctual.core.calls import BODY_READ_MAX, Answer, CallError, ErrorType


async def _invoke(call: AwsCall, ask: Ask) -> Answer:
    target = call.target
    assert isinstance(target, LambdaTarget), "the registry knows which"
    context = json.dumps({"custom": call.labels})
    return await ask(
        "invoke",
        read=_returned,
        FunctionName=target.function_arn,
        InvocationType="RequestResponse",
        LogType="Tail",
        Payload=target.payload.text.encode(),
        ClientContext=base64.b64encode(context.encode()).decode(),
    )


def _returned(response: Response) -> Answer:
    body = response["Payload"].read(BODY_READ_MAX + 1)
    tail = base64.b64decode(response.get("LogResult", ""))
    answer = answered(body, log=tuple(tail.decode(errors="replace").splitlines()))
    if "FunctionError" not in response:
        return answer
    return replace(answer, error=CallError(type=ErrorType.FUNCTION_ERROR, message=_raised(body)))


def _raised(body: bytes) -> str:
    """Say what a function failed with: `ValueError: there is no such report`."""
    error = None
    with contextlib.suppress(ValueError):
        error = json.loads(body)
    if not isinstance(error, dict):
        return "the function failed and did not say why"
    said = [str(error[part]) for part in ("errorType", "errorMessage") if error.get(part)]
    return printable(": ".join(said)) or "the function failed and did not say why"


def _place(target: LambdaTarget) -> str:
    return target.function_arn


LAMBDA = Kind(
    service="lambda",
    place=_place,
    left_behind="the function may go on",
    carry=_invoke,
    waits=True,
)
