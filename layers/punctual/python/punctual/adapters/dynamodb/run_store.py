"""Runs over the table: one row each, moved by one conditional write at a time."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from punctual.adapters.dynamodb import keys
from punctual.adapters.dynamodb.items import (
    Item,
    address,
    is_expired,
    run_from_item,
    run_to_item,
    stretch_address,
    stretch_from_item,
    stretch_to_item,
    text,
)
from punctual.adapters.dynamodb.moves import revise, write_of
from punctual.adapters.dynamodb.table import Answer, Fate, Table
from punctual.adapters.dynamodb.writes import Change, Delete, Insert, Update, Write
from punctual.core.errors import StoreUnavailable
from punctual.core.identity import JobKey, RunKey
from punctual.core.runs import (
    HISTORY_KEPT,
    Move,
    Run,
    RunState,
    Start,
    Stretch,
    after,
    otherwise,
    was_applied,
)
from punctual.ports import Clock, Moved

FAILED = Moved(applied=False, run=None, failed=True)

ANNOUNCED = "#announced_by = :announced_by"
"""The condition on a stretch that nobody settled or withdrew, nor another visit announced anew."""

SETTLE = Change(when=ANNOUNCED, removes=("#announced_by",))

STRETCHES_MAX = 100
"""Stretches of one life that are listed."""


class DynamoRunStore:
    """Fills `RunStore`."""

    def __init__(self, table: Table, *, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def insert(self, runs: Sequence[Run]) -> Sequence[bool]:
        """See `RunStore.insert`."""
        answers = self._table.write([Insert(item=run_to_item(run)) for run in runs])
        there = [answer.fate is Fate.APPLIED for answer in answers]
        refused = [index for index, answer in enumerate(answers) if answer.fate is Fate.REFUSED]
        if refused:
            settled = self._settle_doubles([runs[index] for index in refused])
            for index, is_there in zip(refused, settled, strict=True):
                there[index] = is_there
        return there

    def _settle_doubles(self, runs: Sequence[Run]) -> list[bool]:
        """Bring rows that exist up to a newer schedule revision; say which surely exist."""
        try:
            rows = self._rows(run.key for run in runs)
        except StoreUnavailable:
            return [False] * len(runs)
        gone = [run for run in runs if run.key not in rows]
        if gone:  # taken back between the two requests
            written = self._table.write([Insert(item=run_to_item(run)) for run in gone])
            rows |= {
                run.key: run
                for run, answer in zip(gone, written, strict=True)
                if answer.fate is Fate.APPLIED
            }
        older = [run for run in runs if run.key in rows and _is_older(rows[run.key], run)]
        answers = dict(
            zip(
                (run.key for run in older),
                self._table.write([revise(run) for run in older]),
                strict=True,
            )
        )
        return [run.key in rows and _stands(answers.get(run.key)) for run in runs]

    def move(self, moves: Sequence[Move]) -> Sequence[Moved]:
        """See `RunStore.move`."""
        answers = self._table.write([write_of(move) for move in moves])
        moved = [self._moved(move, answer) for move, answer in zip(moves, answers, strict=True)]
        started = {
            move.key: index
            for index, (move, answer) in enumerate(zip(moves, answers, strict=True))
            if isinstance(move, Start) and answer.fate is Fate.APPLIED and moved[index].run is None
        }
        if started:
            # A batch does not answer with the rows, and an executor needs what it has started.
            try:
                rows = self._rows(started)
            except StoreUnavailable:
                rows = None
            for key, index in started.items():
                moved[index] = _started(moves[index], rows.get(key)) if rows is not None else FAILED
        again = {
            index: asked
            for index, (move, answer) in enumerate(zip(moves, answers, strict=True))
            if answer.fate is Fate.REFUSED
            and (asked := otherwise(move, moved[index].run)) is not None
        }
        if again:
            answered = self.move(list(again.values()))
            for index, answer in zip(again, answered, strict=True):
                moved[index] = answer
        return moved

    def read(self, run_keys: Sequence[RunKey]) -> Mapping[RunKey, Run]:
        """See `RunStore.read`."""
        return self._rows(run_keys)

    def list(
        self,
        job: JobKey,
        *,
        incarnation: int,
        since: str | None = None,
        before: str | None,
        limit: int,
    ) -> Sequence[Run]:
        """See `RunStore.list`."""
        now = self._clock.now()
        life = keys.runs_of_life(incarnation)
        # `~` sorts after every character of a run's name.
        first, last = life + (since or ""), life + (before or "~")
        if first > last:
            return []
        pages = self._table.query(
            "#pk = :pk AND #sk BETWEEN :first AND :last",
            values={
                ":pk": text(keys.job_partition(job)),
                ":first": text(first),
                ":last": text(last),
            },
            limit=limit + 1,
            descending=True,
        )
        runs: list[Run] = []
        for page in pages:
            runs += [
                run_from_item(item)
                for item in page
                if item["sk"]["S"] != last and not is_expired(item, now=now)
            ]
            if len(runs) >= limit:
                break
        return runs[:limit]

    def put_stretches(self, stretches: Sequence[tuple[JobKey, Stretch]]) -> Sequence[bool]:
        """See `RunStore.put_stretches`; they are kept as long as the runs they stand for."""
        now = self._clock.now()
        items = [
            stretch_to_item(key, stretch, expires_at=max(now, stretch.until) + HISTORY_KEPT)
            for key, stretch in stretches
        ]
        answers = self._table.write([Insert(item=item) for item in items])
        refused = [
            {name: item[name] for name in ("pk", "sk")}
            for item, answer in zip(items, answers, strict=True)
            if answer.fate is Fate.REFUSED
        ]
        try:
            there = self._table.get(refused)
        except StoreUnavailable:
            there = []
        return [
            answer.fate is Fate.APPLIED or _says_the_same(item, there)
            for item, answer in zip(items, answers, strict=True)
        ]

    def settle_stretches(self, stretches: Sequence[tuple[JobKey, Stretch]]) -> Sequence[bool]:
        """See `RunStore.settle_stretches`."""
        return self._applied(
            Update(key=stretch_address(key, each), change=SETTLE, values=_announced(each))
            for key, each in stretches
        )

    def withdraw_stretches(self, stretches: Sequence[tuple[JobKey, Stretch]]) -> Sequence[bool]:
        """See `RunStore.withdraw_stretches`."""
        return self._applied(
            Delete(key=stretch_address(key, each), when=ANNOUNCED, values=_announced(each))
            for key, each in stretches
        )

    def _applied(self, writes: Iterable[Write]) -> Sequence[bool]:
        return [answer.fate is Fate.APPLIED for answer in self._table.write(list(writes))]

    def stretches(self, job: JobKey, *, incarnation: int) -> Sequence[Stretch]:
        """See `RunStore.stretches`."""
        now = self._clock.now()
        pages = self._table.query(
            "#pk = :pk AND begins_with(#sk, :life)",
            values={
                ":pk": text(keys.job_partition(job)),
                ":life": text(keys.stretches_of_life(incarnation)),
            },
            limit=STRETCHES_MAX,
            descending=True,
        )
        # A page may end before its limit does.
        latest = islice(chain.from_iterable(pages), STRETCHES_MAX)
        return [stretch_from_item(i) for i in latest if not is_expired(i, now=now)]

    def _moved(self, move: Move, answer: Answer) -> Moved:
        run = self._run(answer.item)
        match answer.fate:
            case Fate.APPLIED:
                if run is None and isinstance(move, Start) and move.handed_over is not None:
                    # The condition asked for exactly this row, so what it is by now is known.
                    run = after(move, move.handed_over)
                return Moved(applied=True, run=run)
            case Fate.REFUSED:
                return Moved(applied=was_applied(move, run), run=run)
            case Fate.UNKNOWN:
                return FAILED

    def _rows(self, run_keys: Iterable[RunKey]) -> dict[RunKey, Run]:
        items = self._table.get(
            [address(keys.job_partition(key.job), keys.run_sort(key)) for key in run_keys]
        )
        runs = [run for item in items if (run := self._run(item)) is not None]
        return {run.key: run for run in runs}

    def _run(self, item: Item | None) -> Run | None:
        """Read a row; one past its time is as good as gone."""
        if item is None or is_expired(item, now=self._clock.now()):
            return None
        return run_from_item(item)


def _announced(stretch: Stretch) -> dict[str, Any]:
    assert stretch.announced_by is not None, "only what was announced is settled or withdrawn"
    return {":announced_by": text(stretch.announced_by)}


def _is_older(row: Run, run: Run) -> bool:
    return row.state is RunState.QUEUED and row.schedule_revision < run.schedule_revision


def _stands(answer: Answer | None) -> bool:
    """Say whether a row surely stands that needed no change (None), or was answered so."""
    if answer is None or answer.fate is Fate.APPLIED:
        return True
    return answer.fate is Fate.REFUSED and answer.item is not None


def _says_the_same(item: Item, there: Iterable[Item]) -> bool:
    """Say whether a stretch stands already, written by a visit that made the same of its slots."""
    return any({**item, "ttl": found["ttl"]} == found for found in there)


def _started(move: Move, run: Run | None) -> Moved:
    """Say what became of a start that was applied, from the row read after it.

    An executor that stalled in between may find its lease over and another attempt there.
    """
    return Moved(applied=was_applied(move, run), run=run)
