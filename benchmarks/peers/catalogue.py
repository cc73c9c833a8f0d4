"""The peers: what each runs as, where it keeps its jobs, what it can do."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from benchmarks.peers.stores import HERE, Store, postgresql, redis


class Grid(Enum):
    """How a peer comes by jobs that recur every second."""

    NONE = "none"
    """It has none, or none whose runs keep to whole seconds."""
    CREATED = "created"
    """They are created while it runs, like any other job."""
    CONFIGURED = "configured"
    """They are part of its program, so its worker is started with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A scheduler that Punctual is measured beside."""

    command: tuple[str, ...]
    """Runs it; role, address of the store and of the sink are added."""
    store: Callable[[Path], AbstractContextManager[Store]]
    grid: Grid = Grid.NONE
    creates_in_worker: bool = False
    """Whether the process that runs jobs creates them too; else a second one does, uncounted."""


def _python(module: str) -> tuple[str, ...]:
    return str(HERE / ".venv" / "bin" / "python"), "-m", f"benchmarks.peers.workers.{module}"


def _node(script: str) -> tuple[str, ...]:
    return str(Path(sys.executable).with_name("node")), str(HERE / "workers" / f"{script}.mjs")


PEERS = {
    "apscheduler": Peer(
        command=_python("apscheduler"),
        store=postgresql,
        grid=Grid.CREATED,
        creates_in_worker=True,
    ),
    "celery": Peer(command=_python("celery"), store=redis),
    "procrastinate": Peer(command=_python("procrastinate"), store=postgresql, grid=Grid.CONFIGURED),
    "bullmq": Peer(command=_node("bullmq"), store=redis, grid=Grid.CREATED),
    "graphile": Peer(command=_node("graphile"), store=postgresql),
    "pgboss": Peer(command=_node("pgboss"), store=postgresql),
}
