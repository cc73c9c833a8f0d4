"""Jobs, their contents and the pointers that are due, over SQLite."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import compress
from typing import Any, TypeVar

from punctual.adapters.sqlite.database import Database
from punctual.adapters.sqlite.rows import (
    JOB,
    JOB_COLUMNS,
    due_job_from_row,
    due_place,
    job_expired,
    job_from_row,
    job_key_of,
    job_to_row,
)
from punctual.adapters.sqlite.statements import ForRows, Row
from punctual.core.dispatch import Claim
from punctual.core.identity import JobKey
from punctual.core.instants import epoch_ms
from punctual.core.jobs import TOMBSTONE_KEPT, Content, DueJob, Job, JobState
from punctual.core.records import UnreadableRecord, content_from_text, content_to_text
from punctual.ports import Clock, Page

T = TypeVar("T")

logger = logging.getLogger(__name__)

DUE_PAGE = 250
"""Jobs read at a time."""

_PUT = ForRows(
    f"WITH new ({', '.join(JOB_COLUMNS)}) AS ({{rows}})"
    f" INSERT INTO jobs ({', '.join(JOB_COLUMNS)}) SELECT * FROM new WHERE tenant IS NOT NULL"
    " ON CONFLICT (tenant, job_id) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in JOB_COLUMNS[2:]),
    width=len(JOB_COLUMNS),
)

_FIND = ForRows(
    "WITH wanted (tenant, job_id) AS ({rows})"
    f" SELECT json_group_array({JOB}) FROM wanted LEFT JOIN jobs USING (tenant, job_id)",
    width=2,
)

_DUE = (
    f"SELECT json_group_array({JOB}) FROM (SELECT * FROM jobs"
    " WHERE state = 'active' AND next_slot <= ? AND (next_slot, id) > (?, ?)"
    " AND shard IN (SELECT value FROM json_each(?))"
    " ORDER BY next_slot, id LIMIT ?)"
)

_LIST = (
    f"SELECT json_group_array({JOB}) FROM (SELECT * FROM jobs"
    " WHERE tenant = ? AND job_id > ? AND job_id BETWEEN ? AND ? AND state <> 'deleted'"
    " ORDER BY job_id LIMIT ?)"
)

_LAST_CHARACTER = "~"
"""Sorts after every character that a job's id may hold."""

_BEFORE_ALL = (-(2**63), 0)
"""Sorts before the place of every due job."""

_STANDING = ForRows(
    "WITH wanted (tenant, job_id) AS ({rows})"
    " SELECT json_group_array(json_array(id, state, next_slot, revision))"
    " FROM wanted LEFT JOIN jobs USING (tenant, job_id)",
    width=2,
)

_CLAIM = ForRows(
    "WITH new (id, next_slot, ordinal, state, last_slot) AS ({rows})"
    " UPDATE jobs SET next_slot = new.next_slot, ordinal = new.ordinal, state = new.state,"
    " last_slot = coalesce(new.last_slot, jobs.last_slot) FROM new WHERE jobs.id = new.id",
    width=5,
)

_PARK = (
    "UPDATE jobs SET state = 'paused', paused_at = ?, updated_at = ?, pause_note = ?,"
    " revision = revision + 1 WHERE tenant = ? AND job_id = ? AND state = 'active'"
)

_PUT_CONTENT = "INSERT OR REPLACE INTO contents VALUES (?, ?, ?, ?, ?)"

_PUT_CONTENTS = ForRows(
    "WITH new (tenant, job_id, ref, content) AS ({rows})"
    " INSERT OR REPLACE INTO contents SELECT *, NULL FROM new WHERE tenant IS NOT NULL",
    width=4,
)

_FIND_CONTENTS = ForRows(
    "WITH wanted (tenant, job_id, ref) AS ({rows})"
    " SELECT json_group_array(json_array(content, expires_at))"
    " FROM wanted LEFT JOIN contents USING (tenant, job_id, ref)",
    width=3,
)

_REVIVE_CONTENT = (
    "UPDATE contents SET expires_at = NULL WHERE tenant = ? AND job_id = ? AND ref = ?"
)

_EXPIRE_CONTENTS = "UPDATE contents SET expires_at = ? WHERE tenant = ? AND job_id = ?"


class SqliteJobStore:
    """Fills `JobStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        """Bind a database; a tombstone that has expired by the clock's now is as good as gone."""
        self._database = database
        self._clock = clock

    def create(self, job: Job, *, over: Job | None = None) -> Job | None:
        """See `JobStore.create`."""
        return self._database.transact(lambda: self._create(job, over))

    def _create(self, job: Job, over: Job | None) -> Job | None:
        standing = self._standing(job.key)
        if standing is not None:
            is_seen = over is not None and standing.revision == over.revision
            if standing.state is not JobState.DELETED or not is_seen:
                return None if standing == job else standing
        self._database.execute(_REVIVE_CONTENT, (job.key.tenant, job.key.job_id, job.content))
        self._database.write(_PUT, [job_to_row(job, expires_at=None)])
        return None

    def create_new(self, jobs: Sequence[tuple[Job, Content]]) -> Sequence[bool]:
        """See `JobStore.create_new`."""
        rows = [job_to_row(job, expires_at=None) for job, _ in jobs]
        contents = [
            (job.key.tenant, job.key.job_id, job.content, content_to_text(content))
            for job, content in jobs
        ]

        def work() -> list[bool]:
            standing = self._database.select_each(_STANDING, [row[:2] for row in rows])
            is_new = [row[0] is None for row in standing]
            self._database.write(_PUT_CONTENTS, list(compress(contents, is_new)))
            self._database.write(_PUT, list(compress(rows, is_new)))
            return is_new

        return self._database.transact(work)

    def change(self, job: Job, *, seen: Job) -> bool:
        """See `JobStore.change`."""
        return self._database.transact(lambda: self._change(job, seen))

    def _change(self, job: Job, seen: Job) -> bool:
        standing = self._standing(job.key)
        if standing is None or _version(standing) != _version(seen):
            return standing == job
        expires_at = None
        if job.state is JobState.DELETED:
            expires_at = job.updated_at + TOMBSTONE_KEPT
            self._database.execute(
                _EXPIRE_CONTENTS, (epoch_ms(expires_at), job.key.tenant, job.key.job_id)
            )
        self._database.write(_PUT, [job_to_row(job, expires_at=expires_at)])
        return True

    def read(self, keys: Sequence[JobKey]) -> Mapping[JobKey, Job]:
        """See `JobStore.read`."""
        jobs = self._readable(self._rows(keys), job_from_row)
        return {job.key: job for job in jobs}

    def put_content(
        self, key: JobKey, ref: str, content: Content, *, until: datetime | None = None
    ) -> None:
        """See `JobStore.put_content`."""
        expires_at = None if until is None else epoch_ms(until)
        row = (key.tenant, key.job_id, ref, content_to_text(content), expires_at)
        self._database.transact(lambda: self._database.execute(_PUT_CONTENT, row))

    def read_contents(
        self, keys: Sequence[tuple[JobKey, str]]
    ) -> Mapping[tuple[JobKey, str], Content]:
        """See `JobStore.read_contents`."""
        now = epoch_ms(self._clock.now())
        wanted = [(key.tenant, key.job_id, ref) for key, ref in keys]
        rows = self._database.select_each(_FIND_CONTENTS, wanted)
        found: dict[tuple[JobKey, str], Content] = {}
        for name, (text, expires_at) in zip(keys, rows, strict=True):
            if text is None or (expires_at is not None and expires_at <= now):
                continue
            try:
                found[name] = content_from_text(text)
            except UnreadableRecord:
                logger.exception("content cannot be read: %s", name[1])
        return found

    def due(self, shards: Sequence[int], *, until: datetime) -> Iterable[Sequence[DueJob]]:
        """See `JobStore.due`. A job that cannot be read is parked."""
        of_shards = str(list(shards))
        last = _BEFORE_ALL
        while True:
            rows = self._database.select(_DUE, (epoch_ms(until), *last, of_shards, DUE_PAGE))
            if not rows:
                return
            last = due_place(rows[-1])
            yield list(self._readable(rows, due_job_from_row, park=True))

    def claim(self, claims: Sequence[Claim]) -> Sequence[bool]:
        """See `JobStore.claim`."""
        return self._database.transact(lambda: self._claim(claims))

    def _claim(self, claims: Sequence[Claim]) -> list[bool]:
        keys = [(claim.key.tenant, claim.key.job_id) for claim in claims]
        rows = self._database.select_each(_STANDING, keys)
        held = [row[1:] == _expected(claim) for claim, row in zip(claims, rows, strict=True)]
        self._database.write(
            _CLAIM,
            [
                _claim_to_row(row[0], claim)
                for claim, row, holds in zip(claims, rows, held, strict=True)
                if holds
            ],
        )
        return held

    def park(self, key: JobKey, *, reason: str, now: datetime) -> None:
        """See `JobStore.park`."""
        at = epoch_ms(now)
        parameters = (at, at, reason, key.tenant, key.job_id)
        self._database.transact(lambda: self._database.execute(_PARK, parameters))

    def _rows(self, keys: Sequence[JobKey]) -> list[Row]:
        """Return the rows that exist and are not past their time."""
        now = self._clock.now()
        rows = self._database.select_each(_FIND, [(key.tenant, key.job_id) for key in keys])
        return [row for row in rows if row[0] is not None and not job_expired(row, now=now)]

    def list(self, tenant: str, *, prefix: str, after: str | None, limit: int) -> Page:
        """See `JobStore.list`."""
        last = prefix + _LAST_CHARACTER
        rows = self._database.select(_LIST, (tenant, after or "", prefix, last, limit + 1))
        listed = rows[:limit]
        return Page(
            jobs=tuple(self._readable(listed, job_from_row)),
            last_job_id=job_key_of(listed[-1]).job_id if len(rows) > limit else None,
        )

    def _standing(self, key: JobKey) -> Job | None:
        """Return the job that a write meets; one that cannot be read is not written over."""
        rows = self._rows([key])
        return job_from_row(rows[0]) if rows else None

    def _readable(
        self, rows: Iterable[Row], read: Callable[[Row], T], *, park: bool = False
    ) -> Iterator[T]:
        """Read rows; one that cannot be read is loud, yet takes no other along."""
        for row in rows:
            try:
                yield read(row)
            except UnreadableRecord as error:
                key = job_key_of(row)
                logger.exception("job cannot be read: %s", key.job_id)
                if park:
                    self.park(key, reason=f"parked: {error}"[:200], now=self._clock.now())


def _version(job: Job) -> tuple[int, JobState, datetime | None]:
    """Return what a change of a job must not have missed."""
    return job.revision, job.state, job.next_slot


def _expected(claim: Claim) -> list[Any]:
    """Return what `_STANDING` selects where a claim holds."""
    return [claim.expected_state, epoch_ms(claim.expected_slot), claim.expected_revision]


def _claim_to_row(row_id: int, claim: Claim) -> Row:
    return (
        row_id,
        None if claim.next_slot is None else epoch_ms(claim.next_slot),
        claim.ordinal,
        claim.state.value,
        None if claim.last_slot is None else epoch_ms(claim.last_slot),
    )
