"""Lines about runs, over SQLite: one row each, and one that counts those that were left out."""

from collections.abc import Sequence
from datetime import datetime

from punctual.adapters.sqlite.database import Database
from punctual.adapters.sqlite.statements import ForRows
from punctual.core.identity import RunKey
from punctual.core.instants import epoch_ms, from_epoch_ms
from punctual.core.log_lines import LINES_MAX, KeptLines
from punctual.core.timeline import Level, LogLine

_RUN = "tenant = ? AND job_id = ? AND incarnation = ? AND name = ?"

_NEXT = f"SELECT json_array(json_array(coalesce(max(number) + 1, 0))) FROM log_lines WHERE {_RUN}"

_ADD = ForRows(
    "WITH new (tenant, job_id, incarnation, name, number, at, attempt, level, message, left_out,"
    " expires_at) AS ({rows})"
    " INSERT INTO log_lines SELECT * FROM new WHERE tenant IS NOT NULL"
    " ON CONFLICT DO UPDATE SET left_out = left_out + excluded.left_out",
    width=11,
)

_READ = (
    "SELECT json_group_array(json_array(at, attempt, level, message, left_out))"
    f" FROM (SELECT * FROM log_lines WHERE {_RUN} ORDER BY number)"
)


class SqliteLogStore:
    """Fills `LogStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: RunKey, lines: Sequence[LogLine], *, expires_at: datetime) -> None:
        """See `LogStore.add`."""

        def work() -> None:
            ((first,),) = self._database.select(_NEXT, run)
            kept = lines[: max(0, LINES_MAX - first)]
            until = epoch_ms(expires_at)
            rows = [
                (*run, first + place, *_values(line), 0, until) for place, line in enumerate(kept)
            ]
            if left_out := lines[len(kept) :]:
                rows.append((*run, LINES_MAX, *_values(left_out[-1]), len(left_out), until))
            self._database.write(_ADD, rows)

        run = _values_of(key)
        self._database.transact(work)

    def read(self, key: RunKey) -> KeptLines:
        """See `LogStore.read`."""
        rows = self._database.select(_READ, _values_of(key))
        return KeptLines(
            lines=tuple(
                LogLine(at=from_epoch_ms(at), attempt=attempt, level=Level(level), message=message)
                for at, attempt, level, message, left_out in rows
                if not left_out
            ),
            left_out=sum(row[4] for row in rows),
        )


def _values_of(key: RunKey) -> tuple[str, str, int, str]:
    return key.job.tenant, key.job.job_id, key.incarnation, key.name


def _values(line: LogLine) -> tuple[int, int, str, str]:
    return epoch_ms(line.at), line.attempt, line.level.value, line.message
