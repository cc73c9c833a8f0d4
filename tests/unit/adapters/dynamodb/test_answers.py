"""What is taken from an answer is what botocore would have made of it."""

import json
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders
from botocore.exceptions import ClientError

from punctual.adapters.dynamodb.answers import take_plainly

ITEM: dict[str, Any] = {
    "pk": {"S": 'J#acme#"B"'},
    "attempt": {"N": "1"},
    "B": {"S": "an attribute that is called like a type"},
    "result": {"M": {"body": {"B": "eyJvayI6dHJ1ZX0="}, "truncated": {"BOOL": True}}},
    "starts": {"L": [{"L": [{"N": "1764579600000"}, {"S": "q3Jk9-aB"}]}, {"B": ""}]},
    "map": {"M": {"B": {"M": {"B": {"B": "AAE="}}}}},
}

ANSWERS: dict[str, Any] = {
    "batch_get_item": {
        "Responses": {"jobs": [ITEM, {"pk": {"S": "x"}}]},
        "UnprocessedKeys": {"jobs": {"Keys": [{"pk": {"S": "y"}}], "ConsistentRead": True}},
    },
    "batch_execute_statement": {
        "Responses": [
            {"TableName": "jobs"},
            {"Error": {"Code": "ConditionalCheckFailed", "Message": "no", "Item": ITEM}},
            {"Error": {"Code": "DuplicateItem", "Message": "no"}},
        ]
    },
    "query": {"Items": [ITEM], "Count": 1, "ScannedCount": 1, "LastEvaluatedKey": ITEM},
}

REQUESTS: dict[str, Any] = {
    "batch_get_item": {"RequestItems": {"jobs": {"Keys": [{"pk": {"S": "x"}}]}}},
    "batch_execute_statement": {"Statements": [{"Statement": "DELETE"}]},
    "query": {"TableName": "jobs"},
}


def a_client(body: bytes, *, status: int = 200) -> Any:
    """Return a client to which everything is answered so."""

    class Answered(AWSResponse):
        content = body

    client: Any = boto3.client(
        "dynamodb",
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    headers = HTTPHeaders.from_dict({"x-amzn-requestid": "abc"})
    client.meta.events.register(
        "before-send.dynamodb", lambda request, **_: Answered(request.url, status, headers, None)
    )
    return client


@pytest.mark.parametrize("operation", ANSWERS)
def test_an_answer_is_what_botocore_makes_of_it(operation: str) -> None:
    client = a_client(json.dumps(ANSWERS[operation]).encode())
    ask = getattr(client, operation)
    made = ask(**REQUESTS[operation])

    take_plainly(client)
    take_plainly(client)

    assert ask(**REQUESTS[operation]) == made


def test_the_bytes_of_an_answer_are_bytes() -> None:
    client = a_client(json.dumps(ANSWERS["query"]).encode())
    take_plainly(client)

    (item,) = client.query(TableName="jobs")["Items"]

    assert item["result"]["M"]["body"]["B"] == b'{"ok":true}'


def test_an_error_is_left_to_botocore() -> None:
    body = b'{"__type": "com.amazonaws.dynamodb.v20120810#ValidationException", "message": "no"}'
    client = a_client(body, status=400)
    take_plainly(client)

    with pytest.raises(ClientError) as caught:
        client.query(TableName="jobs")

    assert caught.value.response["Error"] == {"Code": "ValidationException", "Message": "no"}


def test_what_is_no_json_is_left_to_botocore() -> None:
    client = a_client(b"<html>a gateway</html>")
    told = client.query(TableName="jobs")

    take_plainly(client)

    assert client.query(TableName="jobs") == told
