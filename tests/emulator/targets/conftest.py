"""HTTP targets and what they call, over real sockets of the loopback interface."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
import uvloop

from punctual.adapters.targets.http import HttpTargets
from tests.support.keeping import http_targets
from tests.support.sinks import Sink, sink

OpenTargets = Callable[..., HttpTargets]

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
"""The event loop in the cloud, and the one on one machine."""


@pytest.fixture(params=sorted(LOOPS))
def open_targets(request: pytest.FixtureRequest) -> Iterator[OpenTargets]:
    """Return what makes targets on one kind of loop; each is closed with the test."""
    with ExitStack() as opened:

        def open_one(**options: Any) -> HttpTargets:
            options = {"new_loop": LOOPS[request.param]} | options
            return opened.enter_context(closing(http_targets(**options)))

        yield open_one


@pytest.fixture
def targets(open_targets: OpenTargets) -> HttpTargets:
    """Return targets that may call this machine."""
    return open_targets()


@pytest.fixture
def target() -> Iterator[Sink]:
    """Run what is called."""
    with sink() as running:
        yield running
