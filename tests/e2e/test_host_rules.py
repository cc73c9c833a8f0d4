"""Overlap rules and limits on one machine: the target's own log is the judge."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from tests.support.host import Host, from_now, host, instant, wait_until
from tests.support.sinks import Peer, Request, head, sink

pytestmark = pytest.mark.e2e

SLOTS = 8
"""Of each job of a run a second."""

TAKES_SECONDS = 3.0

LATE = timedelta(seconds=0.75)
"""A run of a loaded machine may start and end this much later than it should."""


NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass
class Span:
    """One call, as the target lives through it."""

    job_id: str
    slot: datetime
    began: datetime
    ended: datetime = NEVER


@dataclass
class Work:
    """A target that takes its time, and stops at once when its caller is gone."""

    seconds: float = TAKES_SECONDS
    spans: list[Span] = field(default_factory=list)
    most: dict[str, int] = field(default_factory=dict)
    """How many calls of a path went on at once, at the most."""
    _going_on: dict[str, int] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    async def __call__(self, request: Request, peer: Peer) -> None:
        """See `Behaviour`."""
        span = self._begin(request)
        sleeping = asyncio.create_task(asyncio.sleep(self.seconds))
        leaving = asyncio.create_task(peer.gone())
        await asyncio.wait({sleeping, leaving}, return_when=asyncio.FIRST_COMPLETED)
        self._end(request.target, span)
        is_done = sleeping.done()
        for task in (sleeping, leaving):
            task.cancel()
        # Nobody may be reading any more when the next request of the connection is read.
        await asyncio.gather(sleeping, leaving, return_exceptions=True)
        if is_done:
            await peer.send(head(200, ("Content-Length", "2")) + b"ok")

    def _begin(self, request: Request) -> Span:
        span = Span(
            request.header("Punctual-Job-Id"),
            datetime.fromisoformat(request.header("Punctual-Scheduled-At")),
            datetime.now(UTC),
        )
        with self._lock:
            count = self._going_on[request.target] = self._going_on.get(request.target, 0) + 1
            self.most[request.target] = max(count, self.most.get(request.target, 0))
            self.spans.append(span)
        return span

    def _end(self, target: str, span: Span) -> None:
        with self._lock:
            self._going_on[target] -= 1
            span.ended = datetime.now(UTC)

    def of(self, job_id: str) -> list[Span]:
        """Return the calls of a job, in their order."""
        with self._lock:
            return [span for span in self.spans if span.job_id == job_id]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Host]:
    with host(tmp_path) as started:
        yield started


def runs_of(running: Host, job_id: str) -> dict[datetime, Any]:
    """Return a job's runs by their slots, once all have their outcome."""
    wait_until(lambda: len(running.api.ended(job_id)) == SLOTS, within=90)
    return {datetime.fromisoformat(run["scheduled_at"]): run for run in running.api.ended(job_id)}


def test_each_overlap_rule_is_kept(running: Host) -> None:
    """Three jobs of a run a second, whose target takes three."""
    work = Work()
    with sink(work) as target:
        for rule in ("skip", "buffer_one", "cancel_other"):
            running.api.put(
                rule,
                schedule={"every_seconds": 1, "max_runs": SLOTS},
                target={"type": "http", "url": f"{target.url}/{rule}"},
                overlap=rule,
            )
        skip, buffer_one, cancel_other = (
            runs_of(running, rule) for rule in ("skip", "buffer_one", "cancel_other")
        )

    assert work.most == {"/skip": 1, "/buffer_one": 1, "/cancel_other": 1}
    for runs in (skip, buffer_one, cancel_other):
        others = {run["reason"] for run in runs.values() if run["state"] != "succeeded"}
        assert others == {"overlap"}

    calls = work.of("skip")
    assert {span.slot for span in calls} == _of(skip, "succeeded")
    for slot in _of(skip, "skipped"):
        assert any(span.began <= slot + LATE and slot <= span.ended for span in calls)

    calls = work.of("buffer_one")
    assert {span.slot for span in calls} == _of(buffer_one, "succeeded")
    for slot in _of(buffer_one, "skipped"):
        # One went on, and another one waited: it came before, and was called after.
        assert any(span.began <= slot + LATE and slot <= span.ended for span in calls)
        assert any(span.slot < slot and span.began >= slot - LATE for span in calls)

    calls = work.of("cancel_other")
    called = {span.slot for span in calls}
    # A run whose turn it was may be cancelled for a later one before it has made its call.
    assert _of(cancel_other, "succeeded") <= called <= _of(cancel_other, "succeeded", "cancelled")
    assert cancel_other[max(cancel_other)]["state"] == "succeeded"
    assert [span.slot for span in calls] == sorted(span.slot for span in calls)


def _of(runs: dict[datetime, Any], *states: str) -> set[datetime]:
    return {slot for slot, run in runs.items() if run["state"] in states}


def test_jobs_that_share_a_limit_keep_to_it_though_the_host_is_killed(running: Host) -> None:
    """Twenty jobs at one instant, three at once; SIGKILL in the middle, and the host again."""
    work = Work(seconds=1.0)
    names = [f"job-{number}" for number in range(20)]
    at = from_now(3)
    with sink(work) as target:
        for name in names:
            running.api.put(
                name,
                schedule={"at": instant(at)},
                target={"type": "http", "url": target.url},
                limits=[{"key": "crm-api", "max_concurrent": 3}],
            )
        wait_until(lambda: len(work.spans) >= 5, within=60)
        running.kill()
        running.start()
        wait_until(lambda: all(running.api.ended(name) for name in names), within=120)

    states = {run["state"] for name in names for run in running.api.ended(name)}
    assert states == {"succeeded"}
    assert work.most == {"/": 3}


def test_jobs_that_share_a_rate_start_no_more_often(running: Host) -> None:
    """Twenty-five jobs at one instant, five a second.

    Starts are a fifth of a second apart. What the target sees of that comes later by what the
    machine takes for a call, so a second may hold one more.
    """
    work = Work(seconds=0.0)
    names = [f"job-{number}" for number in range(25)]
    at = from_now(3)
    with sink(work) as target:
        for name in names:
            running.api.put(
                name,
                schedule={"at": instant(at)},
                target={"type": "http", "url": target.url},
                limits=[{"key": "crm-api", "rate_per_second": 5}],
            )
        wait_until(lambda: all(running.api.ended(name) for name in names), within=120)

    starts = sorted(span.began for span in work.spans)
    assert len(starts) == 25
    second = timedelta(seconds=1)
    assert max(sum(at <= later < at + second for later in starts) for at in starts) <= 6
    assert starts[-1] - starts[0] >= timedelta(seconds=24 / 5) - LATE
