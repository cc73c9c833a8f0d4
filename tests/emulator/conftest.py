"""The AWS engine over real sockets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.aws_engine import ministack_engine
from tests.support.clock import FakeClock
from tests.support.engines import Engine


@pytest.fixture
def engine(ministack: str, tmp_path: Path) -> Iterator[Engine]:
    """Open the engine over an empty table and empty queues."""
    with ministack_engine(ministack)(FakeClock(), tmp_path) as engine:
        yield engine
