"""A client of the API within the process: requests as events of an HTTP API, answers read back."""

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from punctual.api.app import App
from tests.support.clock import NINE

NOTHING: Any = object()
"""No body at all; None is the JSON `null`."""

JOB: dict[str, Any] = {
    "schedule": {"every_seconds": 60},
    "target": {"type": "http", "url": "https://example.com/hook"},
}
"""The least that makes a job."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def pointers(self) -> list[str]:
        """The fields at fault, in the order told."""
        return [error["pointer"] for error in self.json["errors"]]


@dataclass(frozen=True, kw_only=True)
class ApiClient:
    """Sends requests to an API, as one caller."""

    app: App
    authorizer: Mapping[str, Any] | None = None
    """Who the gateway verified the caller to be."""

    def for_account(self, account: str) -> "ApiClient":
        """Return the same API's client with another caller: an AWS account."""
        return replace(self, authorizer={"iam": {"accountId": account}})

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = NOTHING,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        raw: str | None = None,
    ) -> Answer:
        """Send a request.

        Args:
            method: Such as `GET`.
            path: As the gateway gives it: without escapes.
            body: Sent as JSON.
            query: As in the URL.
            headers: Beside the content type of a body.
            raw: Sent as it is, in the place of `body`.
        """
        text = raw if raw is not None or body is NOTHING else json.dumps(body)
        event = an_event(method, path, text, query=query, headers=headers or {})
        if self.authorizer is not None:
            event["requestContext"]["authorizer"] = self.authorizer
        response = self.app(event)
        content = response.get("body") or ""
        encoded = response.get("isBase64Encoded")
        return Answer(
            status=response["statusCode"],
            headers=response.get("headers") or {},
            content=b64decode(content) if encoded else content.encode(),
        )

    def put(self, job_id: str = "report", **fields: Any) -> dict[str, Any]:
        """Put a job, and return it."""
        answer = self("PUT", f"/v1/jobs/{job_id}", JOB | fields)
        assert answer.status in {200, 201}, answer.content
        job: dict[str, Any] = answer.json
        return job

    def get(self, path: str, *, query: str = "") -> Any:
        """Get what is at a path."""
        answer = self("GET", path, query=query)
        assert answer.status == 200, answer.content
        return answer.json


def an_event(
    method: str, path: str, body: str | None = None, *, query: str, headers: Mapping[str, str]
) -> dict[str, Any]:
    """Return a request as the gateway hands it over, who asks left out."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {name.lower(): value for name, value in headers.items()},
        "requestContext": {
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1"},
            "stage": "$default",
            "timeEpoch": int(NINE.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }
    if body is not None:
        event["headers"].setdefault("content-type", "application/json")
        event["body"] = body
    return event
