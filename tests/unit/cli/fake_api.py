"""An API that answers what a test says and remembers what it was asked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from punctual.cli.client import Request, Response, Transport


@dataclass(frozen=True)
class Asked:
    """One request, read back."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass
class FakeApi:
    """Gives its answers in turn; the last one again and again."""

    answers: list[Response] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    connected_to: str | None = None

    def connect(self, url: str, **_: Any) -> Transport:
        self.connected_to = url
        return self.send

    def send(self, request: Request) -> Response:
        parts = urlsplit(request.url)
        self.asked.append(
            Asked(
                method=request.method,
                path=parts.path,
                query=dict(parse_qsl(parts.query)),
                headers=request.headers,
                body=json.loads(request.body) if request.body else None,
            )
        )
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def answering(*values: Any, status: int = 200) -> FakeApi:
    """Return an API whose answers hold these values."""
    return FakeApi([answer(value, status=status) for value in values])


def answer(value: Any, *, status: int = 200) -> Response:
    return Response(status=status, body=b"" if value is None else json.dumps(value).encode())


def a_problem(**fields: Any) -> dict[str, Any]:
    return {"type": "about:blank", "title": "Job not found", "status": 404} | fields


def a_job(**fields: Any) -> dict[str, Any]:
    return {
        "id": "hello",
        "name": None,
        "state": "active",
        "schedule": {"every_seconds": 30, "timezone": "UTC"},
        "target": {"type": "http", "url": "https://example.com/hook", "method": "POST"},
        "tags": {},
        "revision": 1,
        "next_run_at": "2026-12-01T09:00:30Z",
    } | fields


def a_run(**fields: Any) -> dict[str, Any]:
    return {
        "id": "hello.20261201T090030Z",
        "job_id": "hello",
        "state": "succeeded",
        "reason": None,
        "scheduled_at": "2026-12-01T09:00:30Z",
        "lateness_seconds": 0.004,
        "duration_seconds": 0.012,
        "attempt": 1,
        "result": {"status_code": 200, "body": "ok", "truncated": False},
        "error": None,
    } | fields


def listing(*items: Any, cursor: str | None = None, **more: Any) -> dict[str, Any]:
    return {"items": list(items), "next_cursor": cursor, **more}
