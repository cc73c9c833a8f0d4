"""Answers that carry many items, taken as the JSON they are.

botocore asks ten questions of every value in them, which is a third of what a batch of runs costs;
what comes of it is what was in the JSON, but for bytes.
"""

import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

OPERATIONS = ("BatchExecuteStatement", "BatchGetItem", "Query")

OK = 200


def take_plainly(client: "DynamoDBClient") -> None:
    """Have a client take these answers so from now on; repeating it is fine."""
    for operation in OPERATIONS:
        client.meta.events.register(
            f"before-parse.dynamodb.{operation}", _take, unique_id=f"punctual-{operation}"
        )


def _take(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_event: object
) -> None:
    """Take an answer in place of botocore, and leave it the rest: errors, and what is no JSON."""
    if response_dict["status_code"] != OK:
        return
    body: bytes = response_dict["body"]
    try:
        # Few answers hold any bytes, and those that hold none are read twice as fast.
        answer = json.loads(body, object_hook=_with_bytes if b'"B"' in body else None)
    except ValueError:
        return
    customized_response_dict.update(answer)
    response_dict["body"] = b"{}"


def _with_bytes(value: dict[str, Any]) -> dict[str, Any]:
    """Return `{"B": …}` with the bytes that its text stands for, and anything else as it is.

    An attribute may be called `B` too, but then what it holds is a typed value, and no text.
    """
    encoded = value.get("B")
    return {"B": b64decode(encoded)} if isinstance(encoded, str) else value
