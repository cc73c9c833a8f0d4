"""The embedded engine by itself: what a run costs, and what one commit is worth.

`python -m benchmarks.embedded_engine` prints one line of JSON per measurement, round and kind of
commit (`FULL` waits for the disk, `NORMAL` for the operating system):

- runs: batches of 500 runs handed over, started and finished, as the host does it.
- busy: the same starts and ends beside a thread that keeps the interpreter busy.
- creates: jobs created one by one, from one thread and from sixteen that share commits.

Costs are microseconds per run or per create, of processor and of wall.
"""

import argparse
import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from punctual.adapters.sqlite.engine import SqliteEngine, Synchronous
from punctual.adapters.system import SystemChance, SystemClock
from punctual.core.identity import JobKey, RunKey
from punctual.core.jobs import Content, HttpTarget, Job, Lane
from punctual.core.records import content_ref
from punctual.core.runs import Ending, Finish, Result, Run, RunState, Start
from punctual.core.schedules import Every, Schedule
from punctual.core.watching import Reference, WatchRow
from punctual.ports import Message, Outgoing

BATCH = 500
BATCHES = 10
VISIT = 200
REFERENCES = 25
CREATES = 2_000
MINUTE = timedelta(minutes=1)
FIRST_SLOT = datetime(2026, 12, 1, 9, tzinfo=UTC)

chance = SystemChance()


@dataclass
class Cost:
    """What something took so far."""

    count: int = 0
    wall: float = 0.0
    processor: float = 0.0

    @contextmanager
    def of(self, count: int) -> Iterator[None]:
        """Add up what happens inside; the processor is that of this thread alone."""
        wall, processor = time.perf_counter(), time.thread_time()
        yield
        self.count += count
        self.wall += time.perf_counter() - wall
        self.processor += time.thread_time() - processor

    def fields(self, name: str) -> dict[str, float]:
        """Return the costs of each, in microseconds."""
        return {
            f"{name}_cpu_us": round(self.processor / self.count * 1e6, 1),
            f"{name}_wall_us": round(self.wall / self.count * 1e6, 1),
        }


@dataclass
class Costs:
    """What the parts of a run's life took."""

    hand_over: Cost = field(default_factory=Cost)
    start: Cost = field(default_factory=Cost)
    finish: Cost = field(default_factory=Cost)


def queued_runs(batch: int) -> list[Run]:
    """Return one run each of so many jobs, all at one slot."""
    slot = FIRST_SLOT + batch * MINUTE
    return [
        Run(
            key=RunKey.of_slot(JobKey("default", f"job-{number:05}"), incarnation=1, slot=slot),
            scheduled_at=slot,
            schedule_revision=1,
            max_attempts=3,
        )
        for number in range(BATCH)
    ]


def hand_over(engine: SqliteEngine, runs: Sequence[Run]) -> None:
    """Write watch rows, rows and messages, as a visit does before its claims."""
    references = [Reference(run.key, 1) for run in runs]
    engine.watch_list.add(
        [
            WatchRow(
                shard=0,
                minute=FIRST_SLOT,
                row_id=chance.token(),
                references=tuple(references[first : first + REFERENCES]),
            )
            for first in range(0, len(references), REFERENCES)
        ]
    )
    engine.runs.insert(runs)
    engine.queue.send([Outgoing(key=r.key, lane=Lane.FAST, at=r.scheduled_at) for r in runs])


def start(engine: SqliteEngine, messages: Sequence[Message], now: datetime) -> None:
    """Start the runs of received messages."""
    moves = [
        Start(key=message.key, owner=message.receipt, now=now, lease_until=now + MINUTE)
        for message in messages
    ]
    assert all(answer.applied for answer in engine.runs.move(moves))


def finish(engine: SqliteEngine, messages: Sequence[Message], now: datetime) -> None:
    """Write the outcomes of runs and let their messages go."""
    result = Result(status_code=200, content_type="application/json", body=b'{"ok":true}')
    ending = Ending(state=RunState.SUCCEEDED, at=now, result=result)
    moves = [
        Finish(key=message.key, owner=message.receipt, ending=ending, scheduled_at=now)
        for message in messages
    ]
    assert all(answer.applied for answer in engine.runs.move(moves))
    engine.queue.acknowledge(messages)


def carry_out(engine: SqliteEngine) -> Costs:
    """Hand over, start and finish batch after batch."""
    costs = Costs()
    for batch in range(BATCHES):
        runs = queued_runs(batch)
        slot = runs[0].scheduled_at
        with costs.hand_over.of(BATCH):
            for first in range(0, BATCH, VISIT):
                engine.transact(partial(hand_over, engine, runs[first : first + VISIT]))
        with costs.start.of(BATCH):
            messages = engine.queue.receive(now=slot, limit=BATCH)
            engine.transact(partial(start, engine, messages, slot))
        with costs.finish.of(BATCH):
            engine.transact(partial(finish, engine, messages, slot))
    return costs


@contextmanager
def busy_thread() -> Iterator[None]:
    """Keep the interpreter busy as a loop of many sockets does: a little work, then a call."""
    stop = threading.Event()
    ours, theirs = socket.socketpair()

    def work() -> None:
        while not stop.is_set():
            for _ in range(1_000):
                pass
            ours.send(b"x")
            theirs.recv(1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        ours.close()
        theirs.close()


def measure_runs(engine: SqliteEngine) -> dict[str, float]:
    """Measure what a run costs, by the parts of its life."""
    costs = carry_out(engine)
    parts = {"hand_over": costs.hand_over, "start": costs.start, "finish": costs.finish}
    return {key: us for name, cost in parts.items() for key, us in cost.fields(name).items()}


def measure_busy(engine: SqliteEngine) -> dict[str, float]:
    """Measure what a run costs where another thread wants the interpreter."""
    with busy_thread():
        return measure_runs(engine)


def measure_creates(engine: SqliteEngine) -> dict[str, float]:
    """Measure how many jobs a second are created, each durable before the next one begins."""
    content = Content(target=HttpTarget(url="http://127.0.0.1:9000/"))
    ref = content_ref(content)
    rates: dict[str, float] = {}
    for threads in (1, 16):

        def create(number: int, threads: int = threads) -> None:
            job = Job(
                key=JobKey("default", f"job-{threads}-{number}"),
                schedule=Schedule(rule=Every(every=MINUTE, anchor=FIRST_SLOT)),
                next_slot=FIRST_SLOT,
                content=ref,
                created_at=FIRST_SLOT,
                updated_at=FIRST_SLOT,
            )

            def work() -> None:
                engine.jobs.put_content(job.key, ref, content)
                assert engine.jobs.create(job) is None

            engine.transact(work)

        cpu, wall = time.process_time(), time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(create, range(CREATES)))
        wall = time.perf_counter() - wall
        rates[f"per_second_{threads}"] = round(CREATES / wall)
        rates[f"cpu_us_{threads}"] = round((time.process_time() - cpu) / CREATES * 1e6, 1)
    return rates


MEASUREMENTS: dict[str, Callable[[SqliteEngine], dict[str, float]]] = {
    "runs": measure_runs,
    "busy": measure_busy,
    "creates": measure_creates,
}


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description="The embedded engine by itself.")
    parser.add_argument("measurements", nargs="*", default=[], choices=[[], *MEASUREMENTS])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to be measured")
    arguments = parser.parse_args()
    for number in range(arguments.rounds):
        for name in arguments.measurements or MEASUREMENTS:
            for synchronous in Synchronous:
                with (
                    tempfile.TemporaryDirectory(dir=arguments.folder) as folder,
                    SqliteEngine.open(
                        Path(folder), clock=SystemClock(), synchronous=synchronous
                    ) as engine,
                ):
                    measured = MEASUREMENTS[name](engine)
                head = {"measurement": name, "round": number, "synchronous": synchronous.value}
                print(json.dumps(head | measured), flush=True)


if __name__ == "__main__":
    main()
