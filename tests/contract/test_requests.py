"""Requests with a key: the first of a key is remembered, for three days at least."""

from dataclasses import replace
from typing import Any

from punctual.core.requests import KEPT, Request
from tests.support.builders import MINUTE, SECOND, a_job_key
from tests.support.clock import NINE
from tests.support.engines import Engine


def a_request(**fields: Any) -> Request:
    values: dict[str, Any] = {
        "job": a_job_key(),
        "incarnation": 1,
        "digest": "d" * 64,
        "fingerprint": "f" * 64,
        "run": "m.20261201T090000000.0123456789abcdef",
        "expires_at": NINE + KEPT,
    }
    return Request(**values | fields)


def find(engine: Engine, request: Request) -> Request | None:
    return engine.requests.find(request.job, digest=request.digest)


def test_whoever_comes_first_is_remembered_and_told_to_all_who_come_after(engine: Engine) -> None:
    first = a_request()
    second = a_request(fingerprint="e" * 64, run="m.other", expires_at=NINE + KEPT + MINUTE)
    assert find(engine, first) is None

    assert engine.requests.remember(first) == first
    assert engine.requests.remember(second) == first
    assert engine.requests.remember(first) == first, "an answer may be lost"

    assert find(engine, second) == first


def test_a_key_holds_beyond_the_life_of_the_job_that_was_asked(engine: Engine) -> None:
    first = a_request()
    engine.requests.remember(first)

    assert engine.requests.remember(a_request(incarnation=11, run="m.later")) == first


def test_a_key_means_something_else_to_another_job(engine: Engine) -> None:
    first = a_request()
    others = [
        a_request(job=a_job_key("other"), run="m.1"),
        a_request(job=a_job_key(tenant="Bänk & Söhne"), run="m.2"),
        a_request(digest="c" * 64, run="m.4"),
    ]
    engine.requests.remember(first)

    assert [engine.requests.remember(other) for other in others] == others

    assert [find(engine, request) for request in (first, *others)] == [first, *others]


def test_a_key_is_free_again_once_its_time_is_up(engine: Engine) -> None:
    first = a_request()
    engine.requests.remember(first)
    engine.clock.set(first.expires_at - SECOND)
    assert find(engine, first) == first

    engine.clock.set(first.expires_at)

    assert find(engine, first) is None
    later = replace(first, run="m.later", expires_at=first.expires_at + KEPT)
    assert engine.requests.remember(later) == later
    assert find(engine, first) == later
