"""Names become addresses that may be called, or a refusal."""

import asyncio
import socket
from collections.abc import Sequence
from threading import Lock, Semaphore

import pytest

from punctual.adapters.targets.lookups import (
    ADDRESSES_MAX,
    LOOKUPS_MAX,
    AddressRefused,
    LookUp,
    Lookups,
)


def vetted(look_up: LookUp, *hosts: str, allow_private: bool = False) -> list[Sequence[str]]:
    """Look the hosts up side by side."""

    async def look_all_up() -> list[Sequence[str]]:
        lookups = Lookups(look_up, allow_private=allow_private)
        return await asyncio.gather(*(lookups.vetted(host) for host in hosts))

    return asyncio.run(look_all_up())


def nobody(host: str) -> Sequence[str]:
    raise AssertionError(f"{host} was looked up")


def test_an_address_is_not_looked_up_but_vetted() -> None:
    assert vetted(nobody, "93.184.216.34", "2606:4700::1111") == [
        ["93.184.216.34"],
        ["2606:4700::1111"],
    ]
    with pytest.raises(AddressRefused, match="the address may not be called: loopback"):
        vetted(nobody, "127.0.0.1")


def test_addresses_stay_in_the_order_of_the_resolver_each_once() -> None:
    found = ["93.184.216.34", "2606:4700::1111", "93.184.216.34", "1.1.1.1"]

    assert vetted(lambda _: found, "many.test") == [["93.184.216.34", "2606:4700::1111", "1.1.1.1"]]


def test_no_more_addresses_are_tried_than_there_is_time_for() -> None:
    found = [f"93.184.216.{number}" for number in range(1, 100)]

    assert vetted(lambda _: found, "many.test") == [found[:ADDRESSES_MAX]]


def test_private_addresses_are_for_one_machine_and_metadata_is_for_none() -> None:
    assert vetted(lambda _: ["10.0.0.7"], "here.test", allow_private=True) == [["10.0.0.7"]]
    with pytest.raises(AddressRefused, match="private"):
        vetted(lambda _: ["10.0.0.7"], "here.test")
    with pytest.raises(AddressRefused, match="metadata"):
        vetted(lambda _: ["10.0.0.7", "169.254.169.254"], "here.test", allow_private=True)


@pytest.mark.parametrize("strange", ["", "localhost", "1.2.3", "0x7f000001", "1.1.1.1 ", "::g"])
def test_what_is_no_address_is_refused_though_a_resolver_gave_it(strange: str) -> None:
    with pytest.raises(AddressRefused, match="not an IP address"):
        vetted(lambda _: [strange], "strange.test")


def test_every_call_that_shares_a_look_up_hears_that_it_failed() -> None:
    def look_up(host: str) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def ask() -> list[object]:
        lookups = Lookups(look_up, allow_private=False)
        both = (lookups.vetted("gone.test") for _ in range(2))
        return list(await asyncio.gather(*both, return_exceptions=True))

    assert [type(error) for error in asyncio.run(ask())] == [socket.gaierror] * 2


def test_names_that_no_server_answers_for_hold_up_only_so_many_threads() -> None:
    lock = Lock()
    go_on = Semaphore(0)
    at_once: list[int] = []
    waiting = 0

    def look_up(host: str) -> Sequence[str]:
        nonlocal waiting
        with lock:
            waiting += 1
            at_once.append(waiting)
            if waiting == LOOKUPS_MAX:
                go_on.release(10 * LOOKUPS_MAX)
        assert go_on.acquire(timeout=20)
        with lock:
            waiting -= 1
        return ["1.1.1.1"]

    hosts = [f"name-{number}.test" for number in range(2 * LOOKUPS_MAX)]

    assert vetted(look_up, *hosts) == [["1.1.1.1"]] * len(hosts)
    assert max(at_once) == LOOKUPS_MAX
