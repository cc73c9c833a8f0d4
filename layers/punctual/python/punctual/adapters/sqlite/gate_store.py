"""Gates and limits over SQLite: one row each, written only over the version that was read."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from punctual.adapters.sqlite.database import Database
from punctual.adapters.sqlite.statements import ForRows, Row
from punctual.core.gates import KEPT, Gate
from punctual.core.identity import JobKey
from punctual.core.instants import epoch_ms, from_epoch_ms
from punctual.core.limits import LimitKey, Usage
from punctual.core.records import place_from_text, place_to_text, token_from_text, token_to_text
from punctual.ports import Clock

_GATES = ForRows(
    "WITH wanted (tenant, job_id) AS ({rows})"
    " SELECT json_group_array(json_array(version, holder, waiting))"
    " FROM wanted LEFT JOIN gates USING (tenant, job_id)",
    width=2,
)

_USAGES = ForRows(
    "WITH wanted (tenant, key) AS ({rows})"
    " SELECT json_group_array(json_array(version, json(holders), next_start))"
    " FROM wanted LEFT JOIN usages USING (tenant, key)",
    width=2,
)

_NEW_GATE = "INSERT OR IGNORE INTO gates VALUES (?, ?, ?, ?, ?, ?)"

_GATE = (
    "UPDATE gates SET version = ?3, holder = ?4, waiting = ?5, expires_at = ?6"
    " WHERE tenant = ?1 AND job_id = ?2 AND version = ?7"
)

_NEW_USAGE = "INSERT OR IGNORE INTO usages VALUES (?, ?, ?, ?, ?, ?)"

_USAGE = (
    "UPDATE usages SET version = ?3, holders = ?4, next_start = ?5, expires_at = ?6"
    " WHERE tenant = ?1 AND key = ?2 AND version = ?7"
)


class SqliteGateStore:
    """Fills `GateStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def gates(self, jobs: Sequence[JobKey]) -> Mapping[JobKey, Gate]:
        """See `GateStore.gates`."""
        rows = self._database.select_each(_GATES, [(job.tenant, job.job_id) for job in jobs])
        return {job: _gate(job, row) for job, row in zip(jobs, rows, strict=True)}

    def usages(self, limits: Sequence[LimitKey]) -> Mapping[LimitKey, Usage]:
        """See `GateStore.usages`."""
        rows = self._database.select_each(_USAGES, [(limit.tenant, limit.key) for limit in limits])
        return {limit: _usage(limit, row) for limit, row in zip(limits, rows, strict=True)}

    def put(self, records: Sequence[Gate | Usage], *, versions: Sequence[str]) -> Sequence[bool]:
        """See `GateStore.put`."""
        now = self._clock.now()
        return self._database.transact(
            lambda: [
                self._put(record, version, now=now)
                for record, version in zip(records, versions, strict=True)
            ]
        )

    def _put(self, record: Gate | Usage, version: str, *, now: datetime) -> bool:
        values: Row
        if isinstance(record, Gate):
            new, change = _NEW_GATE, _GATE
            values = (record.job.tenant, record.job.job_id, version)
            values += (place_to_text(record.holder), place_to_text(record.waiting))
        else:
            new, change = _NEW_USAGE, _USAGE
            holders = json.dumps([token_to_text(token) for token in record.holders])
            next_start = None if record.next_start is None else epoch_ms(record.next_start)
            values = (record.key.tenant, record.key.key, version, holders, next_start)
        values += (epoch_ms(now + KEPT),)
        if record.version is None:
            return self._database.execute(new, values) == 1
        return self._database.execute(change, (*values, record.version)) == 1


def _gate(job: JobKey, row: Row) -> Gate:
    version, holder, waiting = row
    if version is None:
        return Gate(job=job)
    return Gate(
        job=job,
        version=version,
        holder=place_from_text(holder, job=job),
        waiting=place_from_text(waiting, job=job),
    )


def _usage(limit: LimitKey, row: Row) -> Usage:
    version, holders, next_start = row
    if version is None:
        return Usage(key=limit)
    return Usage(
        key=limit,
        version=version,
        holders=tuple(token_from_text(token, tenant=limit.tenant) for token in holders),
        next_start=None if next_start is None else from_epoch_ms(next_start),
    )
