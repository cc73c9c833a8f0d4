"""EventBridge: an event to a bus."""

import json

from punctual.adapters.targets.aws.errors import printable
from punctual.adapters.targets.aws.kinds import Ask, Kind, Response, answered
from punctual.core.aws_calls import AwsCall
from punctual.core.aws_targets import EventBridgeTarget
from punctual.core.calls import Answer, CallError, ErrorType

_PASSING = frozenset({"InternalFailure", "InternalException", "ThrottlingException"})
"""Why a bus refuses one event that it may take later."""


async def _put(call: AwsCall, ask: Ask) -> Answer:
    target = call.target
    assert isinstance(target, EventBridgeTarget), "the registry knows which"
    event = {
        "EventBusName": target.event_bus,
        "Source": target.source,
        "DetailType": target.detail_type,
        "Detail": target.detail.text,
        # The detail is the user's own; this is the one other place that a receiver sees.
        "Resources": [f"punctual:run:{call.run_id}"],
    }
    return await ask("put_events", read=_taken, Entries=[event])


def _taken(response: Response) -> Answer:
    """Read what became of the one event: the request succeeds even when the bus refuses it."""
    (entry,) = response["Entries"]
    if not response["FailedEntryCount"]:
        return answered(json.dumps({"event_id": entry["EventId"]}).encode())
    code = entry.get("ErrorCode", "no code")
    said = printable(entry.get("ErrorMessage", ""))
    return Answer(
        status_code=200,
        error=CallError(
            type=ErrorType.SERVICE if code in _PASSING else ErrorType.INVALID_REQUEST,
            message=f"the bus refused the event with {code}" + (f": {said}" if said else ""),
        ),
    )


def _place(target: EventBridgeTarget) -> str:
    return target.event_bus


EVENTBRIDGE = Kind(
    service="events", place=_place, left_behind="the event may have been taken", carry=_put
)
