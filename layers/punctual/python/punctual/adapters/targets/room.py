"""How much of all answers together is held in memory."""

from typing import Self

from punctual.core.calls import BODY_KEPT_MAX, BODY_READ_MAX

ROOM = 64_000_000
"""Bytes of bodies that one process holds at once, until each is put where long ones go: 64 of the
longest, or 32,000 of two kilobytes. Of what does not fit only the beginning is kept."""


class Room:
    """What the bodies of one event loop share."""

    def __init__(self, size: int = ROOM) -> None:
        self._left = size

    def body(self) -> "Body":
        """Hold a body until the end of the `with` that this is used in."""
        return Body(self)

    def take(self, size: int) -> bool:
        """Take so many bytes, if there are so many."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """Give back what was taken."""
        self._left += size


class Body:
    """The body of one answer, as far as there is room for it."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._beginning = b""
        self._rest: list[bytes] = []
        self._taken = 0
        self._is_cut = False
        self.length = 0
        """Bytes that came."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()

    def add(self, chunk: bytes) -> None:
        """Take in what came next."""
        self.length += len(chunk)
        missing = BODY_KEPT_MAX - len(self._beginning)
        self._beginning += chunk[:missing]
        rest = chunk[missing:] if missing else chunk
        rest = rest[: BODY_READ_MAX - BODY_KEPT_MAX - self._taken]
        if not rest or self._is_cut:
            return
        if not self._room.take(len(rest)):
            self.let_go()
            return
        self._taken += len(rest)
        self._rest.append(bytes(rest))

    def let_go(self) -> None:
        """Keep the beginning, and give back the room of the rest."""
        self._room.give_back(self._taken)
        self._rest, self._taken, self._is_cut = [], 0, True

    def take_out(self) -> bytes:
        """Return what is held: `BODY_READ_MAX` bytes at most, or only the beginning.

        The room of it stays taken, since whoever has it now holds it as long as this is held.
        """
        whole = b"".join([self._beginning, *self._rest])
        self._rest = []
        return whole
