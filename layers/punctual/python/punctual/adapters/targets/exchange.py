"""One HTTP call: a request to a vetted address, and the answer to it, within one deadline."""

import asyncio
import socket
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from urllib.parse import quote

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientHandlerType,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    ServerDisconnectedError,
)
from yarl import URL

from punctual.adapters.targets.connections import Connector
from punctual.adapters.targets.credentials import Credentials
from punctual.adapters.targets.deadline import Deadline
from punctual.adapters.targets.failures import ConnectionBroke, failure, timed_out
from punctual.adapters.targets.hosts import HostDown, Hosts
from punctual.adapters.targets.lookups import ADDRESSES_MAX, AddressRefused, Lookups
from punctual.adapters.targets.room import Body
from punctual.adapters.targets.turns import Turns
from punctual.core.addresses import check_url
from punctual.core.calls import BODY_READ_MAX, Answer, CallError, HttpCall

CONNECT_MAX = 10.0
"""Seconds until a connection stands, TLS included; the addresses of a name share them."""

URLS_REMEMBERED = 1024
"""How many URLs are not read twice: most jobs call the same one each time."""

NEVER_SENT_AGAIN = frozenset({"POST", "PATCH"})
"""Methods whose requests the library does not send again of its own accord."""

TEXT_KEPT_MAX = 128
"""Characters kept of a header of the answer."""

_TIMEOUTS = {
    addresses: ClientTimeout(total=None, sock_connect=CONNECT_MAX / addresses)
    for addresses in range(1, ADDRESSES_MAX + 1)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What all calls share."""

    session: ClientSession
    connector: Connector
    credentials: Credentials
    hosts: Hosts
    lookups: Lookups
    turns: Turns
    cloud: bool
    """Whether only what may be called from the cloud may be called."""


async def exchange(call: HttpCall, body: Body, *, deadline: float, client: Client) -> Answer:
    """Carry out one call, and say what came of it, whatever that is.

    Cancelling it closes the call: the answer then has the error type `aborted`.

    Args:
        call: Its URL is checked once more, since its templates are filled by now.
        body: Takes the body of the answer.
        deadline: On the clock of the loop.
        client: What it is carried out with.
    """
    received = _Received(body)
    timeout = Deadline(deadline)
    host, error, again_in = None, None, None
    try:
        async with timeout:
            url = _readable(call.url, cloud=client.cloud)
            shown = await client.credentials.shown(call)
            is_probe = client.hosts.admit(_authority(url))
            host = _authority(url)
            addresses = await client.lookups.vetted(url.raw_host or "")
            async with client.turns.turn(host):
                if not is_probe:
                    client.hosts.admit(host)  # others may have found out meanwhile
                headers = client.credentials.headers(call, shown)
                answer = await _send(call, url, addresses, headers, session=client.session)
                await received.read(answer)
    except (Exception, asyncio.CancelledError) as fault:  # noqa: BLE001 - every end is an answer
        if isinstance(fault, TimeoutError) and timeout.expired:
            error = timed_out(call.timeout, answering=received.began)
        else:
            error = failure(fault)
        if isinstance(fault, HostDown):
            again_in = timedelta(seconds=fault.again_in)
        if host is not None and not received.began:
            _tell_of(host, fault, hosts=client.hosts)
    if host is not None and received.began:
        client.hosts.answered(host)
    if not received.whole:
        client.connector.cut()
    return received.answer(error, again_in=again_in)


def _tell_of(host: str, fault: BaseException, *, hosts: Hosts) -> None:
    """Tell what it says of a host that a call which was let go to it has no answer."""
    match fault:
        case ClientConnectorError() | TimeoutError() | socket.gaierror():
            hosts.found_nobody(host)
        case ConnectionBroke():  # whoever breaks a connection off is there
            hosts.answered(host)
        case _:
            pass


def _authority(url: URL) -> str:
    """Return what a host is known by that is down: its name, and its port if that is no usual one.

    No secret is in it: templates stand in path and query only.
    """
    return url.host_port_subcomponent or ""


async def send_once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Keep the library from sending a request again that a broken connection may have delivered.

    It would do so, in one attempt of ours, for methods that HTTP calls idempotent. Whether to call
    again is for the run's retry policy, which tells the target the number of the attempt.
    """
    return await _sent(handler(request))


async def _sent(sending: Awaitable[ClientResponse]) -> ClientResponse:
    try:
        return await sending
    except ClientConnectorError:
        raise  # never sent, and the library does not try again
    except (ClientOSError, ServerDisconnectedError) as error:
        raise ConnectionBroke from error


@lru_cache(maxsize=URLS_REMEMBERED)
def _readable(url: str, *, cloud: bool) -> URL:
    """Return the URL as it stands, but for letters that no request line may hold."""
    if reason := check_url(url, cloud=cloud):
        raise AddressRefused(f"the URL is refused: {reason}")
    return URL(url if url.isascii() else _percent_encoded(url), encoded=True)


def _percent_encoded(url: str) -> str:
    return "".join(letter if letter.isascii() else quote(letter) for letter in url)


async def _send(
    call: HttpCall,
    url: URL,
    addresses: Sequence[str],
    headers: Iterable[tuple[str, str]],
    *,
    session: ClientSession,
) -> ClientResponse:
    """Send the request to the first address that is connected.

    The name is in the `Host` header, in SNI and in what the certificate must be valid for; a
    connection is kept for the name *and* the address, so that one is used again only by a call
    whose own lookup found that address and vetted it.
    """

    async def send_to(address: str) -> ClientResponse:
        return await _sent(
            session.request(
                call.method,
                url.with_host(address),
                headers=(("Host", _authority(url)), *headers),
                data=call.body or None,
                allow_redirects=False,
                server_hostname=url.raw_host,
                timeout=_TIMEOUTS[len(addresses)],
                # Where it does nothing it is left out, since it costs each request some.
                middlewares=() if call.method in NEVER_SENT_AGAIN else (send_once,),
            )
        )

    *others, last = addresses
    for address in others:
        try:
            return await send_to(address)
        except ClientConnectorCertificateError:
            raise
        except (ClientConnectorError, ConnectionTimeoutError):
            continue  # nothing was sent
    return await send_to(last)


class _Received:
    """What has come of an answer so far."""

    def __init__(self, body: Body) -> None:
        self._response: ClientResponse | None = None
        self._body = body

    @property
    def began(self) -> bool:
        """Whether the head of the answer is there."""
        return self._response is not None

    @property
    def whole(self) -> bool:
        """Whether the answer was read to its end."""
        return self._response is not None and self._response.content.at_eof()

    async def read(self, response: ClientResponse) -> None:
        """Read the body to its end, or a little further than `BODY_READ_MAX`."""
        self._response = response
        try:
            while self._body.length <= BODY_READ_MAX and not response.content.at_eof():
                self._body.add(await response.content.readany())
        finally:
            response.close()  # an answer that was read to its end has let go of its connection

    def answer(self, error: CallError | None, *, again_in: timedelta | None) -> Answer:
        """Return what came, and the error that ended it."""
        if self._response is None:
            return Answer(error=error, again_in=again_in)
        kept = self._body.take_out()
        return Answer(
            status_code=self._response.status,
            content_type=_text(self._response.headers.get("Content-Type")),
            retry_after=_text(self._response.headers.get("Retry-After")),
            body=kept,
            body_bytes=self._body.length,
            truncated=self._body.length > len(kept),
            error=error,
        )


def _text(header: str | None) -> str | None:
    """Return a header as text that can be stored: ASCII, printable, not long."""
    if header is None:
        return None
    kept = header[:TEXT_KEPT_MAX]
    return "".join(letter if " " <= letter <= "~" else "?" for letter in kept)
