"""A process that calls: `python -m tests.support.caller asyncio|uvloop`.

It calls each URL that it reads from its input, one after the other, and prints the status of the
answer, or the error.
"""

import asyncio
import sys
from contextlib import closing

import uvloop

from tests.support.calls import a_call, answer_to
from tests.support.keeping import http_targets


def main(loop: str) -> None:
    """Call until there is nothing more to read."""
    new_loop = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    with closing(http_targets(new_loop=new_loop)) as targets:
        for line in sys.stdin:
            given = answer_to(targets, a_call(line.strip()))
            print(given.error or given.status_code, flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    main(sys.argv[1])
