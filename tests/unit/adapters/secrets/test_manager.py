"""Secrets of Secrets Manager are asked for rarely, and what goes wrong is told without them."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from punctual.adapters.secrets.manager import (
    FAILURE_REMEMBERED_SECONDS,
    REMEMBERED_SECONDS,
    SECRETS_MAX,
    ManagedSecrets,
    _Remembered,
)
from punctual.core.secrets import SecretMissing, SecretUnavailable, SecretUnusable

NOWHERE = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:punctual/acme/no-a1B2c3"


class Watch:
    """A clock of seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Asked:
    """A client whose questions are counted, and that may fail."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.questions = 0
        self.fault: Exception | None = None

    def get_secret_value(self, **arguments: str) -> Any:
        self.questions += 1
        if self.fault is not None:
            raise self.fault
        return self.client.get_secret_value(**arguments)


@pytest.fixture
def asked() -> Iterator[Asked]:
    with mock_aws():
        yield Asked(boto3.client("secretsmanager", region_name="eu-central-1"))


@pytest.fixture
def clock() -> Watch:
    return Watch()


@pytest.fixture
def secrets(asked: Asked, clock: Watch) -> ManagedSecrets:
    return ManagedSecrets(lambda: asked, clock=clock)


def created(asked: Asked, **fields: Any) -> str:
    arn: str = asked.client.create_secret(Name="punctual/acme/token", **fields)["ARN"]
    return arn


def test_a_value_is_remembered_for_five_minutes_and_no_longer(
    asked: Asked, clock: Watch, secrets: ManagedSecrets
) -> None:
    arn = created(asked, SecretString="old")
    assert secrets.read(arn) == "old"
    asked.client.put_secret_value(SecretId=arn, SecretString="new")

    clock.now += REMEMBERED_SECONDS - 1
    assert secrets.read(arn) == "old"
    clock.now += 1
    assert secrets.read(arn) == "new"
    assert asked.questions == 2
    assert REMEMBERED_SECONDS == 300


def test_a_secret_that_is_not_there_is_asked_for_again_soon(
    asked: Asked, clock: Watch, secrets: ManagedSecrets
) -> None:
    for _ in range(2):
        with pytest.raises(SecretMissing, match="ResourceNotFoundException"):
            secrets.read(NOWHERE)
    assert asked.questions == 1

    clock.now += FAILURE_REMEMBERED_SECONDS
    with pytest.raises(SecretMissing):
        secrets.read(NOWHERE)
    assert asked.questions == 2


def test_a_secret_that_is_to_be_deleted_is_gone(asked: Asked, secrets: ManagedSecrets) -> None:
    arn = created(asked, SecretString="s3cret")
    asked.client.delete_secret(SecretId=arn)

    with pytest.raises(SecretMissing):
        secrets.read(arn)


def test_bytes_are_no_text(asked: Asked, secrets: ManagedSecrets) -> None:
    with pytest.raises(SecretUnusable, match="holds bytes"):
        secrets.read(created(asked, SecretBinary=b"s3cret"))


def test_a_service_out_of_reach_is_a_fault_that_passes(
    asked: Asked, clock: Watch, secrets: ManagedSecrets
) -> None:
    arn = created(asked, SecretString="s3cret")
    asked.fault = EndpointConnectionError(endpoint_url="https://secretsmanager")
    with pytest.raises(SecretUnavailable, match="out of reach"):
        secrets.read(arn)

    asked.fault = None
    clock.now += FAILURE_REMEMBERED_SECONDS
    assert secrets.read(arn) == "s3cret"


def test_what_is_remembered_stays_small_and_out_of_sight(
    asked: Asked, secrets: ManagedSecrets
) -> None:
    for number in range(SECRETS_MAX + 5):
        with pytest.raises(SecretMissing):
            secrets.read(f"{NOWHERE}{number}")

    assert len(secrets._remembered) == SECRETS_MAX
    assert "s3cret" not in repr(_Remembered(until=1.0, value="s3cret"))
