"""Lines about runs, over the table: a portion to an item, each numbered by its first line."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from punctual.adapters.dynamodb import keys
from punctual.adapters.dynamodb.items import Item, address, number, seconds, text
from punctual.adapters.dynamodb.table import Fate, Table
from punctual.adapters.dynamodb.writes import Change, Insert, Update
from punctual.core.errors import StoreUnavailable
from punctual.core.identity import RunKey
from punctual.core.instants import epoch_ms, from_epoch_ms
from punctual.core.log_lines import LINES_MAX, KeptLines, portions
from punctual.core.timeline import Level, LogLine

TRIES = 10
"""How often a portion makes way for others that were written meanwhile."""

_COUNT = Change(when="attribute_exists(#left_out)", sets=("#left_out = #left_out + :left_out",))
"""The item after the last line counts those that were left out."""


class DynamoLogStore:
    """Fills `LogStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, key: RunKey, lines: Sequence[LogLine], *, expires_at: datetime) -> None:
        """See `LogStore.add`."""
        left = list(lines)
        for _ in range(TRIES + len(left)):
            if not left:
                return
            first = self._next(key)
            room = left[: max(0, LINES_MAX - first)]
            if not room:
                self._count(key, len(left), expires_at=expires_at)
                return
            portion = next(portions(room))
            if self._insert(_to_item(key, first, portion, expires_at=expires_at)):
                left = left[len(portion) :]
        raise StoreUnavailable("too many lines are written about the run at once")

    def read(self, key: RunKey) -> KeptLines:
        """See `LogStore.read`."""
        lines: list[LogLine] = []
        left_out = 0
        for page in self._query(key):
            for item in page:
                lines += _lines_of(item)
                left_out += int(item.get("left_out", number(0))["N"])
        return KeptLines(lines=tuple(lines), left_out=left_out)

    def _query(self, key: RunKey, **options: Any) -> Any:  # noqa: ANN401 - of `Table.query`
        values = {":pk": text(keys.job_partition(key.job)), ":lines": text(keys.lines_of(key))}
        return self._table.query("#pk = :pk AND begins_with(#sk, :lines)", values=values, **options)

    def _next(self, key: RunKey) -> int:
        """Return the number of the next line."""
        last = next(self._query(key, limit=1, descending=True))
        if not last:
            return 0
        return keys.line_of(last[0]["sk"]["S"]) + len(_lines_of(last[0]))

    def _insert(self, item: Item) -> bool:
        """Write an item where there is none; return False when somebody else did.

        Raises:
            StoreUnavailable: It may be written or not.
        """
        (answer,) = self._table.write([Insert(item=item)])
        if answer.fate is Fate.UNKNOWN:
            raise StoreUnavailable("the store gave no answer")
        return answer.fate is Fate.APPLIED

    def _count(self, key: RunKey, left_out: int, *, expires_at: datetime) -> None:
        place = _address(key, LINES_MAX)
        counter = {**place, "left_out": number(left_out), "ttl": seconds(expires_at)}
        if self._insert(counter):
            return
        more = Update(key=place, change=_COUNT, values={":left_out": number(left_out)})
        self._table.write([more])


def _address(key: RunKey, line: int) -> dict[str, Any]:
    return address(keys.job_partition(key.job), keys.line_sort(key, line))


def _to_item(
    key: RunKey, first: int, lines: Sequence[LogLine], *, expires_at: datetime
) -> dict[str, Any]:
    """Write lines as one item: `[[1764579600000,1,"info","loaded 10 rows"],…]`."""
    record = [[epoch_ms(line.at), line.attempt, line.level.value, line.message] for line in lines]
    body = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    return {**_address(key, first), "lines": text(body), "ttl": seconds(expires_at)}


def _lines_of(item: Item) -> list[LogLine]:
    return [
        LogLine(at=from_epoch_ms(at), attempt=attempt, level=Level(level), message=message)
        for at, attempt, level, message in json.loads(item.get("lines", text("[]"))["S"])
    ]
