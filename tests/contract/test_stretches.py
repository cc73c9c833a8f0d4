"""Stretches of slots that a catch-up rule left out: settled once, read latest first."""

from dataclasses import replace

from punctual.core.runs import HISTORY_KEPT
from tests.support.builders import DAY, HOUR, MINUTE, TICK, a_job_key, a_stretch
from tests.support.clock import NINE
from tests.support.engines import Engine

JOB = a_job_key()


def test_stretches_are_read_latest_first_and_by_life(engine: Engine) -> None:
    stretches = [a_stretch(NINE + n * HOUR, count=n + 2, reason="catch_up") for n in range(3)]
    other_life = a_stretch(incarnation=2)
    entries = [(JOB, stretch) for stretch in (*stretches, other_life)]
    entries += [(a_job_key("report2"), a_stretch(NINE + DAY))]

    assert engine.runs.put_stretches(entries) == [True] * 5

    assert engine.runs.stretches(JOB, incarnation=1) == stretches[::-1]
    assert engine.runs.stretches(JOB, incarnation=2) == [other_life]
    assert engine.runs.stretches(JOB, incarnation=3) == []


def test_stretches_of_two_schedules_stand_side_by_side(engine: Engine) -> None:
    """A visit that has not heard of an edit keeps no other from recording what it leaves out."""
    earlier, later = a_stretch(count=10), a_stretch(count=20, schedule_revision=2)

    assert engine.runs.put_stretches([(JOB, earlier)]) == [True]
    assert engine.runs.put_stretches([(JOB, later)]) == [True]

    found = engine.runs.stretches(JOB, incarnation=1)
    assert sorted(each.schedule_revision for each in found) == [1, 2]


def test_a_stretch_that_stands_stays_as_it_is(engine: Engine) -> None:
    first = a_stretch(count=10)
    assert engine.runs.put_stretches([(JOB, first)]) == [True]

    longer, later = a_stretch(count=20), a_stretch(NINE + HOUR)

    assert engine.runs.put_stretches([(JOB, longer), (JOB, later)]) == [False, True]
    assert engine.runs.put_stretches([(JOB, first)]) == [True], "the same again is no other"
    assert engine.runs.stretches(JOB, incarnation=1) == [later, first]


def test_the_same_again_stands_though_its_time_is_counted_anew(engine: Engine) -> None:
    stretch = a_stretch()
    engine.runs.put_stretches([(JOB, stretch)])
    engine.clock.advance(DAY)

    assert engine.runs.put_stretches([(JOB, stretch)]) == [True]


def test_a_stretch_is_kept_as_long_as_the_runs_it_stands_for(engine: Engine) -> None:
    stretch = a_stretch(count=2)
    coming = replace(stretch, since=NINE + DAY, until=NINE + 2 * DAY)
    engine.runs.put_stretches([(JOB, stretch), (JOB, coming)])

    engine.clock.set(NINE + MINUTE + HISTORY_KEPT - TICK)
    assert engine.runs.stretches(JOB, incarnation=1) == [coming, stretch]

    engine.clock.advance(TICK)
    assert engine.runs.stretches(JOB, incarnation=1) == [coming]

    engine.clock.set(NINE + 2 * DAY + HISTORY_KEPT)
    assert engine.runs.stretches(JOB, incarnation=1) == []


def test_the_latest_hundred_are_read(engine: Engine) -> None:
    stretches = [a_stretch(NINE + n * HOUR) for n in range(110)]
    engine.runs.put_stretches([(JOB, stretch) for stretch in stretches])

    assert engine.runs.stretches(JOB, incarnation=1) == stretches[:-101:-1]


def test_what_is_announced_leaves_nothing_out_until_it_is_settled(engine: Engine) -> None:
    announced = a_stretch(announced_by="visit")
    assert engine.runs.put_stretches([(JOB, announced)]) == [True]

    (found,) = engine.runs.stretches(JOB, incarnation=1)
    assert found == announced
    assert not found.holds(NINE)

    assert engine.runs.settle_stretches([(JOB, announced)]) == [True]
    (found,) = engine.runs.stretches(JOB, incarnation=1)
    assert found == a_stretch()
    assert found.holds(NINE)


def test_what_was_withdrawn_is_never_settled(engine: Engine) -> None:
    """Also where the request to settle it arrives long after, and another visit was there."""
    announced, again = a_stretch(announced_by="visit"), a_stretch(announced_by="another")
    engine.runs.put_stretches([(JOB, announced)])

    assert engine.runs.withdraw_stretches([(JOB, announced)]) == [True]
    assert engine.runs.withdraw_stretches([(JOB, announced)]) == [True], "gone is gone"
    assert engine.runs.settle_stretches([(JOB, announced)]) == [False]
    assert engine.runs.stretches(JOB, incarnation=1) == []

    assert engine.runs.put_stretches([(JOB, again)]) == [True]
    assert engine.runs.settle_stretches([(JOB, announced)]) == [False]
    assert engine.runs.stretches(JOB, incarnation=1) == [again]


def test_what_is_settled_is_not_withdrawn(engine: Engine) -> None:
    announced, later = (a_stretch(NINE + n * DAY, announced_by="visit") for n in range(2))
    engine.runs.put_stretches([(JOB, announced), (JOB, later)])
    engine.runs.settle_stretches([(JOB, announced)])

    assert engine.runs.withdraw_stretches([(JOB, announced), (JOB, later)]) == [False, True]
    assert engine.runs.stretches(JOB, incarnation=1) == [a_stretch()]


def test_one_announcement_stands_at_a_time(engine: Engine) -> None:
    announced, again = a_stretch(announced_by="visit"), a_stretch(announced_by="another")
    engine.runs.put_stretches([(JOB, announced)])

    assert engine.runs.put_stretches([(JOB, again)]) == [False]
    assert engine.runs.stretches(JOB, incarnation=1) == [announced]
