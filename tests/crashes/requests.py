"""Requests to the API, as events of the gateway in front of it."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

from tests.crashes.outside import RunKey, Wish
from tests.crashes.stories import Json, User

Api = Callable[[Json], Any]


def ask(api: Api, user: User, wish: Wish) -> int:
    """Ask for what a user wants; return the status of the answer."""
    path = f"/v1/jobs/{user.job}"
    verb, _, name = wish.verb.partition(" ")
    match verb:
        case "create" if user.key is not None:
            event = _event("POST", "/v1/jobs", body=wish.body, key=user.key)
        case "create" | "edit":
            event = _event("PUT", path, body=wish.body)
        case "delete":
            event = _event("DELETE", path)
        case "cancel":
            run = RunKey(user.job, 1, name).run_id
            event = _event("POST", f"/v1/runs/{run}/cancel")
        case _:
            event = _event("POST", f"{path}/{verb}")
    status: int = api(event)["statusCode"]
    return status


def read(api: Api, path: str, **query: str) -> Json | None:
    """Return what is at a path; None where there is nothing."""
    response = api(_event("GET", path, query=urlencode(query)))
    if response["statusCode"] == 404:
        return None
    assert response["statusCode"] == 200, response
    answer: Json = json.loads(response["body"])
    return answer


def pages(api: Api, path: str) -> Iterator[Json]:
    """Yield the pages of a listing."""
    query: dict[str, str] = {"limit": "100"}
    while (page := read(api, path, **query)) is not None:
        yield page
        if page["next_cursor"] is None:
            return
        query["cursor"] = page["next_cursor"]


def _event(
    method: str, path: str, *, body: Json | None = None, key: str | None = None, query: str = ""
) -> Json:
    headers = {"content-type": "application/json"}
    if key is not None:
        headers["idempotency-key"] = key
    event: Json = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "127.0.0.1"},
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = dict(part.split("=") for part in query.split("&"))
    if body is not None:
        event["body"] = json.dumps(body)
    return event
