"""Targets cost nothing until the first call, and say so when they cannot call."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from time import monotonic

import pytest
import uvloop

from punctual.core.calls import ErrorType
from tests.support.builders import SECOND
from tests.support.calls import a_call, answer_to
from tests.support.keeping import http_targets


def nobody(host: str) -> Sequence[str]:
    raise AssertionError(f"{host} was looked up")


def test_nothing_is_started_before_the_first_call() -> None:
    before = threading.enumerate()

    targets = http_targets(allow_private=False)
    assert targets.collect(wait=0 * SECOND) == []
    targets.close()

    assert threading.enumerate() == before


def test_nothing_is_started_once_all_is_closed() -> None:
    before = threading.enumerate()
    targets = http_targets(allow_private=False)
    targets.close()
    targets.close()

    with pytest.raises(RuntimeError, match="closed"):
        targets.launch([a_call()])

    assert threading.enumerate() == before


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/", "not https"),
        ("https://example.com:22/", "port 22 is not one of 443, 8443"),
        ("https://user:password@example.com/", "holds credentials"),
        ("https://example.com/{{run id}}", "holds a space, a control character or a backslash"),
        ("https://127.0.0.1/", "the address may not be called: loopback"),
        ("https://0x7f.1/", "the address may not be called: not an IP address"),
        ("gopher://example.com/", "not an absolute https URL"),
    ],
)
def test_a_url_is_checked_once_more_when_its_templates_are_filled(url: str, reason: str) -> None:
    with closing(http_targets(allow_private=False, look_up=nobody)) as targets:
        given = answer_to(targets, a_call(url))

    assert given.error is not None
    assert given.error.type == ErrorType.REFUSED_ADDRESS
    assert given.error.message == f"the URL is refused: {reason}"


def test_a_fault_of_our_own_ends_the_call_and_no_other() -> None:
    """A call that vanished would keep its run until its lease is over."""

    def look_up(host: str) -> Sequence[str]:
        if host == "broken.test":
            raise KeyError(host)
        return ["127.0.0.1"]

    with closing(http_targets(allow_private=False, look_up=look_up)) as targets:
        broken = answer_to(targets, a_call("https://broken.test/"))
        other = answer_to(targets, a_call("https://other.test/"))

    assert broken.error is not None
    assert (broken.error.type, broken.error.message) == (
        ErrorType.INTERNAL,
        "the call failed (KeyError)",
    )
    assert other.error is not None
    assert other.error.type == ErrorType.REFUSED_ADDRESS


def test_who_waits_for_answers_hears_that_none_can_come() -> None:
    def no_loop() -> asyncio.AbstractEventLoop:
        raise OSError("too many open files")

    targets = http_targets(allow_private=True, new_loop=no_loop)

    with pytest.raises(OSError, match="too many open files"):
        targets.launch([a_call()])
    with pytest.raises(RuntimeError, match="the thread that calls targets has died"):
        targets.collect(wait=20 * SECOND)
    targets.close()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_deadlines_are_kept_on_the_monotonic_clock(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """They are set in one thread and kept in another, on the clock of its loop."""
    with closing(new_loop()) as loop:
        assert abs(loop.time() - monotonic()) < 5


def test_a_function_that_calls_targets_does_not_pay_for_what_it_does_not_use() -> None:
    heavy = {"aws_lambda_powertools", "boto3", "botocore", "pydantic", "sqlite3"}
    script = "import sys, punctual.adapters.targets.http; print(*sys.modules)"

    imported = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()

    assert heavy.isdisjoint(imported)
