"""One thread puts, another waits; neither misses what the other did."""

from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

from punctual.adapters.targets.mailbox import Mailbox


def test_everything_that_is_there_is_taken_in_its_order_and_once() -> None:
    box: Mailbox[int] = Mailbox()
    box.put([1, 2])
    box.put([3])

    assert box.take(wait=0) == [1, 2, 3]
    assert box.take(wait=0) == []


def test_who_waits_gets_what_is_put() -> None:
    box: Mailbox[int] = Mailbox()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(box.take, wait=20)
        box.put([7])

        assert waiting.result(timeout=10) == [7]


def test_a_wake_comes_with_what_is_there_and_is_used_up_by_it() -> None:
    box: Mailbox[int] = Mailbox()
    box.put([1])
    box.wake()

    assert box.take(wait=20) == [1]
    began = monotonic()
    assert box.take(wait=0.05) == []
    assert monotonic() - began >= 0.05


def test_nothing_put_is_not_something() -> None:
    box: Mailbox[int] = Mailbox()
    box.put([])
    began = monotonic()

    assert box.take(wait=0.05) == []

    assert monotonic() - began >= 0.05


def test_nobody_waits_for_who_has_died() -> None:
    box: Mailbox[int] = Mailbox()
    fault = OSError("too many open files")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(box.take, wait=20)
        box.fail(fault)

        with pytest.raises(RuntimeError) as raised:
            waiting.result(timeout=10)
    assert raised.value.__cause__ is fault


def test_what_was_put_before_a_death_is_taken_first() -> None:
    box: Mailbox[int] = Mailbox()
    box.put([1])
    box.fail(OSError())

    assert box.take(wait=20) == [1]
    with pytest.raises(RuntimeError):
        box.take(wait=20)
