"""What all HTTP calls share: the client, its connections, the names that were looked up."""

import ssl

from aiohttp import ClientSession, DummyCookieJar

from punctual.adapters.targets.connections import Connector
from punctual.adapters.targets.credentials import Credentials
from punctual.adapters.targets.exchange import Client, exchange
from punctual.adapters.targets.hosts import Hosts
from punctual.adapters.targets.keeping import Keeper
from punctual.adapters.targets.lookups import LookUp, Lookups
from punctual.adapters.targets.room import Room
from punctual.adapters.targets.turns import Turns
from punctual.core.calls import Answer, Call, HttpCall
from punctual.ports import Clock, Results, Secrets

UNREAD_MAX = 2**14
"""Bytes of an answer that wait to be read; what lies beyond stays in the network."""


class HttpCarrier:
    """Fills `Carrier` for HTTP."""

    def __init__(
        self,
        *,
        allow_private: bool,
        secrets: Secrets,
        results: Results,
        clock: Clock,
        tls: ssl.SSLContext | None,
        look_up: LookUp,
    ) -> None:
        connector = Connector(tls=tls)
        self._room = Room()
        self._keeper = Keeper(results)
        self._client = Client(
            session=_open_session(connector),
            connector=connector,
            credentials=Credentials(secrets, clock=clock, cloud=not allow_private),
            hosts=Hosts(),
            lookups=Lookups(look_up, allow_private=allow_private),
            turns=Turns(),
            cloud=not allow_private,
        )

    async def carry(self, call: Call, *, deadline: float) -> Answer:
        """See `Carrier.carry`."""
        assert isinstance(call, HttpCall), "other calls have other carriers"
        with self._room.body() as body:
            answer = await exchange(call, body, deadline=deadline, client=self._client)
            return await self._keeper.kept(answer, deadline=deadline)

    def leave(self) -> None:
        """See `Carrier.leave`; to HTTP it is all the same."""

    async def close(self) -> None:
        """See `Carrier.close`."""
        await self._client.session.close()


def _open_session(connector: Connector) -> ClientSession:
    """Open a client that does what it is told and nothing of its own accord.

    No cookies, no proxies, no credentials from the environment, no inflated bodies; redirects,
    second sendings and name lookups are turned off with each request.
    """
    return ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        headers={"Accept-Encoding": "identity"},
        skip_auto_headers=("Content-Type",),  # a call with a body says what it is
        auto_decompress=False,
        trust_env=False,
        read_bufsize=UNREAD_MAX,
    )
