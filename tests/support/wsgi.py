"""The API as a WSGI application: what a gateway does, for test tools that speak WSGI."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from punctual.api.app import App

StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Wsgi:
    """Serves an API whose callers need no identity; which one may be set anew at any time."""

    def __init__(self, app: App) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        response = self.app(_event(environ))
        body = response.get("body") or ""
        content = b64decode(body) if response.get("isBase64Encoded") else body.encode()
        status = HTTPStatus(response["statusCode"])
        headers = {"Content-Length": str(len(content))} | (response.get("headers") or {})
        start_response(f"{status.value} {status.phrase}", list(headers.items()))
        return [content]


def _event(environ: dict[str, Any]) -> dict[str, Any]:
    path = environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace")
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name == "CONTENT_TYPE" and value)
    }
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": environ.get("QUERY_STRING", ""),
        "headers": headers,
        "requestContext": {
            "http": {"method": environ["REQUEST_METHOD"], "path": path},
            "stage": "$default",
        },
        "isBase64Encoded": True,
    }
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if body:
        event["body"] = b64encode(body).decode()
    return event
