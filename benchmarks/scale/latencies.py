"""How long services take: distributions that are drawn from by their published quantiles."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

LOWEST = 0.001
"""A draw below this share of a distribution is as good as its fastest."""

NORMAL_99 = 2.3263
"""How many standard deviations the 99th percentile of a normal distribution is above its middle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogNormal:
    """A distribution with one long tail, given by its median and its 99th percentile, in ms."""

    p50: float
    p99: float
    sigma: float = field(init=False)

    def __post_init__(self) -> None:
        assert 0 < self.p50 < self.p99, "the tail is above the middle"
        object.__setattr__(self, "sigma", math.log(self.p99 / self.p50) / NORMAL_99)

    @property
    def mean(self) -> float:
        """The average, which the tail pulls above the median."""
        return self.p50 * math.exp(self.sigma**2 / 2)

    def draw(self, chance: Random) -> float:
        """Return one latency in milliseconds."""
        return self.p50 * math.exp(self.sigma * chance.gauss(0.0, 1.0))

    def slowest_of(self, count: int, chance: Random) -> float:
        """Return how long it takes until all of `count` are there that began together."""
        assert count > 0, "the slowest of some"
        middle = max(chance.gauss(0.0, 1.0) for _ in range(count))
        return self.p50 * math.exp(self.sigma * middle)


class Quantiles:
    """A distribution of which some quantiles are known; between them it is straight in log-time.

    The slope of the last piece goes on beyond its end, so that the tail has no last value.
    """

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        """Take the known quantiles.

        Args:
            points: Share in (0, 1) and milliseconds, both rising.
        """
        assert len(points) >= 2, "a piece has two ends"
        shares = [share for share, _ in points]
        logs = [math.log(milliseconds) for _, milliseconds in points]
        assert shares == sorted(set(shares)), "shares rise"
        assert logs == sorted(logs), "latencies rise with them"
        # The tail is straight over the logarithm of what is left of the distribution.
        self._depths = [-math.log1p(-share) for share in shares]
        self._logs = logs

    def at(self, share: float) -> float:
        """Return the quantile of a share in [0, 1), in milliseconds."""
        depth = -math.log1p(-max(share, LOWEST))
        depths, logs = self._depths, self._logs
        if depth <= depths[0]:
            return math.exp(logs[0])
        right = min(bisect_right(depths, depth), len(depths) - 1)
        slope = (logs[right] - logs[right - 1]) / (depths[right] - depths[right - 1])
        return math.exp(logs[right - 1] + slope * (depth - depths[right - 1]))

    def draw(self, chance: Random) -> float:
        """Return one latency in milliseconds."""
        return self.at(chance.random())
