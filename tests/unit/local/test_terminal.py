"""One line per run, in the words and numbers that the docstrings show."""

import io
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from punctual.core.calls import CallError
from punctual.core.runs import Run, RunState
from punctual.local import terminal
from punctual.local.terminal import LINES_A_SECOND, WAITING_MAX, Terminal, line
from tests.support.builders import a_failure, a_result, a_run
from tests.support.clock import NINE


def ms(number: float) -> timedelta:
    return timedelta(milliseconds=number)


def an_ended(state: str = RunState.SUCCEEDED, **fields: Any) -> Run:
    """Return a run that started 4 ms after nine and ended 12 ms later."""
    times: dict[str, Any] = {"starts": (NINE + ms(4),), "finished_at": NINE + ms(16)}
    return a_run(state=state, **times | fields)


def printed(*parts: Sequence[Run]) -> list[str]:
    """Return what is printed of runs that end part by part."""
    out = io.StringIO()
    opened = Terminal(out)
    opened.start()
    for runs in parts:
        opened.runs(*runs)
    opened.finish(within=10)
    return out.getvalue().splitlines()


def test_a_run_that_succeeded_is_told_with_its_status_and_its_lateness() -> None:
    assert line(an_ended()) == (
        "09:00:00.016 report.20261201T090000Z succeeded 200 in 12 ms, 4 ms late"
    )


def test_a_second_attempt_is_told_as_that_and_lateness_is_the_first_ones() -> None:
    run = an_ended(starts=(NINE + ms(4), NINE + ms(2_000)), finished_at=NINE + ms(2_010), attempt=2)

    assert line(run) == (
        "09:00:02.010 report.20261201T090000Z succeeded 200 in 10 ms, 4 ms late at attempt 2"
    )


def test_a_run_that_failed_is_told_with_its_error() -> None:
    error = CallError(type="http_status", message="the target answered with status 500")
    run = an_ended(RunState.FAILED, error=error, result=a_result(500))

    assert line(run) == (
        "09:00:00.016 report.20261201T090000Z failed (the target answered with status 500)"
        " in 12 ms, 4 ms late"
    )


def test_a_run_whose_target_reports_back_is_told_once_it_was_accepted() -> None:
    run = a_run(state=RunState.RUNNING, starts=(NINE + ms(4),))

    assert line(run) == "09:00:00.004 report.20261201T090000Z accepted at attempt 1, reports back"


def test_a_run_that_never_started_is_told_with_its_reason() -> None:
    run = a_run(state=RunState.MISSED, starts=(), finished_at=NINE + ms(5), reason="deadline")

    assert line(run) == "09:00:00.005 report.20261201T090000Z missed (deadline)"


def test_a_run_that_is_tried_again_is_told_with_its_wait() -> None:
    failure = a_failure(finished_at=NINE + ms(20), after=ms(1_500))
    run = a_run(state=RunState.RETRYING, failures=(failure,))

    assert line(run) == (
        "09:00:00.020 report.20261201T090000Z attempt 1 failed (the target answered 503),"
        " again in 1.5 s"
    )


def test_of_thousands_that_end_in_a_second_some_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([7.0, 7.9, 8.1])
    monkeypatch.setattr(terminal, "monotonic", lambda: next(seconds))
    run = an_ended()

    lines = printed([run] * (LINES_A_SECOND - 1), [run] * 901, [run])

    assert len(lines) == LINES_A_SECOND + 2
    assert lines[-2:] == ["… and 900 more runs in the same moment", line(run)]


def test_nothing_to_tell_is_no_line() -> None:
    assert printed() == []


class Held(io.StringIO):
    """A terminal that takes nothing until it is let go, such as one that was stopped by Ctrl-S."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def write(self, text: str) -> int:
        self.let_go.wait()
        return super().write(text)


def test_nobody_waits_for_a_terminal_that_is_held() -> None:
    out = Held()
    terminal = Terminal(out)
    terminal.start()

    for number in range(2 * WAITING_MAX):
        terminal.say(f"line {number}")
    out.let_go.set()
    terminal.finish(within=10)

    lines = out.getvalue().splitlines()
    assert lines[0] == "line 0"
    lost = [text for text in lines if text.endswith("more lines, not printed")]
    assert len(lost) == 1
    assert len(lines) - 1 + int(lost[0].split()[2]) == 2 * WAITING_MAX


class Gone(io.StringIO):
    """A pipe whose reader has gone away."""

    def write(self, _: str) -> int:
        raise BrokenPipeError


def test_a_reader_that_has_gone_away_stops_nothing() -> None:
    terminal = Terminal(Gone())
    terminal.start()

    for number in range(2 * WAITING_MAX):
        terminal.say(f"line {number}")
    terminal.finish(within=0.01)
    terminal.join(10)

    assert not terminal.is_alive()
