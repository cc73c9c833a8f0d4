"""Step Functions: an execution that is started and followed to its end.

The name of an execution follows from the run, and a name is given once: an attempt that takes over
from one that died finds the execution that was started before, and follows it. What comes after an
execution that failed, and whose failure is on record, is a new one under the next name.
"""

import asyncio
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from punctual.adapters.targets.aws.errors import answer_without_result, code_of, printable
from punctual.adapters.targets.aws.kinds import Ask, Kind, Response, answered
from punctual.adapters.targets.caller import LEAVE
from punctual.core.aws_calls import AwsCall
from punctual.core.aws_targets import StepFunctionsTarget
from punctual.core.calls import Answer, CallError, ErrorType

LOOK_MIN = 0.25
LOOK_MAX = 5.0
"""Seconds between two looks at an execution: few at first, then more."""

STOP_SECONDS = 1.5
"""How long it may take to stop an execution whose attempt is over."""

STOPPED_BY_US = "Punctual.Stopped"
"""The error of an execution that was stopped because its attempt was over."""

NAME_MAX = 77
"""Characters of a name: of the 80 there may be, three number the executions of one run."""

_NOT_IN_A_NAME = re.compile(r"[^0-9A-Za-z_.-]")
_GOING_ON = frozenset({"RUNNING", "PENDING_REDRIVE"})
_PASSING = frozenset(
    {ErrorType.CONNECTION, ErrorType.SERVICE, ErrorType.THROTTLED, ErrorType.TIMEOUT}
)
_NOT_SEEN_YET = "ExecutionDoesNotExist"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """An execution as it stood when it was looked at."""

    status: str
    output: str
    error: str
    cause: str


async def _execute(call: AwsCall, ask: Ask) -> Answer:
    target = call.target
    assert isinstance(target, StepFunctionsTarget), "the registry knows which"
    on_record = call.failed_with.count(ErrorType.EXECUTION_FAILED)
    for name in names_of(call.run_id):
        execution = execution_arn(target.state_machine_arn, name)
        try:
            started = await _start(target, name, ask)
            if started is not None and ":express:" in started:
                return _not_followed()
            ask.log.append(f"execution {'found' if started is None else 'started'}: {execution}")
            end = await _end_of(execution, ask)
        except asyncio.CancelledError as closing:
            if LEAVE not in closing.args:
                await _stop(call, execution, ask)
            raise
        if end.status == "SUCCEEDED":
            return answered(end.output.encode())
        if end.error == STOPPED_BY_US:
            continue
        if started is None and on_record:
            on_record -= 1
            continue
        return _failed(end)
    raise AssertionError("there is always a next name")


def names_of(run_id: str) -> Iterator[str]:
    """Name the executions of a run, first to last: its id, then with `-2`, `-3` … behind it.

    An id that is no valid name, or too long for one, is made one that no other run has.
    """
    name = _NOT_IN_A_NAME.sub("-", run_id)
    if name != run_id or len(name) > NAME_MAX:
        digest = hashlib.sha256(run_id.encode()).hexdigest()[:12]
        name = f"{name[: NAME_MAX - 13]}-{digest}"
    yield name
    for number in count(2):
        yield f"{name}-{number}"


def execution_arn(state_machine_arn: str, name: str) -> str:
    """Return the ARN of an execution; a version or an alias of the machine is no part of it."""
    place, _, machine = state_machine_arn.partition(":stateMachine:")
    return f"{place}:execution:{machine.partition(':')[0]}:{name}"


async def _start(target: StepFunctionsTarget, name: str, ask: Ask) -> str | None:
    """Start an execution; return its ARN, or None if the name has been given before."""
    try:
        return await ask(
            "start_execution",
            read=lambda response: str(response["executionArn"]),
            stateMachineArn=target.state_machine_arn,
            name=name,
            input=target.input.text,
        )
    except Exception as fault:
        if code_of(fault) != "ExecutionAlreadyExists":
            raise
        return None


async def _end_of(execution: str, ask: Ask) -> _Seen:
    """Look at an execution until it has ended; a look that fails in passing is repeated."""
    ask.left_behind = "the execution may go on"
    wait = LOOK_MIN
    while True:
        await ask.pause(wait)
        wait = min(wait * 1.5, LOOK_MAX)
        try:
            seen = await ask("describe_execution", read=_seen, executionArn=execution)
        except Exception as fault:
            error = answer_without_result(fault).error
            if code_of(fault) != _NOT_SEEN_YET and (error is None or error.type not in _PASSING):
                raise
        else:
            if seen.status not in _GOING_ON:
                return seen


async def _stop(call: AwsCall, execution: str, ask: Ask) -> None:
    """Stop an execution, unless this process ends: whoever takes the run over follows it then."""
    if ask.leaving:
        return
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await ask(
                "stop_execution",
                read=lambda _: None,
                executionArn=execution,
                error=STOPPED_BY_US,
                cause=f"attempt {call.attempt} of run {call.run_id} is over",
            )
    except Exception:  # noqa: BLE001 - what is said of the execution then is that it may go on
        return
    ask.left_behind = "the execution was stopped"


def _seen(response: Response) -> _Seen:
    return _Seen(
        status=response["status"],
        output=response.get("output") or "",
        error=response.get("error") or "",
        cause=response.get("cause") or "",
    )


def _failed(end: _Seen) -> Answer:
    said = printable(": ".join(part for part in (end.error, end.cause) if part))
    message = f"the execution ended as {end.status}"
    return Answer(
        status_code=200,
        error=CallError(
            type=ErrorType.EXECUTION_FAILED, message=f"{message}: {said}" if said else message
        ),
    )


def _not_followed() -> Answer:
    message = "an express execution was started, which nobody can follow: standard ones only"
    return Answer(error=CallError(type=ErrorType.INVALID_REQUEST, message=message))


def _place(target: StepFunctionsTarget) -> str:
    return target.state_machine_arn


STEP_FUNCTIONS = Kind(
    service="stepfunctions",
    place=_place,
    left_behind="an execution may have been started",
    carry=_execute,
)
