"""What goes wrong at the table, named once: the only module that reads its error codes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore import exceptions as aws

from punctual.core.errors import StoreUnavailable

_BUSY = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
    }
)
"""Codes of a whole request: load, not a mistake."""

_BUSY_ENTRY = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "ThrottlingError",
        "TransactionConflict",
    }
)
"""The same for one entry of a batch, which names them in its own way."""

_REFUSED_ENTRY = frozenset({"ConditionalCheckFailed", "DuplicateItem"})


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn load and network faults into `StoreUnavailable`; let every other error through."""
    try:
        yield
    except aws.ClientError as error:
        if error.response["Error"]["Code"] in _BUSY:
            raise StoreUnavailable("the store is busy") from error
        raise
    except (aws.ConnectionError, aws.HTTPClientError) as error:
        raise StoreUnavailable("the store is out of reach") from error


def is_refusal(error: aws.ClientError) -> bool:
    """Say whether a single write was refused by its condition."""
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def refused_item(error: aws.ClientError) -> dict[str, Any] | None:
    """Return the item that refused a single write; None when there is none."""
    item: dict[str, Any] | None = error.response.get("Item")  # type: ignore[assignment]
    return item or None


def entry_is_refusal(code: str) -> bool:
    """Say whether a batch's entry was refused by its condition, or by an item that exists."""
    return code in _REFUSED_ENTRY


def entry_is_busy(code: str) -> bool:
    """Say whether a batch's entry failed for load, so that it may succeed a moment later."""
    return code in _BUSY_ENTRY
