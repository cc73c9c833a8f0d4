"""Long results in a bucket of S3, whose lifecycle deletes them."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from punctual.core.errors import StoreUnavailable
from punctual.core.identity import result_name

PREFIX = "results/"


class S3Results:
    """Fills `Results`; every method may be called from any thread."""

    def __init__(self, open_client: Callable[[], Any], *, bucket: str) -> None:
        """Take what makes the client, or returns the one there is: few calls ever need it."""
        self._open_client = open_client
        self._bucket = bucket

    def put(self, body: bytes) -> str:
        """See `Results.put`."""
        name = result_name(body)
        try:
            self._open_client().put_object(Bucket=self._bucket, Key=PREFIX + name, Body=body)
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailable("a result cannot be kept") from error
        return name

    def get(self, name: str) -> bytes | None:
        """See `Results.get`."""
        try:
            found = self._open_client().get_object(Bucket=self._bucket, Key=PREFIX + name)
            body: bytes = found["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise StoreUnavailable("a result cannot be read") from error
        except BotoCoreError as error:
            raise StoreUnavailable("a result cannot be read") from error
        return body
