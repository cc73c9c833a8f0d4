"""Every job has its shard, and every tick covers every shard."""

from collections import Counter

import pytest

from punctual.core.sharding import SHARDS, group_count, shard_of, shards_of_group


def test_a_job_stays_on_its_shard_for_ever() -> None:
    """Written down once: another hash would leave every stored job unvisited."""
    shards = [shard_of("default", job) for job in ("a", "report", "nightly-report")]

    assert shards == [30, 8, 58]


def test_jobs_spread_evenly() -> None:
    jobs = Counter(shard_of("default", f"job-{number}") for number in range(64_000))

    assert set(jobs) == set(range(SHARDS))
    assert max(jobs.values()) < 1_300


@pytest.mark.parametrize("shards_per_message", [1, 3, 16, 64])
def test_the_groups_cover_every_shard_once(shards_per_message: int) -> None:
    groups = group_count(shards_per_message=shards_per_message)

    covered = [
        shard
        for group in range(groups)
        for shard in shards_of_group(group, shards_per_message=shards_per_message)
    ]

    assert covered == list(range(SHARDS))
