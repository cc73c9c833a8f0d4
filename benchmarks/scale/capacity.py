"""What a service lets through in a second: buckets that fill at a fixed rate."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Bucket:
    """Tokens that come at a rate and are kept up to a bound. Time is in milliseconds."""

    rate: float
    """Tokens a second."""
    depth: float
    """What is kept at most: how much goes through at one instant."""
    tokens: float = field(init=False)
    filled_at: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.depth

    def holds(self, count: float, *, now: float) -> bool:
        """Say whether so many tokens are there."""
        self._fill(now)
        return self.tokens >= count

    def take(self, count: float, *, now: float) -> bool:
        """Take tokens if they are there."""
        if not self.holds(count, now=now):
            return False
        self.tokens -= count
        return True

    def free_at(self, count: float, *, now: float) -> float:
        """Return when so many tokens will be there, if nobody takes any."""
        assert count <= self.depth, "so many are never there at once"
        self._fill(now)
        return now + max(0.0, count - self.tokens) / self.rate * 1000

    def _fill(self, now: float) -> None:
        if now > self.filled_at:
            grown = self.tokens + (now - self.filled_at) * self.rate / 1000
            self.tokens = min(self.depth, grown)
            self.filled_at = now


@dataclass(kw_only=True)
class Partitions:
    """The physical partitions of a table or of an index, and what each writes and reads a second.

    A value of the partition key lies on one of them for good, by its digest. Splits for heat, which
    DynamoDB makes within minutes, are left out: a hot partition stays one here.
    """

    count: int
    writes: float
    """Write units a second of each."""
    reads: float
    """Read units a second of each."""

    def __post_init__(self) -> None:
        self._writes = [Bucket(rate=self.writes, depth=self.writes) for _ in range(self.count)]
        self._reads = [Bucket(rate=self.reads, depth=self.reads) for _ in range(self.count)]
        self._places: dict[str, int] = {}

    def writes_of(self, key: str) -> Bucket:
        """Return what the partition of a key may write."""
        return self._writes[self._place_of(key)]

    def reads_of(self, key: str) -> Bucket:
        """Return what the partition of a key may read."""
        return self._reads[self._place_of(key)]

    def _place_of(self, key: str) -> int:
        place = self._places.get(key)
        if place is None:
            # Another digest than the shards', or each partition would hold shards of its own.
            digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
            place = self._places[key] = int.from_bytes(digest, "big") % self.count
        return place


def take_all(needs: Sequence[tuple[Bucket, float]], *, now: float) -> bool:
    """Take from several buckets at once, or from none: a write needs room in table and indexes."""
    for bucket, count in needs:
        if not bucket.holds(count, now=now):
            return False
    for bucket, count in needs:
        bucket.tokens -= count
    return True
