"""The tables, and how an older file becomes a newer one.

Instants are epoch milliseconds. Rows that may be forgotten have `expires_at`; readers look past
those whose time has come, and a sweep deletes them.
"""

import sqlite3

from punctual.core.errors import PunctualError

FIRST = """
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    job_id TEXT NOT NULL,
    shard INTEGER NOT NULL,
    state TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    schedule_revision INTEGER NOT NULL,
    schedule TEXT NOT NULL,
    policy TEXT NOT NULL,
    next_slot INTEGER,
    ordinal INTEGER NOT NULL,
    resumed_at INTEGER,
    created_at INTEGER NOT NULL,
    epochs TEXT NOT NULL,
    name TEXT,
    content TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    last_slot INTEGER,
    paused_at INTEGER,
    pause_note TEXT,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    UNIQUE (tenant, job_id)
);
CREATE INDEX due_jobs ON jobs (next_slot, id) WHERE state = 'active';
CREATE INDEX expiring_jobs ON jobs (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE contents (
    tenant TEXT NOT NULL,
    job_id TEXT NOT NULL,
    ref TEXT NOT NULL,
    content TEXT NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (tenant, job_id, ref)
) WITHOUT ROWID;
CREATE INDEX expiring_contents ON contents (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    job_id TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    name TEXT NOT NULL,
    "trigger" TEXT NOT NULL,
    scheduled_at INTEGER NOT NULL,
    schedule_revision INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    delivery TEXT NOT NULL,
    lane TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    owner TEXT,
    lease_until INTEGER,
    lease_boot INTEGER, -- the boot that the lease ends with at the latest; NULL outlives any
    retry_at INTEGER,
    cancel_requested_at INTEGER,
    starts TEXT,
    failures TEXT,
    finished_at INTEGER,
    finished_by TEXT,
    reason TEXT,
    status_code INTEGER,
    content_type TEXT,
    body BLOB,
    body_bytes INTEGER,
    truncated INTEGER,
    error_type TEXT,
    error_message TEXT,
    expires_at INTEGER,
    UNIQUE (tenant, job_id, incarnation, name)
);
CREATE INDEX expiring_runs ON runs (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE stretches (
    tenant TEXT NOT NULL,
    job_id TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    count INTEGER NOT NULL,
    reason TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, job_id, incarnation, since)
) WITHOUT ROWID;
CREATE INDEX expiring_stretches ON stretches (expires_at);

CREATE TABLE watch_rows (
    minute INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    row_id TEXT NOT NULL,
    runs TEXT NOT NULL,
    PRIMARY KEY (minute, shard, row_id)
) WITHOUT ROWID;

CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    job_id TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    name TEXT NOT NULL,
    visible_at INTEGER NOT NULL
);

CREATE TABLE beats (
    shards TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE host (
    boot INTEGER NOT NULL -- how often the database was opened
);
INSERT INTO host VALUES (0);
"""

WHOLE_RESULTS = """
ALTER TABLE runs ADD COLUMN stored TEXT; -- name of the file that the whole body lies in
"""

GATES = """
CREATE TABLE gates (
    tenant TEXT NOT NULL,
    job_id TEXT NOT NULL,
    version TEXT NOT NULL,
    holder TEXT NOT NULL,
    waiting TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, job_id)
) WITHOUT ROWID;
CREATE INDEX expiring_gates ON gates (expires_at);

CREATE TABLE usages (
    tenant TEXT NOT NULL,
    key TEXT NOT NULL,
    version TEXT NOT NULL,
    holders TEXT NOT NULL,
    next_start INTEGER,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) WITHOUT ROWID;
CREATE INDEX expiring_usages ON usages (expires_at);
"""

LOG_LINES = """
CREATE TABLE log_lines (
    tenant TEXT NOT NULL,
    job_id TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL,
    left_out INTEGER NOT NULL, -- 0, but for the row after the last line
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, job_id, incarnation, name, number)
) WITHOUT ROWID;
CREATE INDEX expiring_log_lines ON log_lines (expires_at);
"""

REQUESTS = """
ALTER TABLE runs ADD COLUMN content TEXT; -- name of a content of its own

CREATE TABLE requests (
    tenant TEXT NOT NULL,
    job_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    run TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, job_id, digest)
) WITHOUT ROWID;
CREATE INDEX expiring_requests ON requests (expires_at);
"""

STRETCHES_OF_A_SCHEDULE = """
CREATE TABLE newer_stretches (
    tenant TEXT NOT NULL,
    job_id TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    schedule_revision INTEGER NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    count INTEGER NOT NULL,
    reason TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, job_id, incarnation, since, schedule_revision)
) WITHOUT ROWID;
-- Which schedule named what was left out was not written down: that of its job, as far as known.
INSERT INTO newer_stretches
    SELECT tenant, job_id, incarnation, schedule_revision, since, until, count, reason,
        stretches.expires_at
    FROM stretches JOIN jobs USING (tenant, job_id, incarnation);
DROP TABLE stretches;
ALTER TABLE newer_stretches RENAME TO stretches;
CREATE INDEX expiring_stretches ON stretches (expires_at);
"""

ANNOUNCED_STRETCHES = """
ALTER TABLE stretches ADD COLUMN announced_by TEXT;
"""

MIGRATIONS: tuple[str, ...] = (
    FIRST,
    WHOLE_RESULTS,
    GATES,
    LOG_LINES,
    REQUESTS,
    STRETCHES_OF_A_SCHEDULE,
    ANNOUNCED_STRETCHES,
)
"""One script for each version of the file, oldest first; one that was released never changes."""


class NewerDatabase(PunctualError):
    """The file was written by a later version of Punctual; run that version or a newer one."""

    code = "newer-database"


class UnusableDatabase(PunctualError):
    """The file is no database, or cannot be written; mend it, or choose another folder."""

    code = "unusable-database"


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to the present version, each step whole or not at all.

    Raises:
        NewerDatabase: It is at a version that this code does not know.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise NewerDatabase(f"the database is at version {version}, this is {len(MIGRATIONS)}")
    for number in range(version, len(MIGRATIONS)):
        # `executescript` would commit on its own terms, so the script brings its transaction along.
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{MIGRATIONS[number]}\nPRAGMA user_version = {number + 1};\nCOMMIT;"
        )
