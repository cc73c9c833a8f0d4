"""What happened is counted under fixed names; nothing that has no bounds becomes a dimension."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from punctual.core.calls import CallError
from punctual.core.runs import OPEN, RunState
from punctual.runtime.observability import (
    LATENESS_VALUES_MAX,
    count,
    metrics,
    report_dispatch,
    report_execute,
    report_outcomes,
    report_tick,
)
from punctual.services.dispatch import Dispatched
from punctual.services.execute import Handled
from punctual.services.watch import Looked
from tests.support.builders import SECOND, a_job_key, a_run, a_run_key
from tests.support.clock import NINE


@pytest.fixture(autouse=True)
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A provider that knows where it is, and counts nothing yet."""
    monkeypatch.setattr(metrics.provider, "namespace", "Punctual")
    monkeypatch.setattr(metrics.provider, "service", "tests")
    metrics.provider.clear_metrics()
    yield
    metrics.provider.clear_metrics()


def written(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return what was counted, as the line that CloudWatch reads it from."""
    capsys.readouterr()
    metrics.provider.flush_metrics()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 1
    line: dict[str, Any] = json.loads(lines[0]) if lines else {}
    return {name: value for name, value in line.items() if name not in {"_aws", "service"}}


def test_nothing_that_happened_is_nothing_that_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    count("RunsStarted", 0)
    report_dispatch(Dispatched(), Looked(), shards=[1])
    report_execute(Handled(), unreadable=0)

    assert written(capsys) == {}


def test_a_tick_counts_the_groups(capsys: pytest.CaptureFixture[str]) -> None:
    report_tick(minute="2026-12-01T09:00:00+00:00", groups=4)

    assert written(capsys) == {"GroupsWoken": [4.0]}


def test_a_dispatch_is_counted_by_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    dispatched = Dispatched(
        jobs=3, slots=30, left_out=7, claims_lost=2, failed=1, finished=False,
        parked={a_job_key(): "because"},
    )  # fmt: skip

    report_dispatch(dispatched, Looked(rows=2, sent=5), shards=[1])

    assert written(capsys) == {
        "SlotsHandedOver": [30.0],
        "SlotsLeftOut": [7.0],
        "ClaimsLost": [2.0],
        "VisitsFailed": [1.0],
        "JobsParked": [1.0],
        "RunsSentAgain": [5.0],
        "DispatchesCutShort": [1.0],
    }


def test_a_look_that_was_cut_short_counts_like_a_dispatch_that_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report_dispatch(Dispatched(), Looked(finished=False), shards=[1])

    assert written(capsys) == {"DispatchesCutShort": [1.0]}


def test_a_batch_is_counted_by_its_first_attempts_and_their_lateness(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A retry is late by its own wish."""
    on_time = a_run(state="running", starts=(NINE,))
    late = a_run(state="running", starts=(NINE + 2 * SECOND,))
    again = a_run(state="running", attempt=2, starts=(NINE, NINE + 60 * SECOND))

    handled = Handled(started=[on_time, late, again], held=[late], voided=1, superseded=2)
    report_execute(handled, unreadable=3)

    assert written(capsys) == {
        "StartLateness": [0.0, 2000.0],
        "RunsStarted": [2.0],
        "RunsAccepted": [1.0],
        "RunsVoided": [1.0],
        "OutcomesSuperseded": [2.0],
        "MessagesUnreadable": [3.0],
    }


def test_a_run_that_was_put_off_did_not_start(capsys: pytest.CaptureFixture[str]) -> None:
    """Each look of one that waits would count as a late start."""
    waiting = a_run(state=RunState.RUNNING, attempt=1, starts=(NINE + SECOND,))

    report_execute(Handled(started=[waiting], waiting=[waiting]), unreadable=0)

    assert written(capsys) == {"RunsPutOff": [1.0]}


def test_no_batch_holds_more_values_than_the_format_allows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = [a_run(state="running", key=a_run_key(name=f"m.{n}")) for n in range(500)]

    report_execute(Handled(started=runs), unreadable=0)

    counted = written(capsys)
    assert len(counted["StartLateness"]) == LATENESS_VALUES_MAX
    assert counted["RunsStarted"] == [500.0]


def test_every_outcome_has_a_count_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    ended = [a_run(state=state) for state in RunState if state not in OPEN]

    report_outcomes([*ended, *ended])

    assert written(capsys) == {
        name: [2.0]
        for name in (
            "RunsSucceeded",
            "RunsFailed",
            "RunsTimedOut",
            "RunsCancelled",
            "RunsMissed",
            "RunsSkipped",
            "RunsUnknown",
        )
    }


def test_an_outcome_that_someone_may_want_to_look_at_is_told_without_its_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = CallError(type="connection", message="5ecret.example.com did not answer")

    report_outcomes([a_run(state="succeeded"), a_run(state="failed", error=error, reason=None)])

    (line,) = [vars(record) for record in caplog.records]
    assert (line["run_id"], line["tenant"]) == ("report.20261201T090000Z", "acme")
    assert (line["state"], line["error_type"], line["attempt"]) == ("failed", "connection", 1)
    assert "5ecret" not in str(line)
