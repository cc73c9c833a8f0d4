"""What the host prints: one line per run, in the order the runs ended."""

import sys
from collections.abc import Sequence
from typing import TextIO

from punctual.core.runs import Run, RunState

LINES_AT_ONCE = 100
"""Of more runs that end together the rest is summed up: a terminal takes no thousands a second."""


class Terminal:
    """Prints lines as a whole, so that those of several threads never mix."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out

    def say(self, *lines: str) -> None:
        """Print lines at once."""
        if lines:
            self._out.write("\n".join(lines) + "\n")
            self._out.flush()

    def runs(self, ended: Sequence[Run], retrying: Sequence[Run]) -> None:
        """Print what became of runs."""
        lines = [line(run) for run in (*ended, *retrying)]
        rest = len(lines) - LINES_AT_ONCE
        if rest > 0:
            lines[LINES_AT_ONCE:] = [f"… and {rest} more runs in the same moment"]
        self.say(*lines)


def line(run: Run) -> str:
    """Write one run: `09:00:00.004 report.20261201T090000Z succeeded 200 in 12 ms, 4 ms late`."""
    if run.state is RunState.RETRYING:
        failure = run.failures[-1]
        at, wait = failure.finished_at, (failure.retry_at - failure.finished_at).total_seconds()
        outcome = (
            f"attempt {failure.attempt} failed ({failure.error.message}), again in {wait:.1f} s"
        )
    else:
        at = run.finished_at or run.scheduled_at
        outcome = " ".join(filter(None, (run.state.value, _detail(run), _times(run))))
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03d} {run.key.run_id} {outcome}"


def _detail(run: Run) -> str:
    if run.error is not None:
        return f"({run.error.message})"
    if run.result is not None:
        return str(run.result.status_code)
    return f"({run.reason})" if run.reason else ""


def _times(run: Run) -> str:
    if not run.starts or run.finished_at is None:
        return ""
    took = (run.finished_at - run.starts[-1]).total_seconds() * 1000
    late = (run.starts[0] - run.scheduled_at).total_seconds() * 1000
    attempts = f" at attempt {run.attempt}" if run.attempt > 1 else ""
    return f"in {took:.0f} ms, {late:.0f} ms late{attempts}"
