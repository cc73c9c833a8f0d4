"""Every fault is told in a sentence that can be shown to anybody."""

import asyncio
import errno
import socket
import ssl
from datetime import timedelta

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from punctual.adapters.targets.failures import ConnectionBroke, failure, timed_out
from punctual.adapters.targets.lookups import AddressRefused
from punctual.core.calls import CallError, ErrorType

SECRET = "s3cr3t"
URL_WITH_SECRET = URL(f"https://user:{SECRET}@target.test/{SECRET}?token={SECRET}")
KEY = ConnectionKey("target.test", 443, True, True, None, None, None)
REQUEST = aiohttp.RequestInfo(
    URL_WITH_SECRET, "GET", CIMultiDictProxy(CIMultiDict(a=SECRET)), URL_WITH_SECRET
)


def a_certificate_fault() -> ssl.SSLCertVerificationError:
    fault = ssl.SSLCertVerificationError(1, f"[SSL: CERTIFICATE_VERIFY_FAILED] {SECRET}")
    fault.verify_message = "certificate has expired"
    return fault


def a_tls_fault() -> ssl.SSLError:
    fault = ssl.SSLError(1, f"[SSL] {SECRET}")
    fault.reason = "WRONG_VERSION_NUMBER"
    return fault


FAULTS: list[tuple[BaseException, ErrorType, str]] = [
    (
        aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, SECRET)),
        ErrorType.CONNECTION,
        "no connection to the target: Connection refused",
    ),
    (
        aiohttp.ClientConnectorError(KEY, OSError(SECRET)),
        ErrorType.CONNECTION,
        "no connection to the target",
    ),
    (
        aiohttp.ConnectionTimeoutError(f"Connection timeout to host {URL_WITH_SECRET}"),
        ErrorType.CONNECTION,
        "no connection to the target: it does not answer",
    ),
    (
        aiohttp.ClientConnectorCertificateError(KEY, a_certificate_fault()),
        ErrorType.CONNECTION,
        "the target's certificate does not hold: certificate has expired",
    ),
    (
        aiohttp.ClientConnectorCertificateError(KEY, ssl.CertificateError(SECRET)),
        ErrorType.CONNECTION,
        "the target's certificate does not hold",
    ),
    (
        aiohttp.ClientConnectorSSLError(KEY, a_tls_fault()),
        ErrorType.CONNECTION,
        "no TLS with the target: wrong version number",
    ),
    (
        aiohttp.ClientConnectorSSLError(KEY, OSError(SECRET)),
        ErrorType.CONNECTION,
        "no TLS with the target",
    ),
    (ConnectionBroke(), ErrorType.CONNECTION, "the connection broke before an answer came"),
    (aiohttp.ClientPayloadError(SECRET), ErrorType.CONNECTION, "the answer broke off"),
    (
        aiohttp.ClientResponseError(REQUEST, (), status=400, message=SECRET),
        ErrorType.CONNECTION,
        "the answer is not HTTP",
    ),
    (
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        ErrorType.CONNECTION,
        "the target's name cannot be resolved: Name or service not known",
    ),
    (
        OSError(errno.ENETUNREACH, SECRET),
        ErrorType.CONNECTION,
        "the connection broke: Network is unreachable",
    ),
    (asyncio.CancelledError(), ErrorType.ABORTED, "the call was closed by Punctual"),
    (
        AddressRefused("the address may not be called: loopback"),
        ErrorType.REFUSED_ADDRESS,
        "the address may not be called: loopback",
    ),
    (
        aiohttp.InvalidURL(URL_WITH_SECRET),
        ErrorType.INVALID_REQUEST,
        "the request cannot be written as HTTP",
    ),
    (
        ValueError(f"Newline in header {SECRET}"),
        ErrorType.INVALID_REQUEST,
        "the request cannot be written as HTTP",
    ),
    (KeyError(SECRET), ErrorType.INTERNAL, "the call failed (KeyError)"),
    (aiohttp.ClientError(SECRET), ErrorType.INTERNAL, "the call failed (ClientError)"),
]


@pytest.mark.parametrize(("fault", "kind", "sentence"), FAULTS)
def test_a_fault_is_told_without_what_a_library_says_of_it(
    fault: BaseException, kind: ErrorType, sentence: str
) -> None:
    told = failure(fault)

    assert told == CallError(type=kind, message=sentence)
    assert SECRET not in told.message


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(30.0, "30"), (0.5, "0.5"), (840.0, "840"), (1.25, "1.25")]
)
def test_a_deadline_is_told_with_its_length(timeout: float, seconds: str) -> None:
    waited = timedelta(seconds=timeout)

    assert timed_out(waited, answering=False).message == f"no answer within {seconds} s"
    assert timed_out(waited, answering=True).message == f"no whole answer within {seconds} s"
