"""What the host prints: one line per run, in the order the runs ended."""

import sys
import threading
from queue import Full, Queue
from time import monotonic
from typing import TextIO

from punctual.core.runs import Run, RunState

LINES_A_SECOND = 500
"""Of more runs that end in one second the rest is summed up: a terminal takes no thousands, and to
write a line costs a run a twentieth of its time."""

WAITING_MAX = 1_000
"""Blocks of lines that wait for a slow terminal; what comes beyond them is only counted."""


class Terminal(threading.Thread):
    """Prints on a thread of its own, so that no run waits for a terminal that is slow or held."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        """Print to `out` once started; a reader that has gone away stops nothing but the lines."""
        super().__init__(name="terminal", daemon=True)
        self._out = out
        self._waiting: Queue[str | None] = Queue(WAITING_MAX)
        self._lost = 0
        self._second = 0
        self._left = LINES_A_SECOND

    def say(self, *lines: str) -> None:
        """Print lines as a whole, so that those of several threads never mix."""
        if not lines:
            return
        try:
            self._waiting.put_nowait("\n".join(lines))
        except Full:
            self._lost += len(lines)

    def runs(self, *runs: Run) -> None:
        """Print what became of runs."""
        second = int(monotonic())
        if second != self._second:
            self._second, self._left = second, LINES_A_SECOND
        lines = [line(run) for run in runs[: self._left]]
        self._left -= len(lines)
        if len(runs) > len(lines):
            lines.append(f"… and {len(runs) - len(lines)} more runs in the same moment")
        self.say(*lines)

    def finish(self, *, within: float) -> None:
        """Print what waits, for so many seconds at most, and end."""
        try:
            self._waiting.put(None, timeout=within)
        except Full:
            return
        self.join(within)

    def run(self) -> None:
        """Print what was said until finished."""
        while (text := self._waiting.get()) is not None:
            if self._lost:
                text, self._lost = f"{text}\n… and {self._lost} more lines, not printed", 0
            try:
                self._out.write(text + "\n")
                self._out.flush()
            except (OSError, ValueError):
                break  # nobody reads any more


def line(run: Run) -> str:
    """Write one run: `09:00:00.016 report.20261201T090000Z succeeded 200 in 12 ms, 4 ms late`."""
    if run.state is RunState.RUNNING:
        at = run.starts[-1]
        outcome = f"accepted at attempt {run.attempt}, reports back"
    elif run.state is RunState.RETRYING:
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
