"""What goes wrong between us and AWS, in the words of the record."""

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from punctual.adapters.targets.aws.clients import Clients
from punctual.adapters.targets.aws.errors import answer_without_result
from punctual.core.calls import CallError, ErrorType, Verdict, judge
from tests.support.aws_targets import EVERY_TARGET, an_aws_call, aws_targets
from tests.support.calls import answer_to


def refused(code: str, status: int = 400, message: str = "") -> ClientError:
    """Return what botocore raises for an answer."""
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "Invoke")


@pytest.mark.parametrize(
    ("fault", "kind", "verdict"),
    [
        (refused("TooManyRequestsException", 429), "throttled", Verdict.RETRYABLE),
        (refused("ThrottlingException"), "throttled", Verdict.RETRYABLE),
        (refused("com.amazonaws.sqs#RequestThrottled"), "throttled", Verdict.RETRYABLE),
        (refused("ExecutionLimitExceeded"), "throttled", Verdict.RETRYABLE),
        (refused("ServiceException", 500), "service", Verdict.RETRYABLE),
        (refused("EC2ThrottledException", 502), "service", Verdict.RETRYABLE),
        (refused("ResourceConflictException", 409), "service", Verdict.RETRYABLE),
        (refused("ExpiredToken", 403), "service", Verdict.RETRYABLE),
        (refused("ResourceNotFoundException", 404), "not_found", Verdict.FINAL),
        (refused("AWS.SimpleQueueService.NonExistentQueue"), "not_found", Verdict.FINAL),
        (refused("StateMachineDoesNotExist"), "not_found", Verdict.FINAL),
        (refused("NotFound", 404), "not_found", Verdict.FINAL),
        (refused("AccessDeniedException"), "access_denied", Verdict.FINAL),
        (refused("AuthorizationError", 403), "access_denied", Verdict.FINAL),
        (refused("InvalidRequestContentException"), "invalid_request", Verdict.FINAL),
        (exceptions.NoCredentialsError(), "access_denied", Verdict.FINAL),
        (
            exceptions.CredentialRetrievalError(provider="x", error_msg="x"),
            "connection",
            Verdict.RETRYABLE,
        ),
        (exceptions.NoRegionError(), "invalid_request", Verdict.FINAL),
        (exceptions.ParamValidationError(report="x"), "invalid_request", Verdict.FINAL),
        (exceptions.ReadTimeoutError(endpoint_url="x"), "timeout", Verdict.TIMED_OUT),
        (exceptions.ConnectTimeoutError(endpoint_url="x"), "connection", Verdict.RETRYABLE),
        (exceptions.EndpointConnectionError(endpoint_url="x"), "connection", Verdict.RETRYABLE),
        (exceptions.ConnectionClosedError(endpoint_url="x"), "connection", Verdict.RETRYABLE),
        (KeyError("x"), "internal", Verdict.RETRYABLE),
    ],
    ids=str,
)
def test_each_error_is_worth_another_attempt_or_is_not(
    fault: Exception, kind: str, verdict: Verdict
) -> None:
    answer = answer_without_result(fault)

    assert answer.error is not None
    assert (answer.error.type, judge(an_aws_call(EVERY_TARGET["sqs"]), answer)) == (kind, verdict)


def test_what_the_service_says_is_told_in_one_line_that_is_not_too_long() -> None:
    fault = refused("AccessDeniedException", 403, "You may not.\nNot " + "x" * 999)

    answer = answer_without_result(fault)

    assert answer.status_code == 403
    assert answer.error is not None
    begins = "Invoke was answered with AccessDeniedException: You may not. Not xxx"
    assert answer.error.message.startswith(begins)
    assert len(answer.error.message) < 400


def test_a_request_that_cannot_be_made_is_not_quoted() -> None:
    fault = exceptions.ParamValidationError(report="Invalid value: the secret payload")

    assert "secret" not in repr(answer_without_result(fault))


def test_where_boto3_is_not_installed_the_run_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    targets = aws_targets(clients=Clients(external_id="punctual"))

    given = answer_to(targets, an_aws_call(EVERY_TARGET["sqs"]))

    targets.close()
    assert given.error == CallError(
        type=ErrorType.INVALID_REQUEST,
        message="AWS targets need boto3, which is not installed: pip install 'punctual[aws]'",
    )


def test_who_calls_no_aws_target_never_imports_what_speaks_to_aws() -> None:
    script = "import sys, punctual.adapters.targets.every; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)

    assert not {"boto3", "botocore", "botocore.exceptions"} & set(run.stdout.split())


def test_closed_targets_take_no_call() -> None:
    targets = aws_targets()
    targets.close()

    with pytest.raises(RuntimeError):
        targets.launch([an_aws_call(EVERY_TARGET["sqs"], timeout=timedelta(seconds=1))])
