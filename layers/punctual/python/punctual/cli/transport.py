"""Requests over the network, with the one layer of retries that the command line has."""

from http import HTTPStatus

import urllib3

from punctual.cli.client import Request, Response, Transport, Unreachable

TIMEOUT = urllib3.Timeout(connect=5, read=30)

RETRIES = urllib3.Retry(
    total=3,
    redirect=0,
    allowed_methods=None,  # every request of ours may be repeated
    status_forcelist=[HTTPStatus.SERVICE_UNAVAILABLE],
    backoff_factor=0.1,
    retry_after_max=10,
    raise_on_redirect=False,
    raise_on_status=False,
)
"""At once, after 0.2 s, after 0.4 s; a `Retry-After` is honoured up to 10 s."""


def over_the_network() -> Transport:
    """Return a transport that keeps its connection."""
    pool = urllib3.PoolManager(timeout=TIMEOUT, retries=RETRIES)

    def send(request: Request) -> Response:
        try:
            response = pool.request(
                request.method, request.url, headers=dict(request.headers), body=request.body
            )
        except urllib3.exceptions.LocationValueError:
            raise Unreachable(f"{request.url} is no address of an API") from None
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"no answer from {_origin(request.url)}: {_why(error)}") from error
        return Response(status=response.status, body=response.data)

    return send


def _origin(url: str) -> str:
    parts = urllib3.util.parse_url(url)
    return f"{parts.scheme}://{parts.netloc}"


def _why(error: urllib3.exceptions.HTTPError) -> str:
    """Say what is behind an error, without the objects that its text names."""
    reason = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else error
    cause = reason.__cause__ if reason is not None else None
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    if isinstance(reason, urllib3.exceptions.TimeoutError):
        return "it took too long"
    return type(reason).__name__
