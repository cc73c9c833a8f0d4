"""Which shard a job belongs to, and which shards one message covers."""

import zlib

SHARDS = 64
"""Logical shards, for ever: a stage chooses how many one message covers, so no job ever moves."""


def shard_of(tenant: str, job_id: str) -> int:
    """Return the job's shard in [0, `SHARDS`); the same on every host and in every version."""
    return zlib.crc32(f"{tenant}#{job_id}".encode()) % SHARDS


def shards_of_group(group: int, *, shards_per_message: int) -> range:
    """Return the shards that message number `group` of a tick covers."""
    first = group * shards_per_message
    assert 0 <= first < SHARDS, "a group lies within the shards"
    return range(first, min(first + shards_per_message, SHARDS))


def group_count(*, shards_per_message: int) -> int:
    """Return how many messages one tick sends, so that every shard is covered once."""
    assert 1 <= shards_per_message <= SHARDS, "a message covers at least one shard"
    return -(-SHARDS // shards_per_message)
