"""A host that is not there is soon left alone; one that answers, however badly, never is."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from punctual.adapters.targets import hosts
from punctual.core import breaker
from punctual.core.breaker import FAILURES, REST_MIN
from punctual.core.calls import Answer, ErrorType
from tests.emulator.targets.conftest import OpenTargets
from tests.support.calls import PATIENCE, a_call, answer_to, answers_to
from tests.support.sinks import Behaviour, Sink, answer, drop, endless, hang, sink

pytestmark = pytest.mark.emulator

SHORT = timedelta(milliseconds=500)


@contextmanager
def a_port() -> Iterator[int]:
    """Reserve a port at which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def kinds(answers: list[Answer]) -> list[str | None]:
    return [given.error.type if given.error else None for given in answers]


def test_a_host_without_connections_is_called_a_few_times_and_then_left_alone(
    open_targets: OpenTargets, target: Sink
) -> None:
    targets = open_targets()
    with a_port() as port:
        url = f"http://127.0.0.1:{port}/?key=s3cret"
        tried = [answer_to(targets, a_call(url)) for _ in range(FAILURES)]
        put_off = answer_to(targets, a_call(url))

    assert kinds(tried) == [ErrorType.CONNECTION] * FAILURES
    assert put_off.error is not None
    assert put_off.error.type == ErrorType.HOST_DOWN
    assert put_off.error.message == f"127.0.0.1:{port} takes no connections"
    assert put_off.again_in is not None
    assert timedelta(0) < put_off.again_in <= timedelta(seconds=REST_MIN)
    assert answer_to(targets, a_call(target.url)).status_code == 200


def test_of_a_thousand_calls_at_once_few_go_to_a_host_that_is_not_there(
    open_targets: OpenTargets,
) -> None:
    with a_port() as port:
        calls = [a_call(f"http://127.0.0.1:{port}/") for _ in range(1_000)]
        answers = answers_to(open_targets(), calls)

    assert kinds(answers).count(ErrorType.HOST_DOWN) > 800


def test_a_host_that_is_silent_is_left_alone_too(open_targets: OpenTargets, target: Sink) -> None:
    targets = open_targets()
    target.behaviour = hang
    calls = [a_call(target.url, timeout=SHORT) for _ in range(FAILURES)]

    assert kinds(answers_to(targets, calls)) == [ErrorType.TIMEOUT] * FAILURES
    assert kinds([answer_to(targets, a_call(target.url))]) == [ErrorType.HOST_DOWN]
    assert len(target.requests) <= FAILURES


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        pytest.param(answer(500), None, id="an error"),
        pytest.param(answer(503), None, id="too busy"),
        pytest.param(drop, ErrorType.CONNECTION, id="breaks off"),
        pytest.param(endless(b"drop", every=0.02), ErrorType.TIMEOUT, id="drips"),
    ],
)
def test_a_host_that_gives_any_sign_of_life_is_called_on_and_on(
    open_targets: OpenTargets, target: Sink, behaviour: Behaviour, kind: ErrorType | None
) -> None:
    """One path that answers 500, or crashes, says nothing of the others."""
    targets = open_targets()
    target.behaviour = behaviour

    timeout = SHORT if kind is ErrorType.TIMEOUT else PATIENCE
    answers = [answer_to(targets, a_call(target.url, timeout=timeout)) for _ in range(FAILURES + 1)]

    assert set(kinds(answers)) == {kind}
    assert len(target.requests) == FAILURES + 1


def test_a_host_that_is_back_is_found_by_one_call_and_called_by_all(
    open_targets: OpenTargets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "REST_MIN", 0.0)
    targets = open_targets()
    with sink() as gone:
        url = gone.url
    for _ in range(FAILURES):
        answer_to(targets, a_call(url))
    port = int(url.rsplit(":", 1)[1])

    with socket.create_server(("127.0.0.1", port)) as listener:
        probe = a_call(f"http://127.0.0.1:{port}/", timeout=timedelta(seconds=20))
        targets.launch([probe])
        connection, _ = listener.accept()
        others = answers_to(targets, [a_call(url) for _ in range(5)])
        connection.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        ((_, probed),) = targets.collect(wait=timedelta(seconds=20))
        targets.launch([a_call(url)])
        after, _ = listener.accept()
        after.close()
        connection.close()

    assert kinds(others) == [ErrorType.HOST_DOWN] * 5
    assert probed.status_code == 500


def test_no_more_hosts_are_remembered_than_fit(
    open_targets: OpenTargets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "REMEMBERED_MAX", 2)
    targets = open_targets()
    with a_port() as first, a_port() as second, a_port() as third:
        for port in (first, second, third):
            for _ in range(FAILURES):
                answer_to(targets, a_call(f"http://127.0.0.1:{port}/"))
        again = [answer_to(targets, a_call(f"http://127.0.0.1:{p}/")) for p in (third, first)]

    assert kinds(again) == [ErrorType.HOST_DOWN, ErrorType.CONNECTION]
