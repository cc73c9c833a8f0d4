"""No more goes through than a second allows."""

import pytest

from benchmarks.scale.capacity import Bucket, Partitions, take_all
from punctual.core.sharding import SHARDS


def test_a_bucket_lets_through_its_depth_and_then_its_rate() -> None:
    bucket = Bucket(rate=100, depth=100)

    taken = sum(bucket.take(1, now=now) for now in range(10_000) for _ in range(2))

    assert taken == pytest.approx(100 + 10 * 100, abs=2)


def test_a_bucket_keeps_no_more_than_its_depth() -> None:
    bucket = Bucket(rate=100, depth=10)

    assert sum(bucket.take(1, now=60_000) for _ in range(100)) == 10


def test_what_is_not_there_is_told_when_it_will_be() -> None:
    bucket = Bucket(rate=10, depth=1)
    assert bucket.take(1, now=0)

    free_at = bucket.free_at(1, now=0)

    assert free_at == pytest.approx(100)
    assert not bucket.take(1, now=free_at - 1)
    assert bucket.take(1, now=free_at)


def test_a_write_takes_from_every_bucket_or_from_none() -> None:
    table, index = Bucket(rate=1, depth=10), Bucket(rate=1, depth=1)

    assert not take_all([(table, 1), (index, 2)], now=0)
    assert table.tokens == 10
    assert take_all([(table, 1), (index, 1)], now=0)
    assert (table.tokens, index.tokens) == (9, 0)


def test_a_key_stays_on_its_partition_and_shards_are_spread_over_all() -> None:
    partitions = Partitions(count=4, writes=1000, reads=3000)

    buckets = {id(partitions.writes_of(str(shard))) for shard in range(SHARDS)}

    assert len(buckets) == 4
    assert partitions.writes_of("J#acme#a") is partitions.writes_of("J#acme#a")
    assert partitions.writes_of("J#acme#a") is not partitions.reads_of("J#acme#a")
