"""Long results in a bucket."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from punctual.adapters.results.s3 import S3Results
from punctual.core.errors import StoreUnavailable

BODY = bytes(range(256)) * 4000


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="results")
        yield client


def test_a_body_comes_back_as_it_was(client: Any) -> None:
    results = S3Results(lambda: client, bucket="results")
    name = results.put(BODY)

    assert results.get(name) == BODY
    assert results.put(BODY) == name
    listed = client.list_objects_v2(Bucket="results")["Contents"]
    assert [found["Key"] for found in listed] == [f"results/{name}"]


def test_a_body_that_is_gone_is_not_there(client: Any) -> None:
    assert S3Results(lambda: client, bucket="results").get("0" * 32) is None


def test_a_bucket_that_is_not_ours_to_use_is_told(client: Any) -> None:
    results = S3Results(lambda: client, bucket="another")

    with pytest.raises(StoreUnavailable, match="cannot be kept"):
        results.put(BODY)
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        results.get("0" * 32)


def test_a_service_out_of_reach_is_told() -> None:
    class Down:
        def get_object(self, **_: str) -> None:
            raise EndpointConnectionError(endpoint_url="https://s3")

    with pytest.raises(StoreUnavailable, match="cannot be read"):
        S3Results(Down, bucket="results").get("0" * 32)
