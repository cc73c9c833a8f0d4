"""Note down durably that runs are to be looked at again."""

from collections.abc import Iterable

from punctual.core.identity import RunKey
from punctual.core.sharding import shard_of
from punctual.core.watching import Look, WatchRow, pack
from punctual.ports import Chance, WatchList


def note_down(looks: Iterable[Look], *, watch_list: WatchList, chance: Chance) -> set[RunKey]:
    """Store looks in as few rows as they fit in; return the runs whose look is surely stored."""
    rows = [
        WatchRow(
            shard=_shard(references[0].key),
            minute=minute,
            row_id=chance.token(),
            references=references,
        )
        for minute, references in pack(looks)
    ]
    stored = watch_list.add(rows) if rows else []
    return {
        reference.key
        for row, is_stored in zip(rows, stored, strict=True)
        if is_stored
        for reference in row.references
    }


def _shard(key: RunKey) -> int:
    """Return the shard whose dispatch reads the row: any does, so the first run's own is taken."""
    return shard_of(key.job.tenant, key.job.job_id)
