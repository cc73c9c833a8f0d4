"""The target of the benchmarks: an HTTP server that notes when each request came, and little else.

Run as a process: `python -m benchmarks.sink LOG [DELAY_SECONDS]` prints its port and then writes a
line for each request, `JOB_ID SCHEDULED_AT ATTEMPT ARRIVED_NS`, as it arrives. It parses no more
HTTP than Punctual and the peers speak, so that one core serves over ten thousand requests a second.
"""

import asyncio
import os
import sys
import time
from functools import partial

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

HEADERS = (b"punctual-job-id", b"punctual-scheduled-at", b"punctual-attempt")


class Sink(asyncio.Protocol):
    """One connection, kept alive."""

    def __init__(self, log: int, delay: float) -> None:
        self._log = log
        self._delay = delay
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.Transport), "a stream has a transport for streams"
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Note and answer every request that is there whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            headers = dict(_header(line) for line in self._buffer[:end].split(b"\r\n")[1:])
            after = end + 4 + int(headers.get(b"content-length", b"0"))
            if len(self._buffer) < after:
                return
            self._buffer = self._buffer[after:]
            noted = b" ".join(headers.get(name, b"-") for name in HEADERS)
            os.write(self._log, noted + b" %d\n" % time.time_ns())
            if self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._answer)
            else:
                self._answer()

    def _answer(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(ANSWER)


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.lower(), value.strip()


async def serve(path: str, delay: float) -> None:
    """Serve until the process is ended."""
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(Sink, log, delay), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)  # whoever started it reads this
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))
