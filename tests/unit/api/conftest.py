"""The API over the engine in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api_client import ApiClient
from tests.support.apis import an_app
from tests.support.clock import FakeClock
from tests.support.embedded_engine import memory_engine
from tests.support.engines import Engine

ACCOUNT = "111122223333"
"""Who asks, where nothing else is said."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(clock: FakeClock, tmp_path: Path) -> Iterator[Engine]:
    with memory_engine(clock, tmp_path) as engine:
        yield engine


@pytest.fixture
def api(engine: Engine) -> ApiClient:
    """Return the API of the cloud, asked by an AWS account."""
    return ApiClient(app=an_app(engine)).for_account(ACCOUNT)
