"""Deletes what has expired. Readers look past it already, so nothing depends on when."""

from datetime import datetime
from functools import partial

from punctual.adapters.sqlite.database import Database
from punctual.core.instants import epoch_ms

BITE = 1_000
"""Rows of one transaction, so that no start waits for long."""

BITES_MAX = 500
"""Bites of one sweep: more than a busy host makes expire in a minute, less than a tick's time."""

TABLES = {
    "runs": "id",
    "jobs": "id",
    "contents": "tenant, job_id, ref",
    "stretches": "tenant, job_id, incarnation, schedule_revision, since",
    "requests": "tenant, job_id, incarnation, digest",
    "log_lines": "tenant, job_id, incarnation, name, number",
    "gates": "tenant, job_id",
    "usages": "tenant, key",
}
"""Where things expire, and what tells the rows there apart."""


def sweep(database: Database, *, now: datetime) -> int:
    """Delete rows whose time has come by `now`; return how many."""
    deleted = 0
    bites = 0
    for table in TABLES:
        statement = delete_expired(table)
        bite = BITE
        while bite == BITE and bites < BITES_MAX:
            delete = partial(database.execute, statement, (epoch_ms(now), BITE))
            bite = database.transact(delete)
            deleted += bite
            bites += 1
    return deleted


def delete_expired(table: str) -> str:
    """Return the statement that deletes up to so many rows whose time has come by an instant."""
    key = TABLES[table]
    return (
        f"DELETE FROM {table} WHERE ({key}) IN"
        f" (SELECT {key} FROM {table} WHERE expires_at <= ? LIMIT ?)"
    )
