"""Host names to addresses that may be called."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from ipaddress import ip_address
from threading import Thread

from punctual.core.addresses import refusal

LOOKUPS_MAX = 32
"""Names looked up at once, each in a thread, since the system's resolver blocks for seconds at
worst; calls to further names wait."""

ADDRESSES_MAX = 4
"""Addresses of a name that a call tries at most, one after the other, until one is connected."""

LookUp = Callable[[str], Sequence[str]]
"""Returns the addresses of a name, best first; blocks. Raises `socket.gaierror` for none."""


class AddressRefused(Exception):
    """The target lies where nothing may be called; the message says why."""


def addresses_of(host: str) -> Sequence[str]:
    """Ask the system's resolver; it knows which families of addresses this machine can reach."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [str(address[0]) for _, _, _, _, address in found]


class Lookups:
    """Looks names up for the calls of one event loop, and refuses what may not be called.

    A name is looked up anew for every call, so no answer outlives the calls it was asked for; calls
    that ask while an answer is awaited share it.
    """

    def __init__(self, look_up: LookUp, *, allow_private: bool) -> None:
        self._look_up = look_up
        self._allow_private = allow_private
        self._room = asyncio.Semaphore(LOOKUPS_MAX)
        self._awaited: dict[str, asyncio.Task[Sequence[str]]] = {}

    async def vetted(self, host: str) -> Sequence[str]:
        """Return the addresses to connect to for `host`, a name or an address, best first.

        Raises:
            AddressRefused: One of its addresses, be it the last, may not be called.
            OSError: The name has no address, or no name server answered.
        """
        addresses = [host] if _is_address(host) else await self._addresses(host)
        for address in addresses:
            if reason := refusal(address, allow_private=self._allow_private):
                raise AddressRefused(f"the address may not be called: {reason}")
        return list(dict.fromkeys(addresses))[:ADDRESSES_MAX]

    async def _addresses(self, host: str) -> Sequence[str]:
        lookup = self._awaited.get(host)
        if lookup is None:
            lookup = asyncio.create_task(self._in_a_thread(host))
            self._awaited[host] = lookup
            lookup.add_done_callback(lambda ended: self._forget(host, ended))
        # One of the calls that wait for it may be closed without harm to the others.
        return await asyncio.shield(lookup)

    def _forget(self, host: str, ended: asyncio.Task[Sequence[str]]) -> None:
        del self._awaited[host]
        if not ended.cancelled():
            ended.exception()  # seen, even where the calls that waited for it are closed

    async def _in_a_thread(self, host: str) -> Sequence[str]:
        """Look up in a daemon thread: one that hangs must not keep the process from ending."""
        async with self._room:
            answer: asyncio.Future[Sequence[str]] = asyncio.get_running_loop().create_future()
            Thread(target=self._ask, args=(host, answer), name="lookup", daemon=True).start()
            return await answer

    def _ask(self, host: str, answer: asyncio.Future[Sequence[str]]) -> None:
        try:
            found = self._look_up(host)
        except Exception as error:  # noqa: BLE001 - handed to who asked
            _settle(answer, partial(answer.set_exception, error))
        else:
            _settle(answer, partial(answer.set_result, found))


def _settle(answer: asyncio.Future[Sequence[str]], settle: Callable[[], None]) -> None:
    """Settle a future of another thread's loop."""

    def settle_there() -> None:
        if not answer.done():  # else nobody waits for it any more
            settle()

    with contextlib.suppress(RuntimeError):  # the loop is closed
        answer.get_loop().call_soon_threadsafe(settle_there)


@lru_cache(maxsize=4096)
def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
