"""HTTP targets and what they call, over real sockets of the loopback interface."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import pytest
import uvloop

from punctual.adapters.targets.here import TargetsHere
from punctual.adapters.targets.http import HttpTargets
from tests.support.keeping import http_targets, http_targets_here
from tests.support.sinks import Sink, sink

AnyTargets = HttpTargets | TargetsHere
OpenTargets = Callable[..., AnyTargets]

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
"""The event loop in the cloud, and the one on one machine."""

KINDS: dict[str, Callable[..., AnyTargets]] = {
    **{name: partial(http_targets, new_loop=loop) for name, loop in LOOPS.items()},
    "here": partial(http_targets_here, new_loop=uvloop.new_event_loop),
}
"""On each loop in a thread of its own, and on the thread of whoever collects: for tests that
collect before they look at what was called."""


@pytest.fixture(params=sorted(LOOPS))
def open_targets(request: pytest.FixtureRequest) -> Iterator[OpenTargets]:
    """Return what makes targets of one kind; each is closed with the test."""
    with ExitStack() as opened:

        def open_one(**options: Any) -> AnyTargets:
            return opened.enter_context(closing(KINDS[request.param](**options)))

        yield open_one


@pytest.fixture
def targets(open_targets: OpenTargets) -> AnyTargets:
    """Return targets that may call this machine."""
    return open_targets()


@pytest.fixture
def target() -> Iterator[Sink]:
    """Run what is called."""
    with sink() as running:
        yield running
