"""A long body is put away, and whatever goes wrong with that costs the body and not the answer."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Lock

import pytest

from punctual.adapters.targets import keeping
from punctual.adapters.targets.keeping import PUTS_MAX, TIME_MIN, Keeper
from punctual.core.calls import BODY_KEPT_MAX, Answer, CallError, ErrorType
from punctual.core.execution import CALL_MARGIN
from tests.support.keeping import MemoryResults

LONG = Answer(status_code=200, body=b"x" * 2_000, body_bytes=2_000)
CUT = replace(LONG, body=b"x" * BODY_KEPT_MAX, truncated=True)


class Held(MemoryResults):
    """Puts nothing away before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = Event()
        self._lock = Lock()
        self.at_once = self.most = 0

    def put(self, body: bytes) -> str:
        with self._lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        assert self.let_go.wait(20)
        with self._lock:
            self.at_once -= 1
            return super().put(body)

    @contextmanager
    def holding(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.let_go.set()


def kept(answer: Answer, results: MemoryResults) -> Answer:
    async def keep() -> Answer:
        deadline = asyncio.get_running_loop().time()
        return await Keeper(results).kept(answer, deadline=deadline)

    return asyncio.run(keep())


def test_a_long_body_is_put_away_and_its_beginning_stays() -> None:
    results = MemoryResults()

    given = kept(LONG, results)

    assert given.stored is not None
    assert given == replace(CUT, stored=given.stored, truncated=False)
    assert results.bodies == {given.stored: LONG.body}


def test_a_body_that_goes_with_its_run_is_not_put_away() -> None:
    results = MemoryResults()
    short = Answer(status_code=200, body=b"x" * BODY_KEPT_MAX, body_bytes=BODY_KEPT_MAX)

    assert kept(short, results) == short
    assert results.bodies == {}


def test_what_broke_off_is_not_put_away() -> None:
    results = MemoryResults()
    broken = replace(LONG, error=CallError(type=ErrorType.CONNECTION, message="broke off"))

    assert kept(broken, results) == replace(CUT, error=broken.error)
    assert results.bodies == {}


def test_a_store_that_is_down_or_broken_costs_the_body() -> None:
    down = MemoryResults()
    down.is_down = True

    class Broken(MemoryResults):
        def put(self, body: bytes) -> str:
            raise KeyError(len(body))

    assert kept(LONG, down) == CUT
    assert kept(LONG, Broken()) == CUT


def test_a_store_that_takes_too_long_costs_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "TIME_MIN", 0.01)
    results = Held()

    with results.holding():
        assert kept(LONG, results) == CUT


def test_a_call_that_is_closed_meanwhile_has_its_answer_all_the_same() -> None:
    """What came before it was closed is what is recorded."""
    results = Held()

    async def close() -> Answer:
        deadline = asyncio.get_running_loop().time() + 20
        keeping_it = asyncio.create_task(Keeper(results).kept(LONG, deadline=deadline))
        while not results.at_once:
            await asyncio.sleep(0)
        keeping_it.cancel()
        return await keeping_it

    with results.holding():
        assert asyncio.run(close()) == CUT


def test_no_more_are_put_away_at_once_than_there_are_threads_for() -> None:
    results = Held()

    async def keep_all() -> list[Answer]:
        keeper = Keeper(results)
        deadline = asyncio.get_running_loop().time() + 20
        all_of_them = [
            asyncio.create_task(keeper.kept(LONG, deadline=deadline)) for _ in range(3 * PUTS_MAX)
        ]
        while results.at_once < PUTS_MAX:
            await asyncio.sleep(0)
        results.let_go.set()
        return await asyncio.gather(*all_of_them)

    assert {answer.truncated for answer in asyncio.run(keep_all())} == {False}
    assert results.most == PUTS_MAX


def test_its_executor_outlives_what_a_body_may_take() -> None:
    assert CALL_MARGIN.total_seconds() > TIME_MIN
