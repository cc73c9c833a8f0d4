"""The dispatches' signs of life, over SQLite."""

import json
from collections.abc import Sequence

from punctual.adapters.sqlite.database import Database
from punctual.core.instants import epoch_ms, from_epoch_ms
from punctual.ports import Beat

_BEAT = "INSERT OR REPLACE INTO beats VALUES (?, ?)"

_BEATS = "SELECT json_group_array(json_array(json(shards), at)) FROM beats"


class SqliteBeats:
    """Fills `Beats`: one row for each group of shards."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, beat: Beat) -> None:
        """See `Beats.beat`."""
        row = (json.dumps(beat.shards), epoch_ms(beat.at))
        self._database.transact(lambda: self._database.execute(_BEAT, row))

    def beats(self) -> Sequence[Beat]:
        """See `Beats.beats`."""
        return [
            Beat(shards=tuple(shards), at=from_epoch_ms(at))
            for shards, at in self._database.select(_BEATS)
        ]
