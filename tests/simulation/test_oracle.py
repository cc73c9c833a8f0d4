"""The oracle of owed slots: what must be accounted for, and what may be."""

from tests.simulation.oracle import Life, Owed, Period, Window, owed

SECOND = 1000

HOUR = 3600 * SECOND


def every_ten_seconds(*, since: Window, max_runs: int | None = None) -> Period:
    schedule = {"every_seconds": 10, "start_at": "1970-01-01T00:00:00Z", "max_runs": max_runs}
    return Period(schedule=schedule, since=since, anchor=0)


def slots(*seconds: int) -> frozenset[int]:
    return frozenset(second * SECOND for second in seconds)


def within(low: int, high: int) -> Window:
    return Window(low=low * SECOND, high=high * SECOND)


def test_slots_within_the_window_of_a_create_may_be_and_later_ones_must() -> None:
    life = Life(periods=[every_ten_seconds(since=within(15, 25))])

    found = owed(life, until=40 * SECOND)

    assert found == Owed(must=slots(30, 40), may=slots(20))


def test_which_slots_are_the_first_few_depends_on_those_that_may_be_none() -> None:
    """If 20 is a slot, the first two are 20 and 30; if it is none, they are 30 and 40."""
    life = Life(periods=[every_ten_seconds(since=within(15, 25), max_runs=2)])

    found = owed(life, until=HOUR)

    assert found == Owed(must=slots(30), may=slots(20, 40))


def test_a_slot_is_not_owed_for_sure_where_doubtful_ones_may_take_its_place() -> None:
    life = Life(periods=[every_ten_seconds(since=within(5, 45), max_runs=2)])

    found = owed(life, until=HOUR)

    assert found == Owed(must=frozenset(), may=slots(10, 20, 30, 40, 50, 60))


def test_nothing_is_owed_beyond_the_last_of_a_known_few() -> None:
    life = Life(periods=[every_ten_seconds(since=within(15, 15), max_runs=3)])

    found = owed(life, until=HOUR)

    assert found == Owed(must=slots(20, 30, 40), may=frozenset())


def test_slots_up_to_an_edit_are_the_old_schedules_and_later_ones_the_new_ones() -> None:
    """Within the window of the edit either schedule may name them."""
    old = every_ten_seconds(since=within(5, 5))
    new = Period(
        schedule={"every_seconds": 15, "start_at": "1970-01-01T00:00:00Z"},
        since=within(25, 35),
        anchor=0,
    )

    found = owed(Life(periods=[old, new]), until=60 * SECOND)

    assert found == Owed(must=slots(10, 20, 30, 45, 60), may=frozenset())


def test_a_paused_job_owes_what_lay_before_its_pause() -> None:
    life = Life(periods=[every_ten_seconds(since=within(5, 5))], pauses=[(within(25, 35), None)])

    found = owed(life, until=HOUR)

    assert found == Owed(must=slots(10, 20), may=slots(30))


def test_a_deleted_job_owes_nothing_for_sure() -> None:
    life = Life(periods=[every_ten_seconds(since=within(5, 5))], deleted=within(25, 35))

    found = owed(life, until=HOUR)

    assert found == Owed(must=frozenset(), may=slots(10, 20, 30))
