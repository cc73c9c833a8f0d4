"""The watch over the table: one item for up to 25 runs that are looked at together."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from punctual.adapters.dynamodb import keys
from punctual.adapters.dynamodb.items import (
    address,
    text,
    watch_row_from_item,
    watch_row_to_item,
)
from punctual.adapters.dynamodb.table import Table, side_by_side
from punctual.core.watching import MINUTE, WatchRow, minute_of

PAGE = 100
"""Rows read from one shard at a time."""


class DynamoWatchList:
    """Fills `WatchList`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, rows: Sequence[WatchRow]) -> Sequence[bool]:
        """See `WatchList.add`."""
        return self._table.put_all([watch_row_to_item(row) for row in rows])

    def due(self, shards: Sequence[int], *, now: datetime) -> Iterable[Sequence[WatchRow]]:
        """See `WatchList.due`."""
        queries = [
            self._table.query(
                "#pk = :pk AND #sk < :next_minute",
                values={
                    ":pk": text(keys.watch_partition(shard)),
                    ":next_minute": text(keys.watch_minute(minute_of(now) + MINUTE)),
                },
                limit=PAGE,
            )
            for shard in shards
        ]
        for items in side_by_side(queries):
            yield [watch_row_from_item(item) for item in items]

    def remove(self, rows: Sequence[WatchRow]) -> None:
        """See `WatchList.remove`."""
        self._table.delete_all(
            [address(keys.watch_partition(row.shard), keys.watch_sort(row)) for row in rows]
        )
