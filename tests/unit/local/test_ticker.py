"""The minute tick: at once, then each minute, whatever becomes of the clock."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from punctual.core.identity import JobKey
from punctual.local.ticker import PERIOD, TickerThread, is_due
from punctual.services.dispatch import Dispatched
from tests.support.builders import MINUTE, SECOND, TICK
from tests.support.clock import NINE
from tests.unit.local.parts import PATIENCE, Parts, parts


@pytest.fixture
def host() -> Iterator[Parts]:
    with parts() as made:
        yield made


def a_ticker(host: Parts, **instead: object) -> TickerThread:
    wired = {
        "dispatch": host.dispatch,
        "watch": host.watch,
        "sweep": host.engine.sweep,
        "clock": host.clock,
        "terminal": host.terminal,
        "failed": host.faults.append,
    }
    return TickerThread(**wired | instead)  # type: ignore[arg-type]


def test_a_tick_hands_over_what_is_due_within_the_window(host: Parts) -> None:
    key = host.create("later", at=NINE + timedelta(minutes=10))
    assert host.engine.queue.next_at() is None

    host.clock.advance(timedelta(minutes=8))
    a_ticker(host).tick()

    assert host.engine.queue.next_at() == key.slot


def test_a_tick_looks_again_at_a_run_that_the_queue_lost(host: Parts) -> None:
    key = host.create("lost", at=NINE)
    host.engine.queue.acknowledge(host.engine.queue.receive(now=NINE, limit=1))

    host.clock.advance(timedelta(minutes=16))
    a_ticker(host).tick()

    (message,) = host.engine.queue.receive(now=host.clock.now(), limit=10)
    assert message.key == key


def test_a_tick_goes_on_until_all_is_visited(host: Parts) -> None:
    """Its work comes in stretches, so that a stop need not wait for the end of it."""
    stretches = iter([Dispatched(finished=False), Dispatched(finished=False), Dispatched()])
    deadlines: list[datetime] = []

    def dispatch(_: object, *, deadline: datetime) -> Dispatched:
        deadlines.append(deadline)
        return next(stretches)

    a_ticker(host, dispatch=dispatch).tick()

    assert deadlines == [NINE + 2 * SECOND] * 3


def test_a_job_whose_slots_cannot_be_computed_is_told(host: Parts) -> None:
    parked = Dispatched(parked={JobKey("default", "broken"): "parked: no such zone"})

    a_ticker(host, dispatch=lambda *_, **__: replace(parked)).tick()

    assert host.lines() == ["broken is paused: parked: no such zone"]


def test_it_ticks_at_once_and_ends_when_stopped(host: Parts) -> None:
    ticker = a_ticker(host)
    ticker.start()
    while not host.engine.beats.beats():
        ticker.join(0.001)

    ticker.stop()
    ticker.join(PATIENCE)

    assert not ticker.is_alive()
    assert host.faults == []


def test_a_fault_is_handed_to_the_one_who_can_stop_the_host(host: Parts) -> None:
    def sweep(_: datetime) -> None:
        raise RuntimeError("the disk is full")

    ticker = a_ticker(host, sweep=sweep)
    ticker.start()
    ticker.join(PATIENCE)

    assert [str(fault) for fault in host.faults] == ["the disk is full"]


@pytest.mark.parametrize(
    ("passed", "due"),
    [
        (timedelta(0), False),
        (MINUTE - TICK, False),
        (PERIOD, True),
        (timedelta(hours=8), True),  # the machine slept
        (-TICK, True),  # the clock was set back
    ],
)
def test_a_tick_is_due_after_a_minute_or_when_the_clock_was_set_back(
    passed: timedelta, due: bool
) -> None:
    assert is_due(NINE + passed, last=NINE) is due
