"""Runs over SQLite: one row each; every move is decided on the row as the transaction finds it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from punctual.adapters.sqlite.database import Database
from punctual.adapters.sqlite.rows import (
    REBORN,
    RUN,
    RUN_BORN_WITH,
    STRETCH,
    changed_parts,
    parts_to_row,
    run_from_row,
    run_to_row,
    stretch_from_row,
    stretch_to_row,
    update_of,
)
from punctual.adapters.sqlite.statements import ForRows, Row
from punctual.core.identity import JobKey, RunKey
from punctual.core.instants import epoch_ms
from punctual.core.runs import (
    HISTORY_KEPT,
    Move,
    Run,
    RunState,
    Stretch,
    after,
    permits,
    was_applied,
)
from punctual.ports import Clock, Moved

STRETCHES_MAX = 100
"""Stretches of one life that are listed."""

REMEMBERED_MAX = 8_192
"""Running runs kept in memory; of more, those that started first are read again."""

_INSERT = ForRows(
    f"WITH new ({', '.join(RUN_BORN_WITH)}) AS ({{rows}})"
    f" INSERT INTO runs ({', '.join(RUN_BORN_WITH)})"
    " SELECT * FROM new WHERE tenant IS NOT NULL"
    " ON CONFLICT (tenant, job_id, incarnation, name)"
    f" DO UPDATE SET {REBORN}"
    " WHERE (state = 'queued' AND schedule_revision < excluded.schedule_revision)"
    " OR expires_at <= ?",
    width=len(RUN_BORN_WITH),
)
"""A queued row of an older schedule revision becomes the newer one's; one past its time is gone."""

_FIND = ForRows(
    "WITH wanted (tenant, job_id, incarnation, name) AS ({rows})"
    f" SELECT json_group_array({RUN})"
    " FROM wanted LEFT JOIN runs USING (tenant, job_id, incarnation, name)",
    width=4,
)

_LIST = (
    f"SELECT json_group_array({RUN}) FROM ("
    "SELECT * FROM runs WHERE tenant = ? AND job_id = ? AND incarnation = ?"
    " AND name >= ? AND name < ?"
    " AND (expires_at IS NULL OR expires_at > ?) ORDER BY name DESC LIMIT ?)"
)

_LAST_NAME = "~"
"""Sorts after every run's name."""

_DELETE = ForRows("DELETE FROM runs WHERE id IN ({rows})", width=1)

_PUT_STRETCHES = ForRows(
    "WITH new (tenant, job_id, incarnation, schedule_revision, since, until, count, reason,"
    " expires_at, announced_by) AS ({rows})"
    " INSERT OR IGNORE INTO stretches SELECT * FROM new WHERE tenant IS NOT NULL",
    width=10,
)

_ANNOUNCED = "(tenant, job_id, incarnation, schedule_revision, since, announced_by) IN ({rows})"

_SETTLE_STRETCHES = ForRows(f"UPDATE stretches SET announced_by = NULL WHERE {_ANNOUNCED}", width=6)

_WITHDRAW_STRETCHES = ForRows(f"DELETE FROM stretches WHERE {_ANNOUNCED}", width=6)

_FIND_STRETCHES = ForRows(
    "WITH wanted (tenant, job_id, incarnation, schedule_revision, since) AS ({rows})"
    f" SELECT json_group_array({STRETCH}) FROM wanted"
    " LEFT JOIN stretches USING (tenant, job_id, incarnation, schedule_revision, since)",
    width=5,
)

_STRETCHES = (
    f"SELECT json_group_array({STRETCH}) FROM ("
    "SELECT * FROM stretches WHERE tenant = ? AND job_id = ? AND incarnation = ?"
    " AND expires_at > ? ORDER BY since DESC LIMIT ?)"
)


class SqliteRunStore:
    """Fills `RunStore`.

    Runs that are running are kept in memory as their rows are, since the move that ends one is
    decided on what the move that started it left. No row has another writer: the home is locked.
    """

    def __init__(self, database: Database, *, clock: Clock, boot: int) -> None:
        """Bind a database.

        Args:
            database: Where the rows are.
            clock: What has expired by its now is as good as gone.
            boot: Tells the leases given here from those that ended with an earlier boot.
        """
        self._database = database
        self._clock = clock
        self._boot = boot
        self._running: dict[RunKey, tuple[int, Run]] = {}
        """With their rows' ids, as committed; touched by whoever has the turn to write."""

    def insert(self, runs: Sequence[Run]) -> Sequence[bool]:
        """See `RunStore.insert`."""
        rows = [run_to_row(run) for run in runs]
        now = epoch_ms(self._clock.now())
        self._database.transact(lambda: self._database.write(_INSERT, rows, now))
        return [True] * len(runs)

    def move(self, moves: Sequence[Move]) -> Sequence[Moved]:
        """See `RunStore.move`."""
        return self._database.transact(lambda: self._move(moves))

    def _move(self, moves: Sequence[Move]) -> list[Moved]:
        """Decide every move on its row, then write those rows that change."""
        moved: list[Moved] = []
        changes: dict[tuple[str, ...], list[Row]] = {}
        gone: list[Row] = []
        stand: list[tuple[RunKey, int, Run | None]] = []
        for move, (row_id, run) in zip(moves, self._standing([m.key for m in moves]), strict=True):
            if run is None or not permits(move, run):
                moved.append(Moved(applied=was_applied(move, run), run=run))
                continue
            left = after(move, run)
            moved.append(Moved(applied=True, run=left))
            stand.append((move.key, row_id, left))
            if left is None:
                gone.append((row_id,))
            elif parts := changed_parts(run, left):
                row = parts_to_row(row_id, left, parts, boot=self._boot)
                changes.setdefault(parts, []).append(row)
        for parts, rows in changes.items():
            self._database.write(update_of(parts), rows)
        self._database.write(_DELETE, gone)
        self._database.after_commit(lambda: self._remember(stand))
        return moved

    def _standing(self, keys: Sequence[RunKey]) -> list[tuple[int, Run | None]]:
        """Return row id and run of each key, as `_find`, of what is about to change.

        What was in memory of them is taken out: should the change not be committed, it is not there
        as if it had been.
        """
        known = {key: held for key in keys if (held := self._running.pop(key, None)) is not None}
        found = iter(self._find([key for key in keys if key not in known]))
        return [known.get(key) or next(found) for key in keys]

    def _remember(self, stand: Sequence[tuple[RunKey, int, Run | None]]) -> None:
        """Keep of the runs that changed those that are running; an earlier change may be there."""
        for key, row_id, run in stand:
            if run is not None and run.state is RunState.RUNNING:
                self._running[key] = row_id, run
            else:
                self._running.pop(key, None)
        while len(self._running) > REMEMBERED_MAX:
            del self._running[next(iter(self._running))]

    def read(self, keys: Sequence[RunKey]) -> Mapping[RunKey, Run]:
        """See `RunStore.read`."""
        return {run.key: run for _, run in self._find(keys) if run is not None}

    def _find(self, keys: Sequence[RunKey]) -> list[tuple[int, Run | None]]:
        """Return the row id and the run of each key; no run where there is none, or its time is up.

        A row past its time always has its outcome, so no move ever changes it.
        """
        now = self._clock.now()
        wanted = [(k.job.tenant, k.job.job_id, k.incarnation, k.name) for k in keys]
        found: list[tuple[int, Run | None]] = []
        for key, row in zip(keys, self._database.select_each(_FIND, wanted), strict=True):
            row_id, run = row[0], None
            if row_id is not None:
                run = run_from_row(row, job=key.job, incarnation=key.incarnation, boot=self._boot)
                if run.expires_at is not None and run.expires_at <= now:
                    run = None
            found.append((row_id, run))
        return found

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
        now = epoch_ms(self._clock.now())
        rows = self._database.select(
            _LIST,
            (job.tenant, job.job_id, incarnation, since or "", before or _LAST_NAME, now, limit),
        )
        return [
            run_from_row(row, job=job, incarnation=incarnation, boot=self._boot) for row in rows
        ]

    def put_stretches(self, stretches: Sequence[tuple[JobKey, Stretch]]) -> Sequence[bool]:
        """See `RunStore.put_stretches`; they are kept as long as the runs they stand for."""
        now = self._clock.now()
        rows = [
            stretch_to_row(key, stretch, expires_at=max(now, stretch.until) + HISTORY_KEPT)
            for key, stretch in stretches
        ]

        def work() -> list[bool]:
            self._database.write(_PUT_STRETCHES, rows)
            there = self._database.select_each(_FIND_STRETCHES, [row[:5] for row in rows])
            return [
                stretch_from_row(row) == stretch
                for row, (_, stretch) in zip(there, stretches, strict=True)
            ]

        return self._database.transact(work)

    def settle_stretches(self, stretches: Sequence[tuple[JobKey, Stretch]]) -> Sequence[bool]:
        """See `RunStore.settle_stretches`."""
        there = self._decide(_SETTLE_STRETCHES, stretches)
        return [
            found == replace(stretch, announced_by=None)
            for found, (_, stretch) in zip(there, stretches, strict=True)
        ]

    def withdraw_stretches(self, stretches: Sequence[tuple[JobKey, Stretch]]) -> Sequence[bool]:
        """See `RunStore.withdraw_stretches`."""
        there = self._decide(_WITHDRAW_STRETCHES, stretches)
        return [found is None or found.announced_by is not None for found in there]

    def _decide(
        self, decision: ForRows, stretches: Sequence[tuple[JobKey, Stretch]]
    ) -> Sequence[Stretch | None]:
        """Carry out what is decided of announced stretches; return what stands in each place."""
        rows = [stretch_to_row(key, each, expires_at=each.until) for key, each in stretches]

        def work() -> list[Row]:
            self._database.write(decision, [(*row[:5], row[-1]) for row in rows])
            return self._database.select_each(_FIND_STRETCHES, [row[:5] for row in rows])

        there = self._database.transact(work)
        # Of a stretch that is gone a row holds nothing but what was asked for.
        return [None if row[3] is None else stretch_from_row(row) for row in there]

    def stretches(self, job: JobKey, *, incarnation: int) -> Sequence[Stretch]:
        """See `RunStore.stretches`."""
        now = epoch_ms(self._clock.now())
        rows = self._database.select(
            _STRETCHES, (job.tenant, job.job_id, incarnation, now, STRETCHES_MAX)
        )
        return [stretch_from_row(row) for row in rows]
