"""What tests of several kinds share."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from infra.ministack import ministack as run_ministack

# How long an example takes is no promise, and a loaded machine may stand still for a while.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the contract of the stores be asked of another DynamoDB than MiniStack's."""
    parser.addoption("--dynamodb", metavar="URL", help="DynamoDB for the tests of the contract")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, on one of several workers, the tests that share what is costly to make."""
    for item in items:
        if "deployment" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("deployed"))
        elif item.path.parent.name in {"e2e", "infra"}:
            item.add_marker(pytest.mark.xdist_group(item.path.parent.name))


@pytest.fixture(scope="session")
def ministack() -> Iterator[str]:
    """Run one MiniStack for the tests of a session, and yield its address."""
    with run_ministack() as aws:
        yield aws.endpoint
