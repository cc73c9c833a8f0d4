"""The HTTP API, spoken to: requests out, JSON in, refusals as errors."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

_GATEWAY = re.compile(r"[a-z0-9-]+\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?")

PAGE = 100
"""Items asked for at once: as many as the API gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, ready to send. Every one of ours may be sent twice without harm."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What came back."""

    status: int
    body: bytes


Transport = Callable[[Request], Response]
"""Sends a request, again if need be; raises `Unreachable` when no answer comes."""


class Unreachable(Exception):
    """No answer came from the API."""


class Refused(Exception):
    """The API answered that it will not."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(problem["title"])
        self.problem = problem
        """An RFC 9457 problem; `title` and `status` are always there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API answered to a request that it accepted."""

    status: int
    value: Any = field(default=None)
    """The JSON of the body; None when there is none."""

    @property
    def created(self) -> bool:
        """Whether the request brought something into being."""
        return self.status == HTTPStatus.CREATED


def gateway_region(url: str) -> str | None:
    """Return the region that an address of API Gateway names; None for any other address."""
    match = _GATEWAY.fullmatch(urlsplit(url).hostname or "")
    return match[1] if match else None


class Client:
    """Speaks to one API; the connection is made when the first request needs it."""

    def __init__(self, base_url: str, *, connect: Callable[[], Transport]) -> None:
        """Take the address of the API, up to what stands before `/v1`."""
        self._base_url = base_url.rstrip("/")
        self._connect = connect

    @cached_property
    def _send(self) -> Transport:
        return self._connect()

    def get(self, *path: str, **query: str | int | None) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON at a path.

        Args:
            path: Its parts after `/v1`, unescaped.
            query: Parameters; those that are None are left out.
        """
        return self.call("GET", *path, query=query).value

    def call(
        self,
        method: str,
        *path: str,
        query: Mapping[str, str | int | None] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and return its answer.

        Raises:
            Refused: The API will not.
            Unreachable: There was no answer.
        """
        sent = {"Accept": "application/json", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        response = self._send(
            Request(
                method=method,
                url=self._url(path, query or {}),
                headers=sent,
                body=None if body is None else json.dumps(body).encode(),
            )
        )
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise Refused(_problem(response))
        if not response.body:
            return Answer(status=response.status)
        return Answer(status=response.status, value=_json(response.body))

    def pages(
        self, *path: str, limit: int | None, **query: str | int | None
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the pages of a listing until it ends, or `limit` items were given."""
        cursor: str | None = None
        wanted = limit
        while wanted is None or wanted > 0:
            size = PAGE if wanted is None else min(PAGE, wanted)
            page = self.get(*path, limit=size, cursor=cursor, **query)
            yield page
            if wanted is not None:
                wanted -= len(page["items"])
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def _url(self, path: tuple[str, ...], query: Mapping[str, str | int | None]) -> str:
        parts = "/".join(quote(part, safe="") for part in ("v1", *path))
        given = {name: value for name, value in query.items() if value is not None}
        return f"{self._base_url}/{parts}" + (
            f"?{urlencode(given, quote_via=quote)}" if given else ""
        )


def _problem(response: Response) -> Mapping[str, Any]:
    """Read a refusal; what stands in front of the API answers in ways of its own."""
    title = "The answer did not come from Punctual"
    try:
        problem = json.loads(response.body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    if isinstance(problem.get("title"), str):
        title = problem["title"]
    elif isinstance(problem.get("message"), str):  # how API Gateway says no by itself
        title = problem["message"]
    return {**problem, "title": title, "status": response.status}


def _json(body: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(body)
    except ValueError:
        raise Unreachable("what answers there is not Punctual: it does not speak JSON") from None
