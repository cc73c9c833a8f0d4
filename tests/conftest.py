"""What tests of several kinds share."""

from collections.abc import Iterator

import pytest

from infra.ministack import ministack as run_ministack


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the contract of the stores be asked of another DynamoDB than MiniStack's."""
    parser.addoption("--dynamodb", metavar="URL", help="DynamoDB for the tests of the contract")


@pytest.fixture(scope="session")
def ministack() -> Iterator[str]:
    """Run one MiniStack for the tests of a session, and yield its address."""
    with run_ministack() as aws:
        yield aws.endpoint
