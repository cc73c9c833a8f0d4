"""HTTP on one machine becomes the events that API Gateway would send."""

import asyncio
import base64
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from punctual.local.gateway import BODY_MAX, gateway

LOCAL = {"Host": "127.0.0.1:8400"}


@dataclass
class App:
    """Answers what a test says, and keeps the events."""

    answer: Mapping[str, Any] = field(default_factory=lambda: {"statusCode": 204})
    events: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, event: dict[str, Any]) -> Mapping[str, Any]:
        self.events.append(event)
        return self.answer


@dataclass(frozen=True)
class Reply:
    """What came back; the names of headers are in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def ask(
    app: App,
    path: Path,
    *,
    method: str = "GET",
    at: str = "/v1/jobs",
    headers: Mapping[str, str] | list[tuple[str, str]] = LOCAL,
    body: bytes | None = None,
) -> Reply:
    """Send one request to a gateway before `app`, over a Unix socket."""

    async def exchange() -> Reply:
        with ThreadPoolExecutor(1) as pool:
            runner = web.AppRunner(gateway(app, pool=pool), access_log=None)
            await runner.setup()
            await web.UnixSite(runner, str(path / "socket")).start()
            connector = aiohttp.UnixConnector(str(path / "socket"))
            try:
                async with (
                    aiohttp.ClientSession(connector=connector) as session,
                    session.request(
                        method, f"http://127.0.0.1{at}", headers=headers, data=body
                    ) as reply,
                ):
                    headers_read = [(name.lower(), text) for name, text in reply.headers.items()]
                    return Reply(reply.status, headers_read, await reply.read())
            finally:
                await runner.cleanup()

    return asyncio.run(exchange())


def test_a_request_becomes_an_event_of_payload_version_2(tmp_path: Path) -> None:
    app = App()

    ask(
        app,
        tmp_path,
        method="PUT",
        at="/v1/jobs/hello?tag=team%20x&limit=5",
        headers=LOCAL | {"Content-Type": "application/json", "If-Match": '"3"'},
        body=b'{"name": "gr\xc3\xbcn"}',
    )

    (event,) = app.events
    assert event["version"] == "2.0"
    assert event["rawPath"] == "/v1/jobs/hello"
    assert event["rawQueryString"] == "tag=team%20x&limit=5"
    assert event["queryStringParameters"] == {"tag": "team x", "limit": "5"}
    assert event["requestContext"]["http"]["method"] == "PUT"
    assert event["requestContext"]["http"]["path"] == "/v1/jobs/hello"
    assert event["requestContext"]["domainName"] == "127.0.0.1:8400"
    assert event["headers"]["content-type"] == "application/json"
    assert event["headers"]["if-match"] == '"3"'
    assert event["body"] == '{"name": "grün"}'
    assert event["isBase64Encoded"] is False


def test_a_body_that_is_no_text_goes_as_base64(tmp_path: Path) -> None:
    app = App()

    ask(app, tmp_path, method="POST", body=b"\xff\x00")

    assert app.events[0]["isBase64Encoded"] is True
    assert base64.b64decode(app.events[0]["body"]) == b"\xff\x00"


def test_what_is_repeated_is_joined_by_commas(tmp_path: Path) -> None:
    app = App()

    ask(
        app,
        tmp_path,
        at="/v1/jobs?tag=a&tag=b",
        headers=[*LOCAL.items(), ("X-Team", "one"), ("X-Team", "two")],
    )

    assert app.events[0]["queryStringParameters"] == {"tag": "a,b"}
    assert app.events[0]["headers"]["x-team"] == "one,two"


def test_a_request_without_body_and_parameters_has_neither(tmp_path: Path) -> None:
    app = App()

    ask(app, tmp_path)

    assert not {"body", "queryStringParameters"} & app.events[0].keys()


def test_of_a_body_over_the_limit_just_so_much_is_read_that_the_api_sees_it(tmp_path: Path) -> None:
    app = App()

    ask(app, tmp_path, method="POST", body=b"x" * (3 * BODY_MAX))

    assert BODY_MAX < len(app.events[0]["body"]) <= 2 * BODY_MAX + 1


def test_an_answer_comes_back_as_it_is(tmp_path: Path) -> None:
    app = App(
        {
            "statusCode": 201,
            "headers": {"Content-Type": "application/json", "ETag": '"1"'},
            "cookies": ["a=1", "b=2"],
            "body": '{"id": "hello"}',
        }
    )

    reply = ask(app, tmp_path)

    assert reply.status == 201
    assert reply.body == b'{"id": "hello"}'
    assert {("content-type", "application/json"), ("etag", '"1"')} <= set(reply.headers)
    assert [value for name, value in reply.headers if name == "set-cookie"] == ["a=1", "b=2"]


def test_an_answer_in_base64_comes_back_as_bytes(tmp_path: Path) -> None:
    body = base64.b64encode(b"\xff\x00").decode()

    reply = ask(App({"statusCode": 200, "body": body, "isBase64Encoded": True}), tmp_path)

    assert reply.body == b"\xff\x00"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8400", "LOCALHOST", "[::1]:8400"])
def test_the_host_answers_to_the_names_of_this_machine(host: str, tmp_path: Path) -> None:
    assert ask(App(), tmp_path, headers={"Host": host}).status == 204


@pytest.mark.parametrize("host", ["rebound.example", "127.0.0.1.example:8400", "[bad", "10.0.0.1"])
def test_a_name_that_only_resolves_to_this_machine_is_refused(host: str, tmp_path: Path) -> None:
    """Else a web page could reach this host under its own name, and read what it answers."""
    app = App()

    reply = ask(app, tmp_path, headers={"Host": host})

    assert reply.status == 421
    assert json.loads(reply.body)["status"] == 421
    assert app.events == []


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.example"])
def test_a_page_from_elsewhere_may_ask_for_nothing(origin: str, tmp_path: Path) -> None:
    """Else a web page could have a browser on this machine pause a job."""
    app = App()

    reply = ask(app, tmp_path, method="POST", headers=LOCAL | {"Origin": origin})

    assert reply.status == 403
    assert app.events == []


def test_a_page_from_this_host_may_ask(tmp_path: Path) -> None:
    assert ask(App(), tmp_path, headers=LOCAL | {"Origin": "http://localhost:8400"}).status == 204
