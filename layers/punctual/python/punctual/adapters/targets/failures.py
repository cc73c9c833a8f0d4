"""What went wrong with a call, in a sentence that tells no secret.

No sentence quotes a URL, a header or a body, nor what a library says in its own words, which may
quote them. A certificate's fault is quoted: it names the host at most.
"""

import asyncio
import os
import socket
import ssl
from datetime import timedelta

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientPayloadError,
    ClientResponseError,
    ConnectionTimeoutError,
    InvalidURL,
)

from punctual.adapters.targets.hosts import HostDown
from punctual.adapters.targets.lookups import AddressRefused
from punctual.core.calls import CallError, ErrorType
from punctual.core.secrets import SecretMissing, SecretUnavailable, SecretUnusable


class ConnectionBroke(Exception):
    """A connection that was there broke before the answer began; the request may have arrived."""


def timed_out(timeout: timedelta, *, answering: bool) -> CallError:
    """Return what is said of a call that was not over within its time."""
    seconds = f"{timeout.total_seconds():g} s"
    message = f"no whole answer within {seconds}" if answering else f"no answer within {seconds}"
    return CallError(type=ErrorType.TIMEOUT, message=message)


def failure(error: BaseException) -> CallError:
    """Return what is said of a call that `error` ended."""
    if (fault := _connection_fault(error)) is not None:
        return CallError(type=ErrorType.CONNECTION, message=fault)
    match error:
        case asyncio.CancelledError():
            return CallError(type=ErrorType.ABORTED, message="the call was closed by Punctual")
        case AddressRefused():
            return CallError(type=ErrorType.REFUSED_ADDRESS, message=str(error))
        case HostDown():
            return CallError(type=ErrorType.HOST_DOWN, message=str(error))
        case SecretMissing():
            return CallError(type=ErrorType.SECRET_MISSING, message=f"the secret: {error}")
        case SecretUnavailable():
            return CallError(type=ErrorType.SECRET, message=f"the secret: {error}")
        case SecretUnusable():
            return CallError(type=ErrorType.SECRET_UNUSABLE, message=f"the secret {error}")
        case InvalidURL() | ValueError():
            return CallError(
                type=ErrorType.INVALID_REQUEST, message="the request cannot be written as HTTP"
            )
        case _:
            return CallError(
                type=ErrorType.INTERNAL, message=f"the call failed ({type(error).__name__})"
            )


def _connection_fault(error: BaseException) -> str | None:
    match error:
        case ClientConnectorCertificateError():
            return f"the target's certificate does not hold{_certificate_fault(error)}"
        case ClientConnectorSSLError():
            return f"no TLS with the target{_tls_fault(error.os_error)}"
        case ClientConnectorError():
            return f"no connection to the target{_system_fault(error.os_error)}"
        case ConnectionTimeoutError():
            return "no connection to the target: it does not answer"
        case ConnectionBroke():
            return "the connection broke before an answer came"
        case ClientPayloadError():
            return "the answer broke off"
        case ClientResponseError():
            return "the answer is not HTTP"
        case socket.gaierror():
            return f"the target's name cannot be resolved: {error.strerror}"
        case OSError():
            return f"the connection broke{_system_fault(error)}"
        case _:
            return None


def _certificate_fault(error: ClientConnectorCertificateError) -> str:
    fault: str = getattr(error.certificate_error, "verify_message", "")
    return f": {fault.removesuffix('.')}" if fault else ""


def _tls_fault(error: OSError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    return f": {reason.replace('_', ' ').lower()}" if reason else ""


def _system_fault(error: OSError) -> str:
    return f": {os.strerror(error.errno)}" if error.errno else ""
