"""HTTP on one machine: what API Gateway is in the cloud, in front of the same API."""

import asyncio
import base64
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

App = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Takes an HTTP API event (payload version 2.0) and gives its response."""

BODY_MAX = 256 * 1024
"""The API refuses longer bodies; no more than one byte beyond is read, for it to see that."""

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
"""What a request may call this host, and where a page that sends one may come from."""


def gateway(app: App, *, pool: Executor) -> web.Application:
    """Serve `app`, each request on a thread of `pool`."""

    async def answer(request: web.Request) -> web.Response:
        if (refusal := _refusal(request)) is not None:
            return refusal
        body = await _read(request)
        loop = asyncio.get_running_loop()
        return _response(await loop.run_in_executor(pool, app, _event(request, body)))

    served = web.Application()
    served.router.add_route("*", "/{path:.*}", answer)
    return served


def _refusal(request: web.Request) -> web.Response | None:
    """Refuse what a web page elsewhere made a browser on this machine send.

    Nobody is asked who they are here, so nobody else's page may ask for anything: neither under a
    name of its own that resolves to loopback, nor from its own origin.
    """
    if not _is_local(f"//{request.host}"):
        return _problem(421, "This host answers to localhost only")
    origin = request.headers.get("Origin")
    if origin is not None and not _is_local(origin):
        return _problem(403, "This host takes no requests from other sites' pages")
    return None


def _is_local(url: str) -> bool:
    try:
        return urlsplit(url).hostname in LOCAL_HOSTS
    except ValueError:  # an address in brackets that is none
        return False


def _problem(status: int, title: str) -> web.Response:
    problem = {"type": "about:blank", "title": title, "status": status}
    return web.json_response(problem, status=status, content_type="application/problem+json")


async def _read(request: web.Request) -> bytes:
    body = b""
    while len(body) <= BODY_MAX and (chunk := await request.content.read(BODY_MAX + 1)):
        body += chunk
    return body


def _event(request: web.Request, body: bytes) -> dict[str, Any]:
    """Write a request the way the gateway does; repeated headers and parameters are joined."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        lower = name.lower()
        headers[lower] = f"{headers[lower]},{value}" if lower in headers else value
    query: dict[str, str] = {}
    for name, value in request.rel_url.query.items():
        query[name] = f"{query[name]},{value}" if name in query else value
    text, is_base64 = _text(body)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.rel_url.path,
        "rawQueryString": request.rel_url.raw_query_string,
        "headers": headers,
        "requestContext": {
            "domainName": request.host,
            "http": {
                "method": request.method,
                "path": request.rel_url.path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.remote or "",
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": "",
            "routeKey": "$default",
            "stage": "$default",
        },
        "isBase64Encoded": is_base64,
    }
    if query:
        event["queryStringParameters"] = query
    if body:
        event["body"] = text
    return event


def _text(body: bytes) -> tuple[str, bool]:
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


def _response(answer: Mapping[str, Any]) -> web.Response:
    body = answer.get("body") or ""
    response = web.Response(
        status=answer["statusCode"],
        body=base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode(),
    )
    for name, value in (answer.get("headers") or {}).items():
        response.headers[name] = value
    for cookie in answer.get("cookies") or ():
        response.headers.add("Set-Cookie", cookie)
    return response
