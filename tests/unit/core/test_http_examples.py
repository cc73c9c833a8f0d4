"""What docs/http-targets.md shows is so."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from punctual.adapters.targets import exchange, room, turns
from punctual.core import breaker, calls, secrets, signing
from punctual.core.calls import (
    Answer,
    CallError,
    ErrorType,
    Verdict,
    header_refusal,
    judge,
)
from punctual.core.secrets import authorization, tenant_in_names
from punctual.core.signing import signature, signing_keys
from punctual.services.gone import says_gone
from tests.support.api_client import ApiClient
from tests.support.apis import an_app
from tests.support.calls import a_call
from tests.support.clock import FakeClock
from tests.support.embedded_engine import memory_engine
from tests.support.sinks import ROOT

PAGE = (ROOT / "docs" / "http-targets.md").read_text(encoding="utf-8")
ACCOUNT = "111122223333"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_ICAgICAgICAgICAgICAgICAgICAgICAg"

Check = Callable[..., bool]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def rows(first: str) -> list[list[str]]:
    """Return the cells of the table that begins with this heading."""
    table = PAGE[PAGE.index(f"| {first} |") :].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


@pytest.fixture(scope="module")
def check() -> Check:
    shown: dict[str, Any] = {}
    (code,) = blocks("python")
    exec(compile(code, "docs/http-targets.md", "exec"), shown)
    found: Check = shown["is_from_punctual"]
    return found


def signed(body: bytes, *, secret: str, at: int = 1_796_115_600) -> dict[str, str]:
    timestamp = str(at)
    return {
        "webhook-id": "report.20261201T090000Z",
        "webhook-timestamp": timestamp,
        "webhook-signature": signature(
            signing_keys(secret),
            webhook_id="report.20261201T090000Z",
            timestamp=timestamp,
            body=body,
        ),
    }


def test_the_job_shown_can_be_created(tmp_path: Path) -> None:
    job = json.loads(blocks("json")[0])
    with memory_engine(FakeClock(), tmp_path) as engine:
        api = ApiClient(app=an_app(engine)).for_account(ACCOUNT)

        answer = api("PUT", "/v1/jobs/reports", job)

    assert answer.status == 201
    shown = answer.json["target"]
    assert {name: shown[name] for name in job["target"]} == job["target"]


def test_a_job_may_set_none_of_our_headers() -> None:
    *ours, (last, _) = rows("header")
    names = [name for cell, _ in ours for name in re.findall("`([^`]+)`", cell)]

    assert len(names) == 8
    assert all(header_refusal(name, "x") == "set by Punctual on every call" for name in names)
    assert last.startswith("`Authorization`")
    assert header_refusal("Authorization", "x") is None


def test_the_secrets_shown_can_be_sent_and_signed_with() -> None:
    _, named, file = map(json.loads, blocks("json"))
    token, key = file.values()

    assert authorization(json.dumps(named | {"value": "x"})) == ("X-Api-Key", "x")
    assert authorization(token) == ("Authorization", "Bearer a token")
    assert signing_keys(key)
    assert all(re.fullmatch(secrets.ARN, arn) for arn in file)
    assert tenant_in_names("a:b|c") == "a=3Ab=7Cc"


def test_the_check_shown_takes_what_is_signed_now_or_with_either_key(check: Check) -> None:
    body, now = b'{"a": 1}', 1_796_115_600

    assert check(signed(body, secret=SECRET), body, secret=SECRET, now=now + 300)
    both = signed(body, secret=f"{OTHER_SECRET} {SECRET}")
    assert check(both, body, secret=SECRET, now=now)
    assert check(both, body, secret=OTHER_SECRET, now=now)


@pytest.mark.parametrize(
    ("changes", "body", "late"),
    [
        ({}, b'{"a": 2}', 0),
        ({}, b'{"a": 1}', 301),
        ({}, b'{"a": 1}', -301),
        ({"webhook-id": "other"}, b'{"a": 1}', 0),
        ({"webhook-timestamp": "1796115601"}, b'{"a": 1}', 0),
        ({"webhook-timestamp": "soon"}, b'{"a": 1}', 0),
        ({"webhook-signature": "v1,AAAA"}, b'{"a": 1}', 0),
        ({"webhook-signature": ""}, b'{"a": 1}', 0),
    ],
)
def test_the_check_shown_refuses_everything_else(
    check: Check, changes: dict[str, str], body: bytes, late: int
) -> None:
    headers = signed(b'{"a": 1}', secret=SECRET) | changes

    assert not check(headers, body, secret=SECRET, now=1_796_115_600 + late)


def statuses(cell: str, *, others: set[int]) -> set[int]:
    """Read `2xx`, `408, 425` and `500 to 599`; `any other` stands for what no other row names."""
    found: set[int] = set()
    for part in cell.split(", "):
        first, _, last = part.partition(" to ")
        if part == "any other":
            found |= others
        elif part.endswith("xx"):
            found |= set(range(int(part[0]) * 100, int(part[0]) * 100 + 100))
        else:
            found |= set(range(int(first), int(last or first) + 1))
    return found


def test_every_status_is_read_as_the_table_says() -> None:
    left = set(range(100, 600))
    for cell, attempt, then in rows("answer"):
        for status in statuses(cell, others=left):
            answer = Answer(status_code=status)
            verdict = judge(a_call(), answer)
            assert (verdict is Verdict.SUCCEEDED) is (attempt == "succeeded"), status
            assert (verdict is Verdict.RETRYABLE) is (then == "tried again"), status
            assert (verdict is Verdict.FINAL) is then.startswith("final"), status
            assert says_gone(a_call(), answer) is ("paused" in then), status
            left.discard(status)
    assert left == set()


def test_every_error_is_read_as_the_table_says() -> None:
    verdicts = {
        "tried again": Verdict.RETRYABLE,
        "tried again; the last one makes the run `timed_out`": Verdict.TIMED_OUT,
        "final": Verdict.FINAL,
        "waits, and no attempt is counted": Verdict.PUT_OFF,
    }
    for name, _, then in rows("`error.type`"):
        kind = ErrorType(name.strip("`"))
        again_in = timedelta(seconds=5) if kind is ErrorType.HOST_DOWN else None
        answer = Answer(error=CallError(type=kind, message="so"), again_in=again_in)

        assert judge(a_call(), answer) is verdicts[then], kind


@pytest.mark.parametrize(
    ("sentence", "figures"),
    [
        ("After {} calls in a row", [breaker.FAILURES]),
        ("within {:.0f} s, a host", [breaker.WINDOW]),
        ("is left alone for {:.0f} s;", [breaker.REST_MIN]),
        ("twice as long, up to {:.0f} s", [breaker.REST_MAX]),
        ("no connection within {:.0f} s", [exchange.CONNECT_MAX]),
        ("A body is read up to {:.0f} MB", [calls.BODY_READ_MAX / 1e6]),
        ("{} bytes are kept with the run", [calls.BODY_KEPT_MAX]),
        ("A process holds {:.0f} MB", [room.ROOM / 1e6]),
        ("the base64 of {} to {} random bytes", [signing.KEY_MIN, signing.KEY_MAX]),
        ("for {} days at most", [calls.RETRY_AFTER_MAX.days]),
    ],
)
def test_figures_are_those_of_the_code(sentence: str, figures: list[float]) -> None:
    assert sentence.format(*figures) in PAGE


def test_words_for_figures_are_those_of_the_code() -> None:
    assert turns.PASSED_BY == 8, "lets eight others begin first"
    assert turns.UNHEARD_AT_ONCE == 16, "gets 16 at once"
    assert signing.KEYS_MAX == 4, "Four at most"
