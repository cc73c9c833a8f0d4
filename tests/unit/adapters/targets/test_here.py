"""Calls on the thread of whoever collects: carried out meanwhile, collected together, ended."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from time import monotonic

import pytest
import uvloop

from punctual.adapters.targets.deadline import AWAY, Deadline
from punctual.adapters.targets.here import TargetsHere
from punctual.core.calls import Answer, Call, ErrorType, HttpCall
from tests.support.builders import SECOND
from tests.support.calls import a_call

LONG = 20 * SECOND
NOTHING = timedelta(0)

NewLoop = Callable[[], asyncio.AbstractEventLoop]


class Carrying:
    """Fills `Carrier`: answers a call once the seconds have passed that its URL ends with."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.closed = False

    async def carry(self, call: Call, *, deadline: float) -> Answer:  # noqa: ARG002 - the port
        """See `Carrier.carry`."""
        assert isinstance(call, HttpCall)
        self.threads.add(threading.get_ident())
        await asyncio.sleep(float(call.url.rpartition("/")[2]))
        return Answer(status_code=200)

    def leave(self) -> None:
        """See `Carrier.leave`."""

    async def close(self) -> None:
        """See `Carrier.close`."""
        self.closed = True


def a_call_of(seconds: float) -> HttpCall:
    return a_call(f"http://example.com/{seconds}")


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop])
def new_loop(request: pytest.FixtureRequest) -> NewLoop:
    """Make the loop of a machine with and without the faster one."""
    made: NewLoop = request.param
    return made


@pytest.fixture
def carrying() -> Carrying:
    return Carrying()


@pytest.fixture
def targets(carrying: Carrying, new_loop: NewLoop) -> Iterator[TargetsHere]:
    with closing(TargetsHere({HttpCall: lambda: carrying}, new_loop=new_loop)) as opened:
        yield opened


def test_calls_are_carried_out_by_the_thread_that_collects(
    targets: TargetsHere, carrying: Carrying
) -> None:
    call = a_call_of(0)
    targets.launch([call])
    assert not carrying.threads, "nothing happens behind its back"

    assert targets.collect(wait=LONG) == [(call, Answer(status_code=200))]

    assert carrying.threads == {threading.get_ident()}


def test_calls_that_end_together_are_collected_together(targets: TargetsHere) -> None:
    calls = [a_call_of(0) for _ in range(100)]
    slow = a_call_of(10)
    targets.launch([slow, *calls])

    answers = targets.collect(wait=LONG)

    assert [call for call, _ in answers] == calls


def test_a_wait_ends_in_its_time_though_calls_go_on(targets: TargetsHere) -> None:
    targets.launch([a_call_of(10)])
    began = monotonic()

    assert targets.collect(wait=timedelta(milliseconds=20)) == []
    assert targets.collect(wait=NOTHING) == []
    assert targets.collect(wait=-SECOND) == []

    assert 0.02 <= monotonic() - began < 5


def test_who_has_no_time_to_wait_gives_the_network_some(targets: TargetsHere) -> None:
    """Were more runs always due than were started, no call would ever get out."""
    targets.launch([a_call_of(0)])

    assert len(targets.collect(wait=NOTHING)) == 1


def test_another_thread_may_end_the_wait(targets: TargetsHere) -> None:
    began = monotonic()
    threading.Timer(0.05, targets.wake).start()

    assert targets.collect(wait=LONG) == []

    assert monotonic() - began < 10


def test_a_wake_before_the_wait_is_not_lost(targets: TargetsHere) -> None:
    targets.wake()
    began = monotonic()

    assert targets.collect(wait=LONG) == []

    assert monotonic() - began < 10


def test_a_wake_before_the_first_call_does_not_keep_it_from_being_made(
    targets: TargetsHere,
) -> None:
    targets.wake()

    targets.launch([a_call_of(0)])

    assert sum(len(targets.collect(wait=LONG)) for _ in range(2)) == 1


def test_a_call_that_is_aborted_ends_and_the_others_do_not(targets: TargetsHere) -> None:
    aborted, other = a_call_of(10), a_call_of(0.01)
    targets.launch([aborted, other])

    targets.abort(aborted)

    answers: dict[int, Answer] = {}
    while len(answers) < 2:
        answers |= {id(call): answer for call, answer in targets.collect(wait=LONG)}
    assert answers[id(other)].status_code == 200
    error = answers[id(aborted)].error
    assert error is not None
    assert error.type == ErrorType.ABORTED


def test_closing_ends_what_goes_on_and_may_be_followed_by_a_wake(
    new_loop: NewLoop, carrying: Carrying
) -> None:
    targets = TargetsHere({HttpCall: lambda: carrying}, new_loop=new_loop)
    targets.launch([a_call_of(10)])
    began = monotonic()

    targets.wake()
    targets.close()
    targets.wake()

    assert carrying.closed
    assert monotonic() - began < 5


def test_what_came_while_the_loop_was_away_counts(new_loop: NewLoop) -> None:
    """A commit that takes long must not make a call late whose answer is there already."""
    near, far = socket.socketpair()
    near.setblocking(False)

    async def story() -> bytes:
        loop = asyncio.get_running_loop()
        async with Deadline(loop.time() + 0.02):
            far.sendall(b"in time")
            time.sleep(0.02 + 2 * AWAY)
            return await loop.sock_recv(near, 100)

    with closing(near), closing(far), closing(new_loop()) as loop:
        assert loop.run_until_complete(story()) == b"in time"


def test_a_deadline_ends_what_is_not_over(new_loop: NewLoop) -> None:
    async def story() -> bool:
        deadline = Deadline(asyncio.get_running_loop().time() + 0.01)
        with pytest.raises(TimeoutError):
            async with deadline:
                await asyncio.sleep(60)
        await asyncio.sleep(0)  # the task itself goes on
        return deadline.expired

    with closing(new_loop()) as loop:
        assert loop.run_until_complete(story())


def test_a_deadline_that_is_not_reached_changes_nothing(new_loop: NewLoop) -> None:
    async def story() -> bool:
        deadline = Deadline(asyncio.get_running_loop().time() + 60)

        async def work() -> None:
            async with deadline:
                await asyncio.sleep(60)

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return deadline.expired

    with closing(new_loop()) as loop:
        assert not loop.run_until_complete(story())
