"""Carries out calls on one event loop: the client, its connections, the calls that are going on."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from functools import partial

from aiohttp import ClientSession, DummyCookieJar

from punctual.adapters.targets.connections import Connector
from punctual.adapters.targets.exchange import Client, exchange, send_once
from punctual.adapters.targets.failures import failure
from punctual.adapters.targets.lookups import LookUp, Lookups
from punctual.adapters.targets.turns import Turns
from punctual.core.calls import Answer, Call

UNREAD_MAX = 2**14
"""Bytes of an answer that wait to be read; what lies beyond stays in the network."""

CLOSE_MAX = 0.4
"""Seconds that calls and connections get to end in when all are closed; they need far less."""


class Caller:
    """The calls that are going on. Belongs to the loop it was made on, and to its thread."""

    def __init__(
        self,
        *,
        allow_private: bool,
        tls: ssl.SSLContext | None,
        look_up: LookUp,
        hand_on: Callable[[Sequence[tuple[Call, Answer]]], None],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        connector = Connector(tls=tls)
        self._client = Client(
            session=_open_session(connector),
            connector=connector,
            lookups=Lookups(look_up, allow_private=allow_private),
            turns=Turns(),
            cloud=not allow_private,
        )
        self._hand_on = hand_on
        self._going_on: dict[int, tuple[Call, asyncio.Task[Answer]]] = {}
        """By the identity of the call: equal ones may go on side by side."""
        self._ended: list[tuple[Call, Answer]] = []

    def begin(self, calls: Sequence[Call], *, launched_at: float) -> None:
        """Start every call.

        Args:
            calls: None of them is going on.
            launched_at: When their time began, on the clock of the loop, which is monotonic.
        """
        for call in calls:
            deadline = launched_at + call.timeout.total_seconds()
            task = self.loop.create_task(exchange(call, deadline=deadline, client=self._client))
            self._going_on[id(call)] = (call, task)
            task.add_done_callback(partial(self._end, call))

    def abort(self, call: Call) -> None:
        """Close a call that is going on; one that is not is left as it is."""
        if id(call) in self._going_on:
            self._going_on[id(call)][1].cancel()

    def stop(self) -> None:
        """Close every call that is going on, and every connection."""
        self._stopped.set()

    async def work(self) -> None:
        """Carry out calls until stopped; all of them have ended then, and been handed on."""
        await self._stopped.wait()
        tasks = [task for _, task in self._going_on.values()]
        for task in tasks:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_MAX):
                await asyncio.gather(*tasks, return_exceptions=True)
                await self._client.session.close()
        self._hand_on_ended()

    def _end(self, call: Call, task: asyncio.Task[Answer]) -> None:
        del self._going_on[id(call)]
        # A task that is closed before its first step ends without an answer of its own.
        fault = asyncio.CancelledError() if task.cancelled() else task.exception()
        if not self._ended:  # those that end in the same turn of the loop are handed on together
            self.loop.call_soon(self._hand_on_ended)
        self._ended.append((call, task.result() if fault is None else Answer(error=failure(fault))))

    def _hand_on_ended(self) -> None:
        ended, self._ended = self._ended, []
        self._hand_on(ended)


def _open_session(connector: Connector) -> ClientSession:
    """Open a client that does what it is told and nothing of its own accord.

    No cookies, no proxies, no credentials from the environment, no inflated bodies, no second
    sending; redirects and name lookups are turned off with each request.
    """
    return ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
        middlewares=(send_once,),
        read_bufsize=UNREAD_MAX,
    )
