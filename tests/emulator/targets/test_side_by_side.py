"""Many calls at once: launched, collected, closed and waited for from any thread."""

import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic

import pytest

from punctual.adapters.targets import connections
from punctual.adapters.targets.http import HttpTargets
from punctual.core.calls import Answer, CallError, ErrorType
from tests.emulator.targets.conftest import OpenTargets
from tests.support.builders import SECOND
from tests.support.calls import a_call, answer_to, answers_to, collect_all
from tests.support.certificates import Authority
from tests.support.sinks import Gate, Sink, after, answer, hang, sink

pytestmark = pytest.mark.emulator

ABORTED = Answer(error=CallError(type=ErrorType.ABORTED, message="the call was closed by Punctual"))
A_MOMENT = timedelta(milliseconds=50)


def test_a_thousand_calls_go_on_at_once_and_each_is_made_once(
    targets: HttpTargets, target: Sink
) -> None:
    gate = Gate()
    target.behaviour = gate.before(answer())
    calls = [a_call(f"{target.url}/{number}") for number in range(1000)]

    targets.launch(calls)
    target.wait_for(1000)
    gate.open()
    answers = collect_all(targets, calls)

    assert [given.status_code for given in answers] == [200] * 1000
    paths = Counter(request.target for request in target.requests)
    assert paths == {f"/{number}": 1 for number in range(1000)}
    assert len({request.connection for request in target.requests}) == 1000


def test_equal_calls_are_two_calls(targets: HttpTargets, target: Sink) -> None:
    first, second = a_call(target.url), a_call(target.url)
    assert first == second

    answers_to(targets, [first, second])

    assert len(target.requests) == 2


def test_a_slow_call_does_not_hold_up_the_others(targets: HttpTargets, target: Sink) -> None:
    gate = Gate()
    slow = a_call(target.url)
    target.behaviour = gate.before(answer(201))
    targets.launch([slow])
    target.wait_for(1)
    target.behaviour = answer()

    assert answer_to(targets, a_call(target.url)).status_code == 200
    gate.open()
    assert collect_all(targets, [slow])[0].status_code == 201


def test_answers_that_come_together_are_collected_together(
    targets: HttpTargets, target: Sink
) -> None:
    """Each of them alone would cost the store a write of its own."""
    gate = Gate()
    target.behaviour = gate.before(answer())
    calls = [a_call(target.url) for _ in range(100)]
    targets.launch(calls)
    target.wait_for(100)
    gate.open()

    batches = 0
    answered = 0
    while answered < 100:
        answered += len(targets.collect(wait=20 * SECOND))
        batches += 1

    assert answered == 100
    assert batches < 50


def test_collect_waits_no_longer_than_it_is_told_to(targets: HttpTargets, target: Sink) -> None:
    target.behaviour = hang
    call = a_call(target.url)
    targets.launch([call])
    began = monotonic()

    assert targets.collect(wait=A_MOMENT) == []
    assert targets.collect(wait=timedelta(0)) == []
    assert targets.collect(wait=-SECOND) == []

    assert A_MOMENT.total_seconds() <= monotonic() - began < 5


def test_an_answer_makes_collect_return_before_its_time(targets: HttpTargets, target: Sink) -> None:
    target.behaviour = after(0.05, answer())
    began = monotonic()

    assert answer_to(targets, a_call(target.url)).status_code == 200

    assert monotonic() - began < 5


def test_wake_makes_the_collect_that_waits_return(targets: HttpTargets) -> None:
    with ThreadPoolExecutor(1) as pool:
        began = monotonic()
        waiting = pool.submit(targets.collect, wait=20 * SECOND)
        targets.wake()

        assert waiting.result(timeout=10) == []
    assert monotonic() - began < 10


def test_a_wake_that_finds_nobody_waiting_is_not_lost(targets: HttpTargets) -> None:
    """Whoever had something to say did so just before the wait began."""
    targets.wake()
    targets.wake()
    began = monotonic()

    assert targets.collect(wait=20 * SECOND) == []
    assert monotonic() - began < 10

    assert targets.collect(wait=A_MOMENT) == []
    assert monotonic() - began >= A_MOMENT.total_seconds(), "both were one wake"


def test_calls_may_be_launched_from_many_threads(targets: HttpTargets, target: Sink) -> None:
    batches = [[a_call(f"{target.url}/{n}") for n in range(25)] for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(targets.launch, batches))
    answers = collect_all(targets, [call for batch in batches for call in batch])

    assert {given.status_code for given in answers} == {200}
    assert len(target.requests) == 200


def test_a_call_that_is_aborted_ends_at_once_and_its_connection_with_it(
    targets: HttpTargets, target: Sink
) -> None:
    target.behaviour = hang
    call = a_call(target.url)
    targets.launch([call])
    target.wait_for(1)
    began = monotonic()

    targets.abort(call)

    assert collect_all(targets, [call]) == [ABORTED]
    assert monotonic() - began < 5
    target.wait_for_closed(1)


def test_a_call_that_is_aborted_before_it_began_ends_too(
    targets: HttpTargets, target: Sink
) -> None:
    target.behaviour = hang
    calls = [a_call(target.url) for _ in range(50)]

    targets.launch(calls)
    for call in calls:
        targets.abort(call)

    assert collect_all(targets, calls) == [ABORTED] * 50


def test_an_answer_that_came_first_stands(targets: HttpTargets, target: Sink) -> None:
    call = a_call(target.url)
    targets.launch([call])
    target.wait_for(1)
    answers = collect_all(targets, [call])

    targets.abort(call)

    assert answers[0].status_code == 200
    assert targets.collect(wait=A_MOMENT) == []


def test_one_call_is_aborted_and_its_equals_are_not(targets: HttpTargets, target: Sink) -> None:
    gate = Gate()
    target.behaviour = gate.before(answer())
    first, second = a_call(target.url), a_call(target.url)
    targets.launch([first, second])
    target.wait_for(2)

    targets.abort(first)
    gate.open()

    aborted, answered = collect_all(targets, [first, second])
    assert aborted == ABORTED
    assert answered.status_code == 200


def test_an_abort_that_races_the_answer_leaves_one_of_the_two(
    targets: HttpTargets, target: Sink
) -> None:
    """Two hundred calls are aborted while their answers arrive, at some moment or other."""
    dice = random.Random(7)
    calls = [a_call(target.url) for _ in range(200)]
    target.behaviour = after(0.02, answer())
    targets.launch(calls)
    target.wait_for(100)
    for call in dice.sample(calls, k=len(calls)):
        targets.abort(call)

    answers = collect_all(targets, calls)

    kinds = Counter("aborted" if given == ABORTED else given.status_code for given in answers)
    assert kinds["aborted"] + kinds[200] == 200
    assert targets.collect(wait=A_MOMENT) == []
    assert answer_to(targets, a_call(target.url)).status_code == 200, "nothing is left behind"


@pytest.mark.parametrize("calls", [0, 200])
def test_close_ends_everything_within_a_second(
    open_targets: OpenTargets, target: Sink, calls: int
) -> None:
    target.behaviour = hang
    targets = open_targets()
    targets.launch([a_call(target.url) for _ in range(calls)])
    target.wait_for(calls)
    began = monotonic()

    targets.close()

    assert monotonic() - began < 1.5
    assert "targets" not in {thread.name for thread in threading.enumerate()}
    target.wait_for_closed(calls)


@contextmanager
def a_target_that_takes_nothing_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Listen, but read nothing; and let the network hold less than a request."""
    small = (*connections._OPTIONS, (socket.SOL_SOCKET, "SO_SNDBUF", 4096))
    monkeypatch.setattr(connections, "_OPTIONS", small)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        yield listener


@pytest.mark.parametrize("how", ["abort", "deadline", "close"])
def test_no_connection_is_left_that_a_target_keeps_from_being_closed(
    open_targets: OpenTargets, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Closed in good order, it would wait for the target to take in the rest of the request."""
    targets = open_targets()
    with a_target_that_takes_nothing_in(monkeypatch) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        timeout = timedelta(seconds=0.2 if how == "deadline" else 20)
        call = a_call(url, body=b"x" * 900_000, timeout=timeout)
        targets.launch([call])
        accepted, _ = listener.accept()
        with accepted:
            accepted.settimeout(10)
            if how == "abort":
                targets.abort(call)
            if how == "close":
                targets.close()
            assert collect_all(targets, [call])[0].error is not None

            received = 0
            while chunk := accepted.recv(2**16):
                received += len(chunk)
            assert received < 900_000, "nothing was sent after the end"


def test_a_target_that_does_not_agree_to_the_end_of_tls_is_left_all_the_same(
    open_targets: OpenTargets,
) -> None:
    authority = Authority()
    targets = open_targets(tls=authority.client())
    gate = Gate()
    with sink(gate.before(answer()), tls=authority.server("127.0.0.1")) as target:
        call = a_call(target.url)
        targets.launch([call])
        target.wait_for(1)

        targets.abort(call)

        assert collect_all(targets, [call]) == [ABORTED]
        gate.open()
        target.wait_for_closed(1)


def test_close_does_not_wait_for_a_name_server(open_targets: OpenTargets) -> None:
    asked, answered = threading.Event(), threading.Event()

    def look_up(host: str) -> list[str]:
        asked.set()
        answered.wait(20)
        return ["127.0.0.1"]

    targets = open_targets(look_up=look_up)
    targets.launch([a_call("http://slow.test/")])
    assert asked.wait(10)
    began = monotonic()

    targets.close()
    answered.set()

    assert monotonic() - began < 1.5


def test_calls_that_end_with_close_are_still_collected(
    open_targets: OpenTargets, target: Sink
) -> None:
    target.behaviour = hang
    targets = open_targets()
    call = a_call(target.url)
    targets.launch([call])
    target.wait_for(1)

    targets.close()

    assert collect_all(targets, [call]) == [ABORTED]


def test_a_host_that_hangs_leaves_room_for_the_others(
    open_targets: OpenTargets, target: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 8)
    targets = open_targets()
    target.behaviour = hang
    stuck = [a_call(target.url) for _ in range(50)]
    targets.launch(stuck)
    target.wait_for(2)
    with sink() as healthy:
        answers = answers_to(targets, [a_call(healthy.url) for _ in range(50)])

        assert {given.status_code for given in answers} == {200}
        assert len({request.connection for request in healthy.requests}) == 2
    assert len(target.requests) == 2, "its share of the connections"


def test_what_waits_for_a_connection_has_sent_nothing_when_its_time_is_over(
    open_targets: OpenTargets, target: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 4)
    targets = open_targets()
    target.behaviour = hang
    first = a_call(target.url)
    targets.launch([first])
    target.wait_for(1)

    waited = answer_to(targets, a_call(target.url, timeout=timedelta(milliseconds=100)))

    assert waited.error is not None
    assert waited.error.type == ErrorType.TIMEOUT
    assert len(target.requests) == 1


@pytest.mark.parametrize("act", ["launch", "abort"])
def test_nothing_is_called_once_all_is_closed(
    open_targets: OpenTargets, target: Sink, act: str
) -> None:
    targets = open_targets()
    assert answer_to(targets, a_call(target.url)).status_code == 200
    targets.close()
    call = a_call(target.url)
    acts: dict[str, Callable[[], None]] = {
        "launch": lambda: targets.launch([call]),
        "abort": lambda: targets.abort(call),
    }

    with pytest.raises(RuntimeError):
        acts[act]()

    assert len(target.requests) == 1
