"""What AWS answers instead of an answer, in the words that runs are recorded in."""

import asyncio
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from punctual.core.calls import Answer, CallError, ErrorType

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

MESSAGE_MAX = 300
"""Characters that are kept of what a service says about an error."""

_THROTTLED = frozenset(
    {
        "ExecutionLimitExceeded",
        "OverLimit",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_PASSING = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "ResourceConflictException",  # a function that is being updated
    }
)
_MISSING = re.compile(r"NotFound(Exception)?$|DoesNotExist$|NonExistentQueue$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


class AwsNotInstalled(Exception):
    """The library that speaks to AWS is not there."""


def answer_without_result(fault: BaseException) -> Answer:
    """Return the answer of a call that `fault` ended."""
    if isinstance(fault, asyncio.CancelledError):
        return _failed(ErrorType.ABORTED, "Punctual stopped waiting")
    if isinstance(fault, AwsNotInstalled):
        message = "AWS targets need boto3, which is not installed: pip install 'punctual[aws]'"
        return _failed(ErrorType.INVALID_REQUEST, message)
    # Known only once it is installed; nothing else raises what follows.
    from botocore import exceptions, parsers  # noqa: PLC0415 - an extra

    match fault:
        case exceptions.ClientError():
            return _refused(fault)
        case parsers.ResponseParserError():
            return _failed(ErrorType.SERVICE, "the answer of the service cannot be read")
        case exceptions.ReadTimeoutError():
            return _failed(ErrorType.TIMEOUT, "no answer from the service in time")
        case exceptions.HTTPClientError() | exceptions.ConnectionError():
            return _failed(ErrorType.CONNECTION, "no connection to the service, or it broke")
        case exceptions.CredentialRetrievalError():
            return _failed(ErrorType.CONNECTION, "no credentials to call with came in time")
        case exceptions.NoCredentialsError() | exceptions.PartialCredentialsError():
            return _failed(ErrorType.ACCESS_DENIED, "there are no AWS credentials to call with")
        case exceptions.NoRegionError():
            return _failed(ErrorType.INVALID_REQUEST, "no AWS region is named anywhere")
        case exceptions.BotoCoreError():
            # Its message may quote what is sent.
            message = f"the request cannot be made ({type(fault).__name__})"
            return _failed(ErrorType.INVALID_REQUEST, message)
        case _:
            message = f"the call failed ({type(fault).__name__})"
            return _failed(ErrorType.INTERNAL, message)


def printable(text: str) -> str:
    """Return a text of somebody else's as part of a message of ours."""
    return _CONTROL.sub(" ", text).strip().removesuffix(".")[:MESSAGE_MAX]


def code_of(fault: Exception) -> str | None:
    """Return the code that a service refused a request with; None when it is no refusal."""
    response = getattr(fault, "response", None)
    if not isinstance(response, dict):
        return None
    code: str = response.get("Error", {}).get("Code", "")
    return code.rpartition("#")[2].rpartition(".")[2]


def _failed(kind: ErrorType, message: str) -> Answer:
    return Answer(error=CallError(type=kind, message=message))


def _refused(fault: "ClientError") -> Answer:
    error = fault.response.get("Error", {})
    metadata = fault.response.get("ResponseMetadata", {})
    code = code_of(fault) or ""
    status = metadata.get("HTTPStatusCode", 0)
    said = printable(error.get("Message", ""))
    message = f"{fault.operation_name} was answered with {code or status}"
    return Answer(
        status_code=status or None,
        retry_after=metadata.get("HTTPHeaders", {}).get("retry-after"),
        error=CallError(
            type=_type_of(code, status), message=f"{message}: {said}" if said else message
        ),
    )


def _type_of(code: str, status: int) -> ErrorType:
    if code in _THROTTLED or status == HTTPStatus.TOO_MANY_REQUESTS:
        return ErrorType.THROTTLED
    if code in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ErrorType.SERVICE
    if code in _DENIED or status == HTTPStatus.FORBIDDEN:
        return ErrorType.ACCESS_DENIED
    if _MISSING.search(code) or status == HTTPStatus.NOT_FOUND:
        return ErrorType.NOT_FOUND
    return ErrorType.INVALID_REQUEST
