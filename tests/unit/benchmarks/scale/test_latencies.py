"""Drawn latencies have the quantiles that were published."""

from random import Random

import pytest

from benchmarks.scale.latencies import LogNormal, Quantiles

DRAWS = 20_000

DELIVERY = Quantiles(((0.1, 13.7), (0.5, 16.2), (0.9, 33.8), (0.99, 105.0)))


def quantile(draws: list[float], share: float) -> float:
    return sorted(draws)[int(share * len(draws))]


def test_a_log_normal_has_the_middle_and_the_tail_that_it_is_given() -> None:
    latency, chance = LogNormal(p50=8, p99=50), Random(1)
    draws = [latency.draw(chance) for _ in range(DRAWS)]

    assert quantile(draws, 0.5) == pytest.approx(8, rel=0.05)
    assert quantile(draws, 0.99) == pytest.approx(50, rel=0.1)
    assert sum(draws) / DRAWS == pytest.approx(latency.mean, rel=0.05)


@pytest.mark.parametrize(("share", "milliseconds"), [(0.1, 13.7), (0.5, 16.2), (0.99, 105.0)])
def test_known_quantiles_are_met(share: float, milliseconds: float) -> None:
    assert DELIVERY.at(share) == pytest.approx(milliseconds)


def test_between_known_quantiles_it_rises() -> None:
    values = [DELIVERY.at(share / 1000) for share in range(100, 1000)]

    assert values == sorted(set(values))


def test_below_the_first_known_quantile_it_is_that_one() -> None:
    assert DELIVERY.at(0.0) == pytest.approx(13.7)


def test_the_tail_goes_on_beyond_the_last_known_quantile() -> None:
    assert DELIVERY.at(0.99) < DELIVERY.at(0.999) < DELIVERY.at(0.9999)
    draws = [DELIVERY.draw(Random(seed)) for seed in range(DRAWS)]
    assert quantile(draws, 0.5) == pytest.approx(16.2, rel=0.05)
