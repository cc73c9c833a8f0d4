"""All bodies together take so much room and no more; a body is whole or its beginning."""

from contextlib import suppress

import pytest

from punctual.adapters.targets.room import Body, Room
from punctual.core.calls import BODY_KEPT_MAX, BODY_READ_MAX


def fed(body: Body, length: int, *, chunk: int = 16_384) -> bytes:
    """Feed a body in chunks, and return what was fed."""
    content = bytes(number % 251 for number in range(length))
    for first in range(0, length, chunk):
        body.add(content[first : first + chunk])
    return content


@pytest.mark.parametrize("chunk", [1, 499, 501, 65_536])
@pytest.mark.parametrize("length", [0, 1, BODY_KEPT_MAX, BODY_KEPT_MAX + 1, 3_000])
def test_a_body_is_what_came_however_it_came(length: int, chunk: int) -> None:
    with Room(10_000).body() as body:
        content = fed(body, length, chunk=chunk)

        assert (body.take_out(), body.length) == (content, length)


def test_what_is_beyond_the_bound_is_only_counted() -> None:
    with Room(2 * BODY_READ_MAX).body() as body:
        content = fed(body, BODY_READ_MAX + 70_000)

        assert body.take_out() == content[:BODY_READ_MAX]
        assert body.length == BODY_READ_MAX + 70_000


def test_a_body_without_room_is_cut_to_its_beginning_and_takes_none() -> None:
    room = Room(3_000)
    with room.body() as first, room.body() as second, room.body() as third:
        content = fed(first, 2_000, chunk=1_000)
        fed(second, 3_000, chunk=1_000)
        fed(third, 1_900, chunk=1_000)

        assert first.take_out() == content
        assert second.take_out() == content[:BODY_KEPT_MAX]
        assert second.length == 3_000
        assert len(third.take_out()) == 1_900


def test_room_is_taken_until_whoever_has_the_body_is_done() -> None:
    room = Room(2_000)
    with room.body() as first:
        fed(first, 2_000)
        first.take_out()
        with room.body() as second:
            fed(second, 2_000)
            assert len(second.take_out()) == BODY_KEPT_MAX

    with room.body() as third:
        fed(third, 2_000)
        assert len(third.take_out()) == 2_000


def test_room_comes_back_when_a_call_is_closed_in_the_middle() -> None:
    room = Room(2_000)
    with suppress(KeyboardInterrupt), room.body() as body:
        fed(body, 1_500)
        raise KeyboardInterrupt

    with room.body() as body:
        fed(body, 2_000)
        assert len(body.take_out()) == 2_000
