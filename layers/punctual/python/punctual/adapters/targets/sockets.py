"""Connections as the system sees them: how many there may be, and when one counts as dead."""

import resource
import socket

from aiohttp import AddrInfoType

CONNECTIONS_MAX = 4096
"""Connections with a call on them at once; more calls wait for one to end."""

HOST_SHARE = 4
"""One host gets every fourth connection at most, so that one that hangs leaves room for others."""

FILES_ELSEWHERE = 128
"""Open files that are left for all else that the process does."""

UNHEARD_MAX_MS = 15_000
"""How long a peer may leave unacknowledged what was sent; then the connection is dead. That of a
process which was frozen often is, without a word."""

PROBE_SECONDS = 60
"""How often an idle peer is asked whether it is there; gateways forget connections after 350 s."""

_OPTIONS = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", PROBE_SECONDS),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 10),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", UNHEARD_MAX_MS),
)


def open_socket(address: AddrInfoType) -> socket.socket:
    """Make a socket for a connection to `address`; what a system does not know is left out."""
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    for level, name, value in _OPTIONS:
        if hasattr(socket, name):
            opened.setsockopt(level, getattr(socket, name), value)
    return opened


def connections_max() -> int:
    """Return how many connections the process may use at once.

    The system's first limit on open files is made for programs of another kind, so it is raised
    as far as need be and the process may. Half of the files are for connections that are kept.
    """
    files = _open_files(2 * CONNECTIONS_MAX + FILES_ELSEWHERE)
    return max(HOST_SHARE, min(CONNECTIONS_MAX, (files - FILES_ELSEWHERE) // 2))


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
