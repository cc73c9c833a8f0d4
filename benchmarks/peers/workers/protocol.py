"""What a peer's process and the harness say to each other, and the call that each job is.

A process is started as `… ROLE STORE TARGET [JOB_ID …]`: as `worker` it runs jobs, as `producer`
it creates them; ids are those of jobs that recur every second and have to be there from the start.
It prints `ready`, reads a plan from each line of its standard input, and prints how many seconds it
took to create what the plan names. `protocol.mjs` is the same for Node.
"""

import http.client
import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

CLIENTS = 32
"""Requests under way at once where a peer creates jobs without waiting for each."""

TOGETHER = 1000
"""Jobs that are created with one request where a peer can."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a process is started with."""

    role: str
    store: str
    """Address of the peer's store."""
    target: str
    """Address of the sink."""
    recurring: tuple[str, ...]
    """Ids of jobs that recur every second."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Jobs to create."""

    jobs: list[tuple[str, float]]
    """Id, and first slot in seconds since 1970."""
    one_by_one: bool
    """Whether each is a request of its own, also where the peer takes many at once."""
    every_second: bool
    """Whether they recur every second from that slot on."""


def arguments() -> Arguments:
    """Read what this process was started with."""
    _, role, store, target, *recurring = sys.argv
    return Arguments(role, store, target, tuple(recurring))


def ready() -> None:
    """Say that jobs may come."""
    print("ready", flush=True)


def plans() -> Iterator[Plan]:
    """Yield each plan; what is done until the next is asked for is timed, and told."""
    for line in sys.stdin:
        plan = Plan(**json.loads(line))
        began = time.perf_counter()
        yield plan
        print(time.perf_counter() - began, flush=True)


_connections = threading.local()


def call(target: str, job_id: str) -> None:
    """Call the sink over a connection that this thread keeps."""
    connection = getattr(_connections, "one", None)
    if connection is None:
        connection = _connections.one = http.client.HTTPConnection(urlsplit(target).netloc)
    connection.request("POST", "/", headers={"Punctual-Job-Id": job_id})
    connection.getresponse().read()
