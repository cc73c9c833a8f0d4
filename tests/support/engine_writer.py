"""A process that writes to an embedded engine as fast as it can, and tells what is committed.

Run as `python -m tests.support.engine_writer <home> <prefix>`. Every line it prints is the name of
a run whose row, message and start were committed together before. It writes until it is killed.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path

from punctual.adapters.sqlite.engine import SqliteEngine
from punctual.adapters.system import SystemClock
from punctual.core.jobs import Lane
from punctual.core.runs import Run, Start
from punctual.ports import Outgoing
from tests.support.builders import DAY, a_run, a_run_key
from tests.support.clock import NINE

THREADS = 4


def write_on(engine: SqliteEngine, *, prefix: str, thread: int) -> None:
    """Write run after run, each in one transaction, and tell of each."""
    for number in count():
        run = a_run(key=a_run_key(name=f"{prefix}.{thread}.{number}"))
        engine.transact(partial(write, engine, run))
        sys.stdout.write(f"{run.key.name}\n")
        sys.stdout.flush()


def write(engine: SqliteEngine, run: Run) -> None:
    """Hand a run over and start it."""
    engine.runs.insert([run])
    engine.queue.send([Outgoing(key=run.key, lane=Lane.FAST, at=NINE)])
    engine.runs.move([Start(key=run.key, owner="writer", now=NINE, lease_until=NINE + DAY)])


def main() -> None:
    """Write with several threads at once, until killed."""
    home, prefix = Path(sys.argv[1]), sys.argv[2]
    with (
        SqliteEngine.open(home, clock=SystemClock()) as engine,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        for thread in range(THREADS):
            pool.submit(write_on, engine, prefix=prefix, thread=thread)


if __name__ == "__main__":
    main()
