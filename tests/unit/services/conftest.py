"""One deployment of the services, over the embedded engine in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployment import Deployment, a_deployment


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Deployment]:
    with a_deployment(tmp_path) as deployment:
        yield deployment
