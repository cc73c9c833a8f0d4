"""Targets to call in tests: they record every request, and answer as badly as they are told to.

`sink()` runs one in a thread of the test; `sink_process()` runs one that outlives what calls it,
and whose record is a file. A `Behaviour` is what a sink does with a request once it is recorded.
"""

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Condition, Lock, Thread

ROOT = Path(__file__).parents[2]
BACKLOG = 4096
HEAD_MAX = 2**20

TURNS_TO_CONNECT = 5
"""How often the loop goes round, at most, until a connection that was accepted is served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request, as it came over the wire."""

    at: datetime
    """When its last byte was there."""
    connection: int
    """Number of the connection it came over, from 1."""
    method: str
    target: str
    """Path and query."""
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def values(self, name: str) -> list[str]:
        """Return the values of every header of that name, whatever its case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str:
        """Return the value of a header that is there exactly once."""
        (value,) = self.values(name)
        return value

    def to_line(self) -> str:
        """Write it as one line of JSON."""
        return json.dumps(
            {
                "at": self.at.isoformat(),
                "connection": self.connection,
                "method": self.method,
                "target": self.target,
                "headers": self.headers,
                "body": self.body.decode("latin-1"),
            }
        )

    @classmethod
    def from_line(cls, line: str) -> "Request":
        """Read what `to_line` wrote."""
        fields = json.loads(line)
        return cls(
            at=datetime.fromisoformat(fields["at"]),
            connection=fields["connection"],
            method=fields["method"],
            target=fields["target"],
            headers=tuple((name, value) for name, value in fields["headers"]),
            body=fields["body"].encode("latin-1"),
        )


class Peer:
    """Who sent a request, at the other end of its connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def gone(self) -> None:
        """Wait until the other end closes the connection."""
        await self._reader.read()

    def close(self) -> None:
        """Close in good order, after what was sent."""
        self._writer.close()

    def reset(self) -> None:
        """Break the connection off."""
        self._writer.transport.abort()

    @property
    def closing(self) -> bool:
        """Whether this end closes the connection, or has closed it."""
        return self._writer.is_closing()

    async def closed(self) -> None:
        """Close the connection, if it is open, and return when it is closed."""
        self.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def next_request(self, *, connection: int) -> Request:
        """Read the next request, of a connection with this number."""
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        parts = [line.partition(":") for line in lines[1:-2]]
        headers = tuple((name, value.strip()) for name, _, value in parts)
        size = sum(int(value) for name, value in headers if name.lower() == "content-length")
        return Request(
            body=await self._reader.readexactly(size),
            at=datetime.now(UTC),
            connection=connection,
            method=method,
            target=target,
            headers=headers,
        )


Behaviour = Callable[[Request, Peer], Awaitable[None]]
"""Answers one request, or does not. The connection is kept unless the behaviour closes it."""


def head(status: int, *headers: tuple[str, str]) -> bytes:
    """Write the head of an answer."""
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode()


def answer(
    status: int = 200, body: bytes = b"ok", *headers: tuple[str, str], length: int | None = None
) -> Behaviour:
    """Answer at once; `length` is what the answer says of its body where that is a lie."""
    size = str(len(body) if length is None else length)

    async def act(request: Request, peer: Peer) -> None:
        await peer.send(head(status, ("Content-Length", size), *headers) + body)
        if length is not None:
            peer.close()

    return act


def raw(*pieces: bytes, every: float = 0, close: bool = True) -> Behaviour:
    """Send pieces as they are, so many seconds apart, and then close the connection or keep it."""

    async def act(request: Request, peer: Peer) -> None:
        for piece in pieces:
            await peer.send(piece)
            await asyncio.sleep(every)
        if close:
            peer.close()

    return act


def endless(piece: bytes, *, every: float = 0, with_head: bool = True) -> Behaviour:
    """Send a head, and a body that never ends, for as long as somebody listens."""

    async def act(request: Request, peer: Peer) -> None:
        if with_head:
            await peer.send(head(200))
        while True:
            await peer.send(piece)
            await asyncio.sleep(every)

    return act


def after(seconds: float, then: Behaviour) -> Behaviour:
    """Let the request wait."""

    async def act(request: Request, peer: Peer) -> None:
        await asyncio.sleep(seconds)
        await then(request, peer)

    return act


async def hang(request: Request, peer: Peer) -> None:
    """Say nothing for as long as somebody listens."""
    await peer.gone()


async def drop(request: Request, peer: Peer) -> None:
    """Break the connection off without an answer."""
    peer.reset()


async def close(request: Request, peer: Peer) -> None:
    """Close the connection in good order without an answer."""
    peer.close()


def then_close(first: Behaviour) -> Behaviour:
    """Close the connection after the answer, without having said so in it."""

    async def act(request: Request, peer: Peer) -> None:
        await first(request, peer)
        peer.close()

    return act


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Behave to each request in another way, and to those beyond the last as to the last."""
    turns = iter(behaviours)

    async def act(request: Request, peer: Peer) -> None:
        await next(turns, behaviours[-1])(request, peer)

    return act


class Gate:
    """Holds requests back until the test lets them go on."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_open = False
        self._held: list[Future[None]] = []

    def open(self) -> None:
        """Let go what is held, and hold nothing more."""
        with self._lock:
            self._is_open = True
            for held in self._held:
                held.set_result(None)
            self._held.clear()

    def before(self, then: Behaviour) -> Behaviour:
        """Hold requests, and then go on with `then`."""

        async def act(request: Request, peer: Peer) -> None:
            await asyncio.wrap_future(self._passed())
            await then(request, peer)

        return act

    def _passed(self) -> Future[None]:
        passed: Future[None] = Future()
        with self._lock:
            if self._is_open:
                passed.set_result(None)
            else:
                self._held.append(passed)
        return passed


class Server:
    """Serves requests on one event loop."""

    def __init__(
        self, record: Callable[[Request], Behaviour], *, closed: Callable[[], None] = lambda: None
    ) -> None:
        """Take what is called with each request, and returns what to do with it.

        `closed` is called with the end of each connection.
        """
        self._record = record
        self._closed = closed
        self._numbers = count(1)
        self._connections: dict[asyncio.Task[None], Peer] = {}

    async def start(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> int:
        """Listen on the loopback interface; return the port."""
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", port, backlog=BACKLOG, limit=HEAD_MAX, ssl=tls
        )
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Stop listening, and break off what is open."""
        # A server that is closed while it takes a connection on loses it, still open.
        for listener in self._server.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        for _ in range(TURNS_TO_CONNECT):
            await asyncio.sleep(0)
        self._server.close()
        for peer in self._connections.values():
            peer.reset()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        task = asyncio.create_task(self._serve(peer, number=next(self._numbers)))
        self._connections[task] = peer
        task.add_done_callback(self._connections.pop)

    async def _serve(self, peer: Peer, *, number: int) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while not peer.closing:
                    request = await peer.next_request(connection=number)
                    await self._record(request)(request, peer)
        finally:
            await peer.closed()
            self._closed()


class Sink:
    """A sink in a thread, as the test sees it."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        """What is done with the requests that come from now on."""
        self.url = ""
        self._changed = Condition()
        self._requests: list[Request] = []
        self._closed = 0

    @property
    def requests(self) -> list[Request]:
        """What came so far, in its order."""
        with self._changed:
            return list(self._requests)

    @property
    def connections_closed(self) -> int:
        """How many connections ended so far."""
        with self._changed:
            return self._closed

    def wait_for(self, requests: int, *, within: float = 10) -> list[Request]:
        """Return what came so far, once it is so many; fail where it is not within the seconds."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self._requests) >= requests, within)
            assert came, f"{len(self._requests)} requests came, and not {requests}"
            return list(self._requests)

    def wait_for_closed(self, connections: int, *, within: float = 10) -> None:
        """Return once so many connections were closed; fail where it is not within the seconds."""
        with self._changed:
            came = self._changed.wait_for(lambda: self._closed >= connections, within)
            assert came, f"{self._closed} connections were closed, and not {connections}"

    def record(self, request: Request) -> Behaviour:
        """See `Server`."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()
        return self.behaviour

    def closed(self) -> None:
        """See `Server`."""
        with self._changed:
            self._closed += 1
            self._changed.notify_all()


@contextmanager
def sink(
    behaviour: Behaviour | None = None, *, tls: ssl.SSLContext | None = None
) -> Iterator[Sink]:
    """Run a sink in a thread; it answers every request with 200 and `ok` unless told otherwise."""
    started = Sink(behaviour or answer())
    ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = Future()

    async def serve() -> None:
        server = Server(started.record, closed=started.closed)
        stopped = asyncio.Event()
        try:
            port = await server.start(tls=tls)
        except BaseException as error:
            ready.set_exception(error)
            raise
        ready.set_result((asyncio.get_running_loop(), stopped, port))
        await stopped.wait()
        await server.stop()

    thread = Thread(target=lambda: asyncio.run(serve()), name="sink", daemon=True)
    thread.start()
    loop, stopped, port = ready.result(timeout=30)
    started.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield started
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkProcess:
    """A sink in a process of its own."""

    url: str
    log: Path

    def requests(self) -> list[Request]:
        """Return what came so far, in its order."""
        return [Request.from_line(line) for line in self.log.read_text().splitlines()]


@contextmanager
def sink_process(log: Path, *options: str) -> Iterator[SinkProcess]:
    """Run `python -m tests.support.sink` with options of its command line."""
    command = [sys.executable, "-m", "tests.support.sink", "--log", str(log), *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url, "the sink did not start"
            yield SinkProcess(url=url, log=log)
        finally:
            process.terminate()
