"""The watch over SQLite: one row for up to 25 runs that are looked at together."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from punctual.adapters.sqlite.database import Database
from punctual.adapters.sqlite.rows import (
    WATCH_ROW,
    watch_row_from_row,
    watch_row_key,
    watch_row_to_row,
)
from punctual.adapters.sqlite.statements import ForRows
from punctual.core.instants import epoch_ms
from punctual.core.watching import WatchRow

PAGE = 100
"""Rows read at a time."""

_ADD = ForRows(
    "WITH new (minute, shard, row_id, runs) AS ({rows})"
    " INSERT OR REPLACE INTO watch_rows SELECT * FROM new WHERE minute IS NOT NULL",
    width=4,
)

_DUE = (
    f"SELECT json_group_array({WATCH_ROW}) FROM (SELECT * FROM watch_rows"
    " WHERE minute <= ? AND (minute, shard, row_id) > (?, ?, ?)"
    " AND shard IN (SELECT value FROM json_each(?))"
    " ORDER BY minute, shard, row_id LIMIT ?)"
)

_BEFORE_ALL = (-(2**63), 0, "")
"""Sorts before every row."""

_REMOVE = ForRows("DELETE FROM watch_rows WHERE (minute, shard, row_id) IN ({rows})", width=3)


class SqliteWatchList:
    """Fills `WatchList`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, rows: Sequence[WatchRow]) -> Sequence[bool]:
        """See `WatchList.add`."""
        new = [watch_row_to_row(row) for row in rows]
        self._database.transact(lambda: self._database.write(_ADD, new))
        return [True] * len(rows)

    def due(self, shards: Sequence[int], *, now: datetime) -> Iterable[Sequence[WatchRow]]:
        """See `WatchList.due`; earliest minute first."""
        of_shards = str(list(shards))
        last: Sequence[int | str] = _BEFORE_ALL
        while True:
            found = self._database.select(_DUE, (epoch_ms(now), *last, of_shards, PAGE))
            if not found:
                return
            rows = [watch_row_from_row(row) for row in found]
            last = watch_row_key(rows[-1])
            yield rows

    def remove(self, rows: Sequence[WatchRow]) -> None:
        """See `WatchList.remove`."""
        gone = [watch_row_key(row) for row in rows]
        self._database.transact(lambda: self._database.write(_REMOVE, gone))
