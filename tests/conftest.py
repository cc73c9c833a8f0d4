"""What tests of several kinds share."""

from collections.abc import Iterator

import pytest

from tests.support import ministack as emulator


@pytest.fixture(scope="session")
def ministack() -> Iterator[str]:
    """Run one MiniStack for the tests of a session, and yield its address."""
    with emulator.ministack() as endpoint:
        yield endpoint
