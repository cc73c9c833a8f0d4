"""Connections are kept for a moment, and never at the price of a second request."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from punctual.adapters.targets import connections
from punctual.adapters.targets.http import HttpTargets
from punctual.core.calls import Answer, CallError, ErrorType
from tests.emulator.targets.conftest import LOOPS, OpenTargets
from tests.support.calls import a_call, answer_to, answers_to
from tests.support.sinks import (
    ROOT,
    Behaviour,
    Gate,
    Peer,
    Request,
    Sink,
    answer,
    close,
    drop,
    head,
    in_turn,
    raw,
    sink,
)

pytestmark = pytest.mark.emulator

BROKE = Answer(
    error=CallError(type=ErrorType.CONNECTION, message="the connection broke before an answer came")
)
METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]


def closed_after(first: Behaviour, gate: Gate) -> Behaviour:
    """Keep the connection after an answer until the gate opens, and then close it."""

    async def act(request: Request, peer: Peer) -> None:
        await first(request, peer)
        await gate.before(close)(request, peer)

    return act


def test_one_connection_serves_one_call_after_the_other(targets: HttpTargets, target: Sink) -> None:
    for _ in range(5):
        assert answer_to(targets, a_call(target.url)).status_code == 200

    assert {request.connection for request in target.requests} == {1}


def test_connections_of_calls_side_by_side_serve_those_that_follow(
    targets: HttpTargets, target: Sink
) -> None:
    for _ in range(5):
        answers_to(targets, [a_call(target.url) for _ in range(20)])

    assert len(target.requests) == 100
    assert {request.connection for request in target.requests} <= set(range(1, 21))


def test_a_connection_is_not_kept_for_long(
    open_targets: OpenTargets, target: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers drop idle connections when they like; a call sent just then would be lost."""
    assert connections.IDLE_MAX < 2, "as soon as the first servers do"
    monkeypatch.setattr(connections, "IDLE_MAX", 0.02)
    targets = open_targets()
    answer_to(targets, a_call(target.url))

    target.wait_for_closed(1)

    assert answer_to(targets, a_call(target.url)).status_code == 200
    assert [request.connection for request in target.requests] == [1, 2]


@pytest.mark.parametrize(
    "last_words",
    [
        pytest.param((("Connection", "close"),), id="it says so"),
        pytest.param((), id="it does not say so"),
    ],
)
def test_a_connection_that_the_target_closes_carries_no_further_call(
    targets: HttpTargets, target: Sink, last_words: tuple[tuple[str, str], ...]
) -> None:
    gate = Gate()
    target.behaviour = closed_after(answer(200, b"ok", *last_words), gate)
    answer_to(targets, a_call(target.url))
    gate.open()
    target.wait_for_closed(1)
    target.behaviour = answer()

    assert answer_to(targets, a_call(target.url)).status_code == 200

    assert [request.connection for request in target.requests] == [1, 2]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("breaks", [drop, close, raw(b"HTTP/1.1 2")])
@pytest.mark.parametrize("kept", [False, True], ids=["a new connection", "a kept connection"])
def test_a_request_is_sent_once_even_where_its_connection_breaks(
    targets: HttpTargets, target: Sink, method: str, breaks: Behaviour, kept: bool
) -> None:
    """The target may have acted on it, and knows a second one only by the number of its attempt."""
    call = a_call(target.url, method=method)
    before = 0
    if kept:
        target.behaviour = raw(head(200, ("Content-Length", "0")), close=False)
        assert answer_to(targets, call).status_code == 200
        before = 1
    target.behaviour = in_turn(breaks, answer())

    assert answer_to(targets, call) == BROKE

    assert len(target.requests) == before + 1
    assert target.requests[-1].connection == 1


def test_what_comes_unasked_is_not_taken_for_the_next_answer(
    targets: HttpTargets, target: Sink
) -> None:
    """Some servers say `408` to a connection that has been idle for too long."""
    unasked = head(408, ("Content-Length", "0"))
    target.behaviour = raw(head(200, ("Content-Length", "2")) + b"ok" + unasked, close=False)
    assert answer_to(targets, a_call(target.url)).status_code == 200
    target.behaviour = answer(201)

    assert answer_to(targets, a_call(target.url)).status_code == 201


def test_what_comes_unasked_later_is_not_taken_for_the_next_answer_either(
    targets: HttpTargets, target: Sink
) -> None:
    gate = Gate()
    told = asyncio.Event()

    async def act(request: Request, peer: Peer) -> None:
        await answer()(request, peer)
        await gate.before(raw(head(408, ("Content-Length", "0")), close=False))(request, peer)
        told.set()

    target.behaviour = act
    assert answer_to(targets, a_call(target.url)).status_code == 200
    with sink() as other:
        gate.open()
        while not told.is_set():
            # What was told has arrived once a later answer has, in the same loop.
            answer_to(targets, a_call(other.url))
        answer_to(targets, a_call(other.url))
    target.behaviour = answer(201)

    assert answer_to(targets, a_call(target.url)).status_code == 201


@contextmanager
def caller_process(loop: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a process that calls each URL it is told, and says what came of it."""
    command = [sys.executable, "-m", "tests.support.caller", loop]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def tell(process: "subprocess.Popen[str]", url: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{url}\n")


def heard(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("loop", sorted(LOOPS))
def test_a_process_that_was_frozen_does_not_trust_its_connections(loop: str, target: Sink) -> None:
    """So functions live: stopped between two calls, while the target gives up on them."""
    gate = Gate()
    target.behaviour = closed_after(answer(), gate)
    with caller_process(loop) as process:
        tell(process, f"{target.url}/before")
        assert heard(process) == "200"
        os.kill(process.pid, signal.SIGSTOP)
        gate.open()
        target.wait_for_closed(1)
        target.behaviour = answer(201)
        tell(process, f"{target.url}/after")
        os.kill(process.pid, signal.SIGCONT)

        assert heard(process) == "201"

    assert [request.target for request in target.requests] == ["/before", "/after"]
