"""Jobs that stand in the middle of their lives: nothing of theirs is due that nobody holds."""

from datetime import timedelta
from random import Random

import pytest

from benchmarks.scale.jobs import Kind, standing_jobs
from punctual.adapters.dynamodb.items import due_job_from_item, run_from_item
from punctual.core.dispatch import LOOK_AHEAD
from punctual.core.instants import epoch_ms
from tests.support.clock import NINE

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)

NEVER = NINE + timedelta(days=1)

PERIODS = (SECOND, 10 * SECOND, MINUTE, 5 * MINUTE, 60 * MINUTE)


def every(period: timedelta, *, count: int = 40) -> Kind:
    return Kind(name="k", count=count, period=period, within=period)


@pytest.mark.parametrize("period", PERIODS)
def test_what_is_before_the_pointer_was_handed_over_and_nothing_else(period: timedelta) -> None:
    for job in standing_jobs([every(period)], now=NINE, until=NEVER, chance=Random(1)):
        pointer = due_job_from_item(job.items[0]).next_slot
        assert pointer is not None
        slots = [run_from_item(run.row).scheduled_at for run in job.handed_over]

        assert slots == [pointer - period * n for n in range(len(slots), 0, -1)]
        assert all(slot >= NINE for slot in slots)
        # The tick of a minute ago has left nothing that the next one would be late for.
        assert pointer > NINE + LOOK_AHEAD - MINUTE


@pytest.mark.parametrize("period", PERIODS)
def test_messages_come_less_than_a_second_before_their_slots(period: timedelta) -> None:
    for job in standing_jobs([every(period)], now=NINE, until=NEVER, chance=Random(1)):
        for run in job.handed_over:
            ahead = epoch_ms(run_from_item(run.row).scheduled_at) - run.visible_at
            assert 0 <= ahead < 1000


def test_what_was_handed_over_for_later_than_the_end_is_left_out() -> None:
    until = NINE + 90 * SECOND
    jobs = list(standing_jobs([every(MINUTE)], now=NINE, until=until, chance=Random(1)))

    slots = [run_from_item(run.row).scheduled_at for job in jobs for run in job.handed_over]
    assert slots
    assert max(slots) <= until
    pointers = [due_job_from_item(job.items[0]).next_slot for job in jobs]
    assert max(pointer for pointer in pointers if pointer) > until + MINUTE


def test_as_many_runs_are_expected_as_there_are_slots() -> None:
    kind = every(10 * SECOND, count=30)
    assert kind.slots_between(2 * MINUTE, 3 * MINUTE) == 30 * 6

    once = Kind(name="o", count=3600, period=None, within=60 * MINUTE)
    assert once.slots_between(2 * MINUTE, 3 * MINUTE) == 60

    wall = Kind(name="w", count=7, period=60 * MINUTE, first=5 * MINUTE, within=timedelta(0))
    assert wall.slots_between(5 * MINUTE, 5 * MINUTE + SECOND) == 7
    assert wall.slots_between(timedelta(0), 5 * MINUTE) == 0


def test_jobs_that_run_once_are_left_out_where_nobody_gets_to_see_them() -> None:
    once = Kind(name="o", count=3600, period=None, within=60 * MINUTE)

    fewer = once.before(10 * MINUTE)

    assert fewer.count == 600
    assert fewer.slots_between(timedelta(0), 10 * MINUTE) == 600
    assert every(MINUTE).before(SECOND) == every(MINUTE)
