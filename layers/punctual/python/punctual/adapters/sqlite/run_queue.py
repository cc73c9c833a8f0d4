"""The run queue over SQLite: a row for each message, and a heap that knows which is due next.

The rows are the queue. The heap is a cache of them, rebuilt when the database is opened, so what
was received and neither hidden nor acknowledged comes back with the next process.
"""

import heapq
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import count

from punctual.adapters.sqlite.database import Database
from punctual.adapters.sqlite.statements import ForRows
from punctual.core.identity import JobKey, RunKey
from punctual.core.instants import epoch_ms, from_epoch_ms
from punctual.ports import Message, Outgoing

_SEND = ForRows(
    "WITH new (id, tenant, job_id, incarnation, name, visible_at) AS ({rows})"
    " INSERT INTO messages SELECT * FROM new WHERE id IS NOT NULL",
    width=6,
)

_HIDE = ForRows(
    "WITH new (id, visible_at) AS ({rows})"
    " UPDATE messages SET visible_at = new.visible_at FROM new WHERE messages.id = new.id",
    width=2,
)

_ACKNOWLEDGE = ForRows("DELETE FROM messages WHERE id IN ({rows})", width=1)

_PAGE = (
    "SELECT json_group_array(json_array(id, tenant, job_id, incarnation, name, visible_at))"
    " FROM (SELECT * FROM messages WHERE id > ? ORDER BY id LIMIT ?)"
)

PAGE = 10_000
"""Messages read at a time when the database is opened."""

_Waiting = tuple[int, int, RunKey]
"""When a message is delivered, its id, and what it is about."""


class SqliteRunQueue:
    """Fills `RunQueue`, for executors in this process; both lanes are one."""

    def __init__(self, database: Database) -> None:
        """Take up every message that the database holds."""
        self._database = database
        self._guard = threading.Lock()
        """Held while the heap or what was received changes."""
        self._waiting: list[_Waiting] = []
        """A heap."""
        self._received: set[int] = set()
        """Ids of messages that are neither hidden nor acknowledged since they were received."""
        self._listeners: list[Callable[[], None]] = []
        last_id = self._take_up()
        self._ids = count(last_id + 1)

    def _take_up(self) -> int:
        """Have every message wait that the database holds; return the greatest id."""
        jobs: dict[JobKey, JobKey] = {}
        last_id = 0
        while rows := self._database.select(_PAGE, (last_id, PAGE)):
            for row_id, tenant, job_id, incarnation, name, visible_at in rows:
                job = JobKey(tenant, job_id)
                # Most messages are about one of few jobs, so one key serves them all.
                key = RunKey(jobs.setdefault(job, job), incarnation, name)
                self._waiting.append((visible_at, row_id, key))
                last_id = row_id
        heapq.heapify(self._waiting)
        return last_id

    def send(self, messages: Sequence[Outgoing]) -> Sequence[bool]:
        """See `RunQueue.send`; within a work they can be received once that is committed."""
        sent = [(epoch_ms(message.at), next(self._ids), message.key) for message in messages]
        rows = [
            (row_id, key.job.tenant, key.job.job_id, key.incarnation, key.name, at)
            for at, row_id, key in sent
        ]

        def work() -> None:
            self._database.write(_SEND, rows)
            self._database.after_commit(lambda: self._await(sent))

        self._database.transact(work)
        return [True] * len(messages)

    def hide(self, messages: Sequence[tuple[Message, datetime]]) -> None:
        """See `RunQueue.hide`; what is not in hand any more is left as it is."""
        hidden = [
            (epoch_ms(until), row_id, message.key)
            for message, until in messages
            if (row_id := int(message.receipt)) in self._received
        ]

        def work() -> None:
            self._database.write(_HIDE, [(row_id, at) for at, row_id, _ in hidden])
            self._database.after_commit(lambda: self._await(hidden))

        self._database.transact(work)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """See `RunQueue.acknowledge`; what is not in hand any more is left as it is."""
        gone = {row_id for m in messages if (row_id := int(m.receipt)) in self._received}

        def work() -> None:
            self._database.write(_ACKNOWLEDGE, [(row_id,) for row_id in gone])
            self._database.after_commit(lambda: self._forget(gone))

        self._database.transact(work)

    def receive(self, *, now: datetime, limit: int) -> list[Message]:
        """Return messages whose instant has come, earliest first.

        One that was received comes again only when it was hidden, or with the next process.
        """
        present = epoch_ms(now)
        received: list[Message] = []
        with self._guard:
            while len(received) < limit and self._waiting and self._waiting[0][0] <= present:
                _, row_id, key = heapq.heappop(self._waiting)
                self._received.add(row_id)
                received.append(Message(key=key, receipt=str(row_id)))
        return received

    def next_at(self) -> datetime | None:
        """Return when the earliest message is delivered; None when none is waiting."""
        with self._guard:
            return from_epoch_ms(self._waiting[0][0]) if self._waiting else None

    def listen(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when a message is to be delivered before all that wait.

        It is called on the thread that committed it, and must be quick.
        """
        self._listeners.append(callback)

    def _await(self, messages: Sequence[_Waiting]) -> None:
        with self._guard:
            earliest = self._waiting[0] if self._waiting else None
            for message in messages:
                self._received.discard(message[1])
                heapq.heappush(self._waiting, message)
            is_earlier = bool(self._waiting) and self._waiting[0] is not earliest
        if is_earlier:
            for callback in self._listeners:
                callback()

    def _forget(self, row_ids: set[int]) -> None:
        with self._guard:
            self._received -= row_ids
