"""One MiniStack for the tests of a session; each test has a table and queues of its own."""

from collections.abc import Iterator

import pytest

from tests.support.aws_engine import ministack_engine
from tests.support.clock import FakeClock
from tests.support.engines import Engine
from tests.support.ministack import ministack as start_ministack


@pytest.fixture(scope="session")
def ministack() -> Iterator[str]:
    """Run MiniStack, and yield its address."""
    with start_ministack() as endpoint:
        yield endpoint


@pytest.fixture
def engine(ministack: str) -> Iterator[Engine]:
    """Open the engine over an empty table and empty queues."""
    with ministack_engine(FakeClock(), ministack) as engine:
        yield engine
