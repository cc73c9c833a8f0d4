"""The thread that starts each run at its instant and settles what ends."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from punctual.core.calls import Answer
from punctual.core.runs import RunState
from punctual.local import executor
from punctual.local.executor import GLANCE, MOMENT, ExecutorThread
from tests.support.builders import MINUTE, SECOND, TICK
from tests.support.clock import NINE
from tests.unit.local.parts import PATIENCE, Parts, parts

OK = Answer(status_code=200, body=b"ok", body_bytes=2)


@pytest.fixture
def host() -> Iterator[Parts]:
    with parts() as made:
        yield made


@pytest.fixture
def thread(host: Parts) -> Iterator[ExecutorThread]:
    """An executor that was not started; stopped at the end, whatever it did."""
    made = ExecutorThread(
        execute=host.execute,
        queue=host.engine.queue,
        clock=host.clock,
        terminal=host.terminal,
        failed=host.faults.append,
    )
    yield made
    if made.is_alive():
        stop(made, host)


def stop(thread: ExecutorThread, host: Parts) -> None:
    thread.drain(until=host.clock.now())
    host.targets.wake()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_run_starts_at_its_slot_and_never_before(host: Parts, thread: ExecutorThread) -> None:
    key = host.create("report", at=NINE + SECOND)
    thread.start()

    for left, wait in ((500 * TICK, 499 * TICK), (TICK, MOMENT)):
        host.clock.set(NINE + SECOND - left)
        host.targets.wake()
        host.targets.wait_until_it_waits(wait)
    assert host.targets.launched == []
    host.clock.set(NINE + SECOND)
    host.targets.wake()
    (call,) = host.targets.wait_for_calls(1)

    assert call.run_id == key.run_id
    assert host.run(key).starts == (NINE + SECOND,)


def test_what_ends_is_recorded_and_told_in_a_line(host: Parts, thread: ExecutorThread) -> None:
    key = host.create("report", at=NINE)
    thread.start()
    (call,) = host.targets.wait_for_calls(1)

    host.clock.advance(12 * TICK)
    host.targets.answer(call, OK)
    stop(thread, host)

    assert host.run(key).state is RunState.SUCCEEDED
    assert host.lines() == [
        "09:00:00.012 report.20261201T090000Z succeeded 200 in 12 ms, 0 ms late"
    ]


def test_it_waits_to_the_millisecond_but_looks_at_the_clock_every_second(
    host: Parts, thread: ExecutorThread
) -> None:
    """A clock that was set, or a machine that slept, keeps no run waiting for longer."""
    host.create("soon", at=NINE + 250 * TICK)
    thread.start()
    host.targets.wait_until_it_waits(249 * TICK)

    host.clock.set(NINE - MINUTE)
    host.targets.wake()

    host.targets.wait_until_it_waits(GLANCE)


def test_a_job_that_comes_with_a_nearer_slot_wakes_it(host: Parts, thread: ExecutorThread) -> None:
    host.create("later", at=NINE + MINUTE)
    thread.start()
    host.targets.wait_until(lambda: len(host.targets.waits) > 0)

    key = host.create("now", at=NINE)

    assert host.targets.wait_for_calls(1)[0].run_id == key.run_id


def test_a_stop_lets_what_is_going_on_end_and_starts_nothing_more(
    host: Parts, thread: ExecutorThread
) -> None:
    going_on = host.create("going-on", at=NINE)
    thread.start()
    (call,) = host.targets.wait_for_calls(1)

    thread.drain(until=NINE + MINUTE)
    waiting = host.create("waiting", at=NINE)
    host.targets.answer(call, OK)
    thread.join(PATIENCE)

    assert not thread.is_alive()
    assert host.run(going_on).state is RunState.SUCCEEDED
    assert host.run(waiting).state is RunState.QUEUED
    assert host.faults == []


def test_a_stop_does_not_wait_for_ever(host: Parts, thread: ExecutorThread) -> None:
    key = host.create("hangs", at=NINE)
    thread.start()
    host.targets.wait_for_calls(1)

    thread.drain(until=NINE + 8 * SECOND)
    host.clock.advance(8 * SECOND)
    host.targets.wake()
    thread.join(PATIENCE)

    assert not thread.is_alive()
    assert thread.busy == 1
    assert host.run(key).state is RunState.RUNNING


def test_a_fault_is_handed_to_the_one_who_can_stop_the_host(
    host: Parts, thread: ExecutorThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(**_: object) -> None:
        raise RuntimeError("the thread that calls targets has died")

    monkeypatch.setattr(host.targets, "collect", break_down)

    thread.start()
    thread.join(PATIENCE)

    assert [str(fault) for fault in host.faults] == ["the thread that calls targets has died"]


def test_no_more_calls_are_held_than_it_can_hold(
    host: Parts, thread: ExecutorThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is due beyond them waits in the queue, and starts as others end."""
    monkeypatch.setattr(executor, "HELD_MAX", 3)
    for number in range(5):
        host.create(f"job-{number}", at=NINE)

    thread.start()
    calls = host.targets.wait_for_calls(3)
    host.targets.wait_until_it_waits(GLANCE)
    assert len(host.targets.launched) == 3
    host.targets.answer(calls[0], OK)

    assert len(host.targets.wait_for_calls(4)) == 4
    assert all(wait <= timedelta(seconds=1) for wait in host.targets.waits)
