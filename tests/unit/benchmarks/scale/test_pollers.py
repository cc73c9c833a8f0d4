"""Event sources take as much at a time as AWS lets them, and grow as fast."""

from benchmarks.scale.lambdas import Pollers, Provisioned, Standard
from benchmarks.scale.limits import STANDARD_FORGETS


def take_all(pollers: Pollers, busy: int, *, now: int) -> int:
    """Take batches until there is no room; return how many are busy then."""
    while pollers.may_take(busy, now=now):
        busy += 1
    return busy


def wait(pollers: Pollers, *, seconds: int, backlog: bool, busy: int = 0, now: int = 0) -> int:
    for _ in range(seconds):
        now += 1000
        pollers.second(backlog=backlog, busy=busy, now=now)
    return now


def test_standard_mode_starts_with_five_and_adds_three_hundred_a_minute() -> None:
    pollers = Standard()
    assert take_all(pollers, 0, now=0) == 5

    wait(pollers, seconds=60, backlog=True, busy=5)

    assert take_all(pollers, 0, now=60_000) == 305


def test_standard_mode_grows_only_while_messages_wait_and_to_its_bound() -> None:
    pollers = Standard(most=50)
    wait(pollers, seconds=60, backlog=False, busy=5)
    assert take_all(pollers, 0, now=0) == 5

    wait(pollers, seconds=60, backlog=True, busy=5)
    assert take_all(pollers, 0, now=0) == 50


def test_standard_mode_begins_anew_after_a_quiet_time() -> None:
    pollers = Standard()
    now = wait(pollers, seconds=60, backlog=True, busy=5)

    now = wait(pollers, seconds=STANDARD_FORGETS // 1000, backlog=False, now=now)
    assert take_all(pollers, 0, now=now) == 305
    wait(pollers, seconds=2, backlog=False, now=now)

    assert take_all(pollers, 0, now=now) == 5


def test_a_provisioned_poller_asks_ten_times_a_second() -> None:
    pollers = Provisioned(least=20, most=20)

    taken = sum(pollers.may_take(0, now=now) for now in range(10_000))

    assert 2000 <= taken <= 2000 + 20


def test_a_provisioned_poller_has_ten_batches_at_a_time() -> None:
    pollers = Provisioned(least=2, most=2)

    busy = 0
    for now in range(0, 60_000, 100):
        busy = take_all(pollers, busy, now=now)

    assert busy == 20
    assert pollers.free_at(busy, now=60_000) is None


def test_provisioned_pollers_grow_by_a_hundred_a_minute_to_their_bound() -> None:
    pollers = Provisioned(least=10, most=50)
    wait(pollers, seconds=12, backlog=True)
    assert 29 <= pollers.kept <= 30

    wait(pollers, seconds=60, backlog=True)
    assert pollers.kept == 50
