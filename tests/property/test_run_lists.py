"""A list of runs read part by part holds every run once, in order, though more come meanwhile."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from punctual.core.identity import slot_name
from punctual.core.runs import Run, Trigger
from punctual.core.strands import MANUAL, REPLAYS, SLOTS, STRANDS, asked_name, place_of
from punctual.services.runs import Runs
from tests.support.builders import DAY, TICK, a_job, a_job_key, a_run, a_run_key, a_schedule
from tests.support.clock import NINE, FakeClock
from tests.support.embedded_engine import memory_engine
from tests.support.keeping import MemoryResults

TRIGGERS = {SLOTS: Trigger.SCHEDULE, MANUAL: Trigger.MANUAL, REPLAYS: Trigger.REPLAY}

ms = st.integers(-3000, -1)


@st.composite
def runs(draw: st.DrawFn, within: st.SearchStrategy[int] = ms) -> Run:
    """A run of any strand, within the three seconds before nine."""
    at = NINE + draw(within) * TICK
    strand = draw(st.sampled_from(STRANDS))
    name = slot_name(at)
    if strand != SLOTS:
        name = asked_name(strand, at=at, token=draw(st.text("ab", max_size=2)))
    return a_run(at, key=a_run_key(name=name), trigger=TRIGGERS[strand])


several = st.lists(runs(), max_size=25, unique_by=lambda run: run.key)


@settings(max_examples=150)
@given(there=several, later=several, limit=st.integers(1, 6), coming=st.integers(0, 12))
def test_no_run_is_lost_or_told_twice(
    there: list[Run], later: list[Run], limit: int, coming: int
) -> None:
    """Those that come while the list is read may be told or not, but each at most once."""
    clock = FakeClock()
    with memory_engine(clock, Path()) as engine:
        schedule = a_schedule(DAY, anchor=NINE + DAY, end_at=NINE + max(coming, 1) * DAY)
        engine.jobs.create(a_job(schedule=schedule, next_slot=NINE + DAY if coming else None))
        engine.runs.insert(there)
        lists = Runs(
            jobs=engine.jobs,
            runs=engine.runs,
            results=MemoryResults(),
            logs=engine.logs,
            clock=clock,
        )
        told: list[str] = []
        before: str | None = None
        arriving = list(later)
        while True:
            part = lists.list(a_job_key(), before=before, limit=limit)
            told += [seen.run.key.name for seen in part.items]
            before = part.before
            if before is None:
                break
            engine.runs.insert([arriving.pop()] if arriving else [])

    assert told == sorted(told, key=place_of, reverse=True)
    assert len(told) == len(set(told))
    assert {run.key.name for run in there} <= set(told)
    assert sum(name > slot_name(NINE) and name[0].isdigit() for name in told) == min(coming, 10)


@settings(max_examples=150)
@given(there=several, since=ms, until=ms, limit=st.integers(1, 6))
def test_bounds_in_time_hold_for_every_run(
    there: list[Run], since: int, until: int, limit: int
) -> None:
    first, last = NINE + since * TICK, NINE + until * TICK
    clock = FakeClock()
    with memory_engine(clock, Path()) as engine:
        engine.jobs.create(a_job(next_slot=None))
        engine.runs.insert(there)
        lists = Runs(
            jobs=engine.jobs,
            runs=engine.runs,
            results=MemoryResults(),
            logs=engine.logs,
            clock=clock,
        )
        told: list[str] = []
        before: str | None = None
        while True:
            part = lists.list(a_job_key(), since=first, until=last, before=before, limit=limit)
            told += [seen.run.key.name for seen in part.items]
            before = part.before
            if before is None:
                break

    assert sorted(told) == sorted(r.key.name for r in there if first <= r.due_at < last)
