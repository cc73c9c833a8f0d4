"""A target in a process of its own: `python -m tests.support.sink --port 0 --log FILE`.

It prints its address, answers every request alike, and writes each to the file as a line of JSON
once it is there, before it is answered. SIGTERM ends it.
"""

import argparse
import asyncio
import os
import signal
from pathlib import Path

from tests.support.sinks import Behaviour, Request, Server, after, answer


async def serve(behaviour: Behaviour, *, port: int, log: Path) -> None:
    """Serve until SIGTERM."""
    lines = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def record(request: Request) -> Behaviour:
        # One write a line, so that whoever reads meanwhile, or after a kill, sees whole lines.
        os.write(lines, request.to_line().encode() + b"\n")
        return behaviour

    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    server = Server(record)
    bound = await server.start(port=port)
    print(f"http://127.0.0.1:{bound}", flush=True)  # noqa: T201 - who started it waits for this
    await ended.wait()
    await server.stop()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="sink", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose")
    parser.add_argument("--log", type=Path, required=True, help="file that the requests go to")
    parser.add_argument("--delay", type=float, default=0, help="seconds until an answer")
    parser.add_argument("--status", type=int, default=200)
    parser.add_argument("--body", default="ok")
    options = parser.parse_args()
    behaviour = answer(options.status, options.body.encode())
    if options.delay:
        behaviour = after(options.delay, behaviour)
    asyncio.run(serve(behaviour, port=options.port, log=options.log))


if __name__ == "__main__":
    main()
