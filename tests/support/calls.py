"""Calls for tests, and their answers."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from punctual.core.calls import Answer, Call, HttpCall
from punctual.ports import Targets
from tests.support.builders import SECOND

PATIENCE = 20 * SECOND
"""How long a test waits for an answer that is sure to come."""


def a_call(url: str = "https://example.com/hook", **fields: Any) -> HttpCall:
    """Return a call that posts a little JSON to `url`, and has all the time it needs."""
    values: dict[str, Any] = {
        "tenant": "acme",
        "run_id": "report.20261201T090000Z",
        "attempt": 1,
        "method": "POST",
        "url": url,
        "headers": (("User-Agent", "Punctual"), ("Content-Type", "application/json")),
        "body": b'{"a": 1}',
        "timeout": PATIENCE,
        "success_codes": ("2xx",),
    }
    return HttpCall(**values | fields)


def answers_to(targets: Targets, calls: Sequence[Call]) -> list[Answer]:
    """Launch calls, and return their answers in the order of the calls."""
    targets.launch(calls)
    return collect_all(targets, calls)


def collect_all(
    targets: Targets, calls: Sequence[Call], *, patience: timedelta = PATIENCE
) -> list[Answer]:
    """Return the answers to calls that were launched, in their order; each comes once."""
    answers: dict[int, Answer] = {}
    while len(answers) < len(calls):
        came = targets.collect(wait=patience)
        assert came, f"{len(answers)} answers came, and not {len(calls)}"
        for call, answer in came:
            assert id(call) not in answers, "a second answer to one call"
            answers[id(call)] = answer
    return [answers[id(call)] for call in calls]


def answer_to(targets: Targets, call: Call) -> Answer:
    """Launch one call, and return its answer."""
    (answer,) = answers_to(targets, [call])
    return answer
