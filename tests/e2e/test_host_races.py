"""Delete, pause, edit and re-create, each raced against dispatch and execute over the host's API.

The sink's log and the API are the judges. Host, sink and test read one clock, so what is recorded
as started after an answer came was started after it.
"""

import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.host import Api, from_now, host, instant, wait_until
from tests.support.sinks import Request, SinkProcess, sink_process

pytestmark = pytest.mark.e2e

JOBS = 96
CLIENTS = 8
"""Requests at once; each deals with every eighth job."""

SECOND = timedelta(seconds=1)
STAGGER = SECOND / JOBS
"""The jobs' slots are spread over the second, so that each request meets another moment."""


@dataclass(frozen=True)
class Deed:
    """Something asked of the API, and when."""

    job_id: str
    asked_at: datetime
    answered_at: datetime


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with host(tmp_path) as running:
        yield running.api


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[SinkProcess]:
    with sink_process(tmp_path / "calls") as started:
        yield started


def near(slots: Mapping[str, datetime], do: Callable[[str], object], *, seed: int) -> list[Deed]:
    """Do something to each job within milliseconds of its slot, before or after it."""
    chance = random.Random(seed)
    moments = [
        (at + timedelta(milliseconds=chance.uniform(-8, 8)), name) for name, at in slots.items()
    ]

    def deal_with(share: Sequence[tuple[datetime, str]]) -> list[Deed]:
        deeds = []
        for moment, name in share:
            time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))
            asked_at = datetime.now(UTC)
            do(name)
            deeds.append(Deed(name, asked_at, datetime.now(UTC)))
        return deeds

    moments.sort()
    with ThreadPoolExecutor(CLIENTS) as pool:
        shares = pool.map(deal_with, [moments[first::CLIENTS] for first in range(CLIENTS)])
    return [deed for share in shares for deed in share]


def each_second(api: Api, name: str, sink: SinkProcess, *, start_at: datetime) -> datetime:
    """Have a job run each second from an instant on; return its next slot."""
    job = api.put(
        name,
        schedule={"every_seconds": 1, "start_at": instant(start_at)},
        target={"type": "http", "url": sink.url},
    )
    return datetime.fromisoformat(job["next_run_at"])


def staggered(*, begin: datetime, by: timedelta = STAGGER) -> dict[str, datetime]:
    """Name the jobs, and give each an instant of whole milliseconds of its own."""
    moments = (begin + number * by for number in range(JOBS))
    return {
        f"job-{number}": at.replace(microsecond=at.microsecond // 1000 * 1000)
        for number, at in enumerate(moments)
    }


def create_staggered(api: Api, sink: SinkProcess) -> dict[str, datetime]:
    """Create jobs of a run each second; return their first slots."""
    wanted = staggered(begin=from_now(1))
    with ThreadPoolExecutor(CLIENTS) as pool:
        first = pool.map(lambda name: each_second(api, name, sink, start_at=wanted[name]), wanted)
    return dict(zip(wanted, first, strict=True))


def by_job(requests: Sequence[Request]) -> dict[str, list[Request]]:
    found: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        found[request.header("Punctual-Job-Id")].append(request)
    return found


def slot(request: Request) -> datetime:
    return datetime.fromisoformat(request.header("Punctual-Scheduled-At"))


def started_at(api: Api, request: Request) -> datetime:
    """Return when the attempt that sent this request started, as the API tells it."""
    run = api.get(f"/v1/runs/{request.header('Punctual-Run-Id')}")
    number = int(request.header("Punctual-Attempt"))
    return datetime.fromisoformat(run["attempts"][number - 1]["started_at"])


def states(api: Api, name: str, *, until: datetime) -> dict[str, str]:
    """Return the state of each run of a job whose slot is before an instant; one run a slot."""
    runs = api.runs(name, to=instant(until))
    found = {run["scheduled_at"]: run["state"] for run in runs}
    assert len(found) == len(runs), "no slot has two runs"
    return found


def settled(sink: SinkProcess, *, quiet: float = 1.3) -> list[Request]:
    """Return the requests that came, once slots have passed in which more would have come."""
    time.sleep(quiet)
    return sink.requests()


def test_no_attempt_that_starts_after_delete_has_returned_calls_the_target(
    sink: SinkProcess, api: Api
) -> None:
    first = create_staggered(api, sink)
    raced = {name: at + SECOND for name, at in first.items()}

    deeds = near(raced, lambda name: api.ask("DELETE", f"/v1/jobs/{name}"), seed=1)

    requests = by_job(settled(sink))
    for deed in deeds:
        for request in requests[deed.job_id]:
            if request.at > deed.answered_at:
                assert started_at(api, request) <= deed.answered_at, deed
        assert_once(requests[deed.job_id])
        assert first[deed.job_id] in set(map(slot, requests[deed.job_id]))
    assert_both_ways(raced[name] in set(map(slot, requests[name])) for name in raced)


def test_no_run_starts_after_pause_has_returned_and_after_resume_none_is_missing(
    sink: SinkProcess, api: Api
) -> None:
    first = create_staggered(api, sink)
    raced = {name: at + SECOND for name, at in first.items()}

    deeds = near(raced, lambda name: api.ask("POST", f"/v1/jobs/{name}/pause", {}), seed=2)

    paused = by_job(settled(sink))
    for deed in deeds:
        for request in paused[deed.job_id]:
            if request.at > deed.answered_at:
                assert started_at(api, request) <= deed.answered_at, deed

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda name: api.ask("POST", f"/v1/jobs/{name}/resume"), first))
    until = from_now(0.2)
    requests = by_job(settled(sink))
    for name, start in first.items():
        runs = states(api, name, until=until)
        assert_once(requests[name])
        called = {slot(request) for request in requests[name]}
        at = start
        while at < until:
            state = runs[instant(at)]
            assert state == ("succeeded" if at in called else "skipped"), (name, at)
            at += SECOND
    assert_both_ways(raced[name] in set(map(slot, paused[name])) for name in raced)


def test_an_edit_of_the_slots_loses_none_and_invents_none(sink: SinkProcess, api: Api) -> None:
    """Up to the edit the old slots, after it the new ones, and in between at most one of each."""
    first = create_staggered(api, sink)
    edits: dict[str, list[tuple[Deed, datetime]]] = defaultdict(list)

    def edit(name: str, *, begin: Mapping[str, datetime]) -> None:
        each_second(api, name, sink, start_at=begin[name])

    for number, shift in enumerate((0.4, 0.8, 0.3), start=1):
        begin = {name: at + timedelta(seconds=shift) for name, at in first.items()}
        raced = {name: at + number * SECOND for name, at in first.items()}
        deeds = near(raced, partial(edit, begin=begin), seed=number)
        for deed in deeds:
            edits[deed.job_id].append((deed, begin[deed.job_id]))

    until = from_now(0.2)
    requests = by_job(settled(sink))
    for name in first:
        assert_once(requests[name])
        called = {slot(request) for request in requests[name]}
        owed, allowed = oracle(first[name], edits[name], until=until)
        assert owed <= called, (name, owed - called)
        assert {at for at in called if at < until} <= allowed, (name, called - allowed)
        runs = states(api, name, until=until)
        assert runs == {instant(at): "succeeded" for at in called if at < until}


def oracle(
    start: datetime, edits: Sequence[tuple[Deed, datetime]], *, until: datetime
) -> tuple[set[datetime], set[datetime]]:
    """Return the slots that must be called before `until`, and those that may be.

    Slots of the schedule that began at `start`, and of those that followed it by edits.
    """
    owed: set[datetime] = set()
    allowed: set[datetime] = set()
    since = surely_since = start - SECOND
    for deed, next_start in [*edits, (Deed("", until, until), until)]:
        at = start
        while at <= deed.answered_at:
            if at > since:
                allowed.add(at)
            if surely_since < at <= deed.asked_at - SLACK:
                owed.add(at)
            at += SECOND
        start, since, surely_since = next_start, deed.asked_at - SLACK, deed.answered_at
    return {at for at in owed if at < until}, allowed


SLACK = timedelta(milliseconds=1)
"""The host's clock counts whole milliseconds, rounded down."""


def test_a_job_created_again_runs_its_slot_again_and_the_earlier_one_calls_no_more(
    sink: SinkProcess, api: Api
) -> None:
    """Each id lives three times, each time with the same slot."""
    slots = staggered(begin=from_now(1), by=2 * STAGGER)
    deleted: dict[str, list[datetime]] = defaultdict(list)

    def create(name: str) -> None:
        target = {"type": "http", "url": sink.url}
        api.put(name, schedule={"at": instant(slots[name])}, target=target)

    def create_again(name: str) -> None:
        for _ in range(2):
            assert api.ask("DELETE", f"/v1/jobs/{name}").status == 204
            deleted[name].append(datetime.now(UTC))
            create(name)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(create, slots))
    near(slots, create_again, seed=4)
    wait_until(lambda: all(len(api.ended(name)) == 1 for name in slots), within=20)

    requests = by_job(settled(sink))
    for name, at in slots.items():
        assert_once(requests[name])
        lives = {life(request): request for request in requests[name]}
        assert set(map(slot, requests[name])) == {at}
        assert 3 in lives, "the last life runs its slot"
        assert [run["state"] for run in api.ended(name)] == ["succeeded"]
        for number in {1, 2} & lives.keys():
            if lives[number].at > deleted[name][number - 1]:
                assert started_at(api, lives[number]) <= deleted[name][number - 1], name
    assert_both_ways(1 in {life(r) for r in requests[name]} for name in slots)


def life(request: Request) -> int:
    """Return which life of its job sent a request: `again-7~2.2026…` is of the second."""
    name, _, _ = request.header("Punctual-Run-Id").partition(".")
    _, is_later, number = name.partition("~")
    return int(number) if is_later else 1


def assert_once(requests: Sequence[Request]) -> None:
    counts = Counter(request.header("Idempotency-Key") for request in requests)
    assert set(counts.values()) <= {1}, counts


def assert_both_ways(won: Any) -> None:
    """A race that always ends the same way was none."""
    outcomes = Counter(won)
    print(f"races won and lost: {dict(outcomes)}")  # noqa: T201 - for whoever runs this
    assert outcomes[True] > 0
