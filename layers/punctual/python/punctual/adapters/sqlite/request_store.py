"""Requests that came with a key, over SQLite."""

from typing import Any

from punctual.adapters.sqlite.database import Database
from punctual.core.identity import JobKey
from punctual.core.instants import epoch_ms, from_epoch_ms
from punctual.core.requests import Request
from punctual.ports import Clock

_PUT = (
    "INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (tenant, job_id, digest) DO UPDATE SET incarnation = excluded.incarnation,"
    " fingerprint = excluded.fingerprint, run = excluded.run, expires_at = excluded.expires_at"
    " WHERE expires_at <= ?"
)
"""One past its time is as good as gone."""

_FIND = (
    "SELECT json_group_array(json_array(incarnation, fingerprint, run, expires_at)) FROM requests"
    " WHERE tenant = ? AND job_id = ? AND digest = ? AND expires_at > ?"
)


class SqliteRequestStore:
    """Fills `RequestStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def remember(self, request: Request) -> Request:
        """See `RequestStore.remember`."""
        now = epoch_ms(self._clock.now())
        key = request.job
        row: tuple[Any, ...] = (
            key.tenant,
            key.job_id,
            request.digest,
            request.incarnation,
            request.fingerprint,
            request.run,
            epoch_ms(request.expires_at),
        )

        def work() -> Request:
            self._database.execute(_PUT, (*row, now))
            standing = self.find(key, digest=request.digest)
            assert standing is not None, "it was just stored, or stood before"
            return standing

        return self._database.transact(work)

    def find(self, job: JobKey, *, digest: str) -> Request | None:
        """See `RequestStore.find`."""
        now = epoch_ms(self._clock.now())
        rows = self._database.select(_FIND, (job.tenant, job.job_id, digest, now))
        for incarnation, fingerprint, run, expires_at in rows:
            return Request(
                job=job,
                incarnation=incarnation,
                digest=digest,
                fingerprint=fingerprint,
                run=run,
                expires_at=from_epoch_ms(expires_at),
            )
        return None
