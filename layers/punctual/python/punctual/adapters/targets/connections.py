"""Connections: how many there may be, how long one is kept, when one counts as dead."""

import asyncio
import resource
import socket
import ssl
from functools import partial
from weakref import WeakKeyDictionary

from aiohttp import AddrInfoType, ClientRequest, ClientTimeout, StreamReader, TCPConnector
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.tracing import Trace

IDLE_MAX = 1.5
"""Seconds a connection is kept after its last answer. Servers close an idle one after two seconds
at the earliest, so that none is closed over there just as the next call is sent."""

CONNECTIONS_MAX = 4096
"""Connections with a call on them at once; more calls wait for one to end."""

HOST_SHARE = 4
"""One host gets every fourth connection at most, so that one that hangs leaves room for others."""

FILES_ELSEWHERE = 128
"""Open files that are left for all else that the process does."""

HEADS_MAX = 16
"""Heads that may come for one request: the answer's, and before it informal ones (`103 Hints`)."""

UNHEARD_MAX_MS = 15_000
"""How long a peer may leave unacknowledged what was sent; then the connection is dead. After a
process was frozen, its connections often are, without a word."""

PROBE_SECONDS = 60
"""How often a silent peer is asked whether it is there; gateways forget connections after 350 s."""

_OPTIONS = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", PROBE_SECONDS),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 10),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", UNHEARD_MAX_MS),
)


class Reader(ResponseHandler):
    """Reads the answers that come over one connection, as far as they are asked for."""

    _heads = 0

    def expect_answer(self) -> None:
        """Take note that a request is about to be sent."""
        self._heads = 0

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Let a head wait to be looked at, unless there were far too many.

        They wait in memory, and a target can send them faster than anybody looks.
        """
        self._heads += 1
        if self._heads <= HEADS_MAX:
            super().feed_data(data, size)
        elif self.transport is not None:
            self.set_exception(HttpProcessingError(message="too many heads"))
            self.transport.abort()


class Connector(TCPConnector):
    """Makes connections, keeps them for a moment, and shares them out among the hosts.

    It takes addresses only: names are looked up, and vetted, for each call.
    """

    def __init__(self, *, tls: ssl.SSLContext | None) -> None:
        """Take what certificates are checked against; None: the authorities the system trusts."""
        limit = connections_max()
        super().__init__(
            ssl=True if tls is None else tls,
            limit=limit,
            limit_per_host=max(1, limit // HOST_SHARE),
            keepalive_timeout=IDLE_MAX,
            happy_eyeballs_delay=None,
            socket_factory=open_socket,
        )
        reader: type[ResponseHandler] = Reader
        self._factory = partial(reader, loop=asyncio.get_running_loop())
        self._of_task: WeakKeyDictionary[asyncio.Task[object], asyncio.Transport]
        self._of_task = WeakKeyDictionary()

    async def connect(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> Connection:
        """Return a connection on which nothing has come that nobody asked for.

        A server may say that it gives up on an idle connection; that is no answer to what is sent
        over it next.
        """
        connection = await super().connect(req, traces, timeout)
        while connection.protocol is not None and connection.protocol.should_close:
            connection.close()
            connection = await super().connect(req, traces, timeout)
        if isinstance(connection.protocol, Reader):
            connection.protocol.expect_answer()
        task = asyncio.current_task()
        if task is not None and connection.transport is not None:
            self._of_task[task] = connection.transport
        return connection

    def cut(self) -> None:
        """Break off the connection that the present task got last, if it stands.

        Closed in good order it would wait for the peer: to take in what is left of the request, or
        to agree to the end of TLS.
        """
        task = asyncio.current_task()
        if task is not None and task in self._of_task:
            self._of_task[task].abort()


def open_socket(address: AddrInfoType) -> socket.socket:
    """Make a socket for a connection to `address`; options a system does not know are left out."""
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    for level, name, value in _OPTIONS:
        if hasattr(socket, name):
            opened.setsockopt(level, getattr(socket, name), value)
    return opened


def connections_max() -> int:
    """Return how many connections the process may use at once; as many again may be kept.

    The limit on open files that a process starts with is made for programs of another kind, so it
    is raised as far as need be and may be.
    """
    files = _open_files(2 * CONNECTIONS_MAX + FILES_ELSEWHERE)
    return max(1, min(CONNECTIONS_MAX, (files - FILES_ELSEWHERE) // 2))


def _open_files(wanted: int) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (OSError, ValueError):
        return soft
    return allowed
