"""Host names to addresses that may be called."""

import socket
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import ip_address

from punctual.adapters.targets.shared import Shared
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
        self._allow_private = allow_private
        self._found: Shared[Sequence[str]]
        self._found = Shared(look_up, name="lookup", at_once=LOOKUPS_MAX)

    async def vetted(self, host: str) -> Sequence[str]:
        """Return the addresses to connect to for `host`, a name or an address, best first.

        Raises:
            AddressRefused: One of its addresses, be it the last, may not be called.
            OSError: The name has no address, or no name server answered.
        """
        addresses = [host] if _is_address(host) else await self._found.answer(host)
        for address in addresses:
            if reason := refusal(address, allow_private=self._allow_private):
                raise AddressRefused(f"the address may not be called: {reason}")
        return list(dict.fromkeys(addresses))[:ADDRESSES_MAX]


@lru_cache(maxsize=4096)
def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
