"""The judge of a drill: it has nothing to say where all is well, and finds every breach."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.kills.calls import Call
from tests.kills.judge import Evidence, Stop, judge
from tests.support.clock import NINE
from tests.support.host import instant

RUN = "report.20261201T090000Z"

LEASE = timedelta(seconds=8)


def at(seconds: float) -> datetime:
    """Return an instant so long after the slot."""
    return NINE + timedelta(seconds=seconds)


def a_call(number: int, *, attempt: int, arrived: float, ended: float, **fields: Any) -> Call:
    """Return a call of the run, with times from its slot on."""
    given: dict[str, Any] = {"keys": frozenset({RUN}), "job_id": "report", "slot": NINE} | fields
    return Call(number=number, attempt=attempt, arrived=at(arrived), ended=at(ended), **given)


def a_run(*, starts: Sequence[float], result_of: int | None, **fields: Any) -> dict[str, Any]:
    """Return the run as the API tells it, its attempts started so long after its slot."""
    return {
        "id": RUN,
        "state": "succeeded",
        "attempt": len(starts),
        "attempts": [
            {"number": number, "started_at": instant(at(start))}
            for number, start in enumerate(starts, start=1)
        ],
        "result": None if result_of is None else {"status_code": 200, "body": str(result_of)},
    } | fields


CUT = a_call(1, attempt=1, arrived=0.1, ended=0.5, cut=True)

TAKEN_OVER = a_call(2, attempt=2, arrived=9, ended=9.4)

WELL = Evidence(
    slots={"report": {NINE}},
    at_most_once=set(),
    calls=[CUT, TAKEN_OVER],
    runs=[a_run(starts=[0, 8.9], result_of=2)],
    lease_least=LEASE,
)
"""A run whose first attempt died, and whose second one has its outcome."""

STALE = replace(WELL, calls=[TAKEN_OVER, a_call(3, attempt=1, arrived=9.2, ended=9.6)], stops=())
"""The first attempt calls while the second one is at it."""


def test_a_run_that_was_taken_over_is_as_promised_and_counted() -> None:
    figures = judge(WELL)

    assert figures.complaints == []
    assert (figures.slots, figures.outcomes) == (1, {"succeeded": 1})
    assert (figures.lost, figures.doubled, figures.keys_differing) == (0, 0, 0)
    assert (figures.calls, figures.repeated_calls, figures.cut_calls) == (2, 1, 1)
    assert figures.longest_recovery_seconds == pytest.approx(8.5)
    assert figures.latest_start_seconds == pytest.approx(0.1)


def test_a_slot_without_an_outcome_is_lost() -> None:
    without_row = judge(replace(WELL, runs=[], calls=[]))
    without_end = judge(replace(WELL, runs=[a_run(starts=[0], result_of=None, state="running")]))

    assert (without_row.lost, without_end.lost) == (1, 1)
    assert without_row.complaints == [f"{RUN} has no outcome: no run"]
    assert without_end.complaints == [f"{RUN} has no outcome: running"]


def test_an_outcome_that_changed_or_that_no_slot_asked_for_is_doubled() -> None:
    changed = judge(replace(WELL, seen=[a_run(starts=[0], result_of=1)]))
    extra = judge(replace(WELL, slots={"report": set()}))
    listed_twice = judge(replace(WELL, runs=[*WELL.runs, *WELL.runs]))

    assert (changed.doubled, extra.doubled, listed_twice.doubled) == (1, 1, 1)
    assert changed.complaints == [f"the outcome of {RUN} changed"]
    assert f"{RUN} has an outcome and is no slot" in extra.complaints
    assert listed_twice.complaints == ["1 runs are listed twice"]


def test_a_call_under_another_name_is_found() -> None:
    other = a_call(2, attempt=2, arrived=9, ended=9.4, keys=frozenset({RUN, "other"}))

    figures = judge(replace(WELL, calls=[CUT, other]))

    assert figures.keys_differing == 1
    assert f"{RUN} was called by another name" in figures.complaints


def test_a_call_ahead_of_its_slot_or_for_none_is_found() -> None:
    early = judge(replace(WELL, calls=[a_call(2, attempt=2, arrived=-0.5, ended=0.1)]))
    for_none = judge(
        replace(WELL, calls=[*WELL.calls, a_call(3, attempt=1, arrived=1, ended=2, slot=at(1))])
    )

    assert early.complaints == [f"{RUN} was called 0.5 s before its slot"]
    (complaint,) = for_none.complaints
    assert complaint.endswith("was called and is no slot")


def test_a_second_call_where_one_at_most_was_promised_is_found() -> None:
    figures = judge(replace(WELL, at_most_once={"report"}))

    assert figures.complaints == [f"{RUN} was called 2 times, and once at most was promised"]


def test_attempts_that_go_on_together_or_come_in_no_order_are_found() -> None:
    together = replace(CUT, ended=at(9.1))
    backwards = a_call(3, attempt=1, arrived=10, ended=10.1)

    assert judge(replace(WELL, calls=[together, TAKEN_OVER])).complaints == [
        f"{RUN}: attempts 1 and 2 went on together"
    ]
    assert f"{RUN}: attempt 1 came after attempt 2" in (
        judge(replace(WELL, calls=[TAKEN_OVER, backwards])).complaints
    )
    assert f"{RUN}: two calls were of one attempt: [1, 2, 1]" in (
        judge(replace(WELL, calls=[CUT, TAKEN_OVER, backwards])).complaints
    )


def test_only_a_stop_that_outlived_the_lease_excuses_an_attempt_that_calls_too_late() -> None:
    long = Stop(since=at(0.1), until=at(9.1))
    short = Stop(since=at(0.1), until=at(4))
    another = Stop(since=at(-20), until=at(-5))

    excused = judge(replace(STALE, stops=[long]))

    assert (excused.complaints, excused.stale_calls) == ([], 1)
    for stops in ([], [short], [another]):
        figures = judge(replace(STALE, stops=stops))
        assert (len(figures.complaints), figures.stale_calls) == (2, 0)
    assert judge(replace(STALE, stops=[long], lease_least=None)).complaints


def test_the_result_of_a_stale_attempt_must_not_be_recorded() -> None:
    long = Stop(since=at(0.1), until=at(9.1))

    figures = judge(replace(STALE, stops=[long], runs=[a_run(starts=[0, 8.9], result_of=3)]))

    assert figures.complaints == [f"{RUN} has the result of attempt 1 of 2"]


def test_a_result_that_nobody_gave_is_found() -> None:
    without = judge(replace(WELL, runs=[a_run(starts=[0, 8.9], result_of=None)]))
    of_nobody = judge(replace(WELL, runs=[a_run(starts=[0, 8.9], result_of=7)]))

    assert without.complaints == [f"{RUN} succeeded without a result"]
    assert of_nobody.complaints == [f"{RUN} has a result that no call of its own had"]
