"""What goes wrong at the queues, named once: the only module that reads their error codes."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as aws

from punctual.core.errors import StoreUnavailable

_BUSY = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "KmsThrottled",
        "OverLimit",
        "RequestThrottled",
        "ServiceUnavailable",
        "ThrottlingException",
    }
)


@contextmanager
def queue_errors() -> Iterator[None]:
    """Turn load and network faults into `StoreUnavailable`; let every other error through."""
    try:
        yield
    except aws.ClientError as error:
        # Such as `AWS.SimpleQueueService.OverLimit`, as the older protocol calls it.
        if error.response["Error"]["Code"].rpartition(".")[2] in _BUSY:
            raise StoreUnavailable("the queue is busy") from error
        raise
    except (aws.ConnectionError, aws.HTTPClientError) as error:
        raise StoreUnavailable("the queue is out of reach") from error
