"""What a target that is not there costs those that are."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.rounds import Round, Rounds, instant_of

CHUNK = 50
"""Jobs of one kind that are created in a row, before as many of the other kind."""


@contextmanager
def refusing() -> Iterator[str]:
    """Return where nobody listens, so that every connection is refused at once."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/"


@contextmanager
def silent() -> Iterator[str]:
    """Return where connections are taken on, and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


def w6(rounds: Rounds, _: int, *, count: int = 1000) -> dict[str, Any]:
    """Start as many jobs of a host that is there alone, and beside as many of one that is not."""
    p99 = {"alone": _p99(rounds, count=count, dead=None)}
    for name, opened in (("refusing", refusing), ("silent", silent)):
        with opened() as dead:
            p99[name] = _p99(rounds, count=count, dead=dead)
    return {
        "n": count,
        **{f"p99_{name}": value for name, value in p99.items()},
        **{f"times_{n}": round(p99[n] / p99["alone"], 2) for n in ("refusing", "silent")},
    }


def _p99(rounds: Rounds, *, count: int, dead: str | None) -> float:
    """Return how late the jobs of the host that is there are called, all due at one instant."""
    with rounds() as host:
        alive = host.target
        slot = float(int(time.time() + 10 + 2 * count * 0.005))
        for first in range(0, count, CHUNK):
            if dead is not None:
                _create(host, "dead", dead, first=first, slot=slot)
            _create(host, "alive", alive, first=first, slot=slot)
        slack = slot - time.time()
        assert slack > 0, "the jobs took too long to create"
        host.wait_for(count, within=slack + 60)
        late = sorted(arrived - slot for *_, arrived in host.calls())
    assert len(late) == count, f"{len(late)} calls came, and not {count}"
    return round(late[int(0.99 * count)], 4)


def _create(host: Round, name: str, target: str, *, first: int, slot: float) -> None:
    host.target = target
    host.create({f"{name}{n}": {"at": instant_of(slot)} for n in range(first, first + CHUNK)})
