"""Randomness that is a function of its name, so that leaving one fault out changes no other."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_RANGE = 1 << 64


class Dice:
    """Draws that are decided by a seed and a name alone, in whatever order they are asked for."""

    def __init__(self, seed: str) -> None:
        self._key = hashlib.blake2b(seed.encode(), digest_size=32).digest()

    def draw(self, *name: object) -> float:
        """Return a draw in [0, 1), the same for the same name."""
        text = "/".join(map(str, name)).encode()
        digest = hashlib.blake2b(text, digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "big") / _RANGE

    def chance(self, probability: float, *name: object) -> bool:
        """Say whether something happens that happens with this probability."""
        return probability > 0 and self.draw(*name) < probability

    def between(self, low: int, high: int, *name: object) -> int:
        """Return a whole number in [low, high]."""
        return low + int(self.draw(*name) * (high - low + 1))

    def one_of(self, things: Sequence[T], *name: object) -> T:
        """Return one of the things."""
        return things[int(self.draw(*name) * len(things))]
