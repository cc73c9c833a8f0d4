"""A host that is not there is left alone for a while; one that answers never is."""

from punctual.core.breaker import FAILURES, PROBE_MAX, REST_MAX, REST_MIN, WELL, WINDOW, Health


def down(at: float = 100.0) -> Health:
    """Return what is known of a host that found nobody so often, one second apart."""
    health = WELL
    for n in range(FAILURES):
        health = health.found_nobody(at - FAILURES + 1 + n)
    return health


def test_a_host_of_which_nothing_is_known_is_called() -> None:
    assert WELL.wait(0.0) is None
    assert WELL.calling(0.0) is WELL


def test_a_host_is_called_until_it_was_not_there_several_times_in_a_row() -> None:
    health = WELL
    for n in range(FAILURES - 1):
        health = health.found_nobody(float(n))
        assert health.wait(float(n)) is None

    assert health.found_nobody(5.0).wait(5.0) == REST_MIN


def test_failures_far_apart_are_no_row() -> None:
    health = WELL
    for n in range(3 * FAILURES):
        health = health.found_nobody(n * (WINDOW + 1))

        assert health.wait(n * (WINDOW + 1)) is None


def test_after_its_rest_one_call_finds_out_and_the_others_wait() -> None:
    rested = 100.0 + REST_MIN
    assert down().wait(rested - 1) == 1.0
    assert down().wait(rested) is None

    probed = down().calling(rested)

    assert probed.wait(rested + 1) == REST_MIN


def test_a_probe_that_finds_nobody_makes_the_rest_longer_up_to_a_bound() -> None:
    health, now, rests = down(), 100.0, []
    for _ in range(20):
        rest = health.wait(now)
        assert rest is not None
        rests.append(rest)
        now += rest
        health = health.calling(now).found_nobody(now)

    assert rests[:4] == [REST_MIN, 2 * REST_MIN, 4 * REST_MIN, REST_MAX]
    assert max(rests) == REST_MAX


def test_a_probe_that_never_tells_anything_is_followed_by_another() -> None:
    probed = down().calling(200.0)

    assert probed.wait(200.0 + PROBE_MAX - 1) == REST_MIN
    assert probed.wait(200.0 + PROBE_MAX) is None


def test_calls_that_went_before_do_not_count_against_it_again() -> None:
    """A thousand calls that hang end together, long after the first of them told enough."""
    late = down()
    for n in range(1000):
        late = late.found_nobody(101.0 + n / 1000)

    assert late == down()


def test_only_what_speaks_against_a_host_need_be_remembered() -> None:
    assert WELL.is_well
    assert not WELL.found_nobody(0.0).is_well
    assert not down().is_well
