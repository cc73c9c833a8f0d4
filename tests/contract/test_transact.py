"""Work within a transaction, where there is one: done by the time it returns, in the order made."""

from dataclasses import replace

import pytest

from punctual.core.jobs import Lane
from punctual.core.runs import Start
from punctual.ports import Outgoing
from tests.contract.jobs import a_claim, stored
from tests.support.builders import MINUTE, a_job, a_run, a_watch_row
from tests.support.clock import NINE
from tests.support.engines import Engine


def test_what_was_written_together_stands(engine: Engine) -> None:
    """A job is created and visited at once: contents, watch, row, message, claim."""
    job, run, row = a_job(), a_run(NINE + MINUTE), a_watch_row()

    def work() -> str:
        assert engine.jobs.create(job) is None
        assert engine.watch_list.add([row]) == [True]
        assert engine.runs.insert([run]) == [True]
        assert engine.queue.send([Outgoing(key=run.key, lane=Lane.FAST, at=NINE)]) == [True]
        assert engine.jobs.claim([a_claim(job)]) == [True]
        return "done"

    assert engine.transact(work) == "done"

    assert stored(engine, job) == replace(job, next_slot=NINE + 11 * MINUTE, ordinal=10)
    assert engine.runs.read([run.key]) == {run.key: run}
    assert [message.key for message in engine.receive()] == [run.key]
    assert [list(page) for page in engine.watch_list.due([7], now=NINE)] == [[row]]


def test_work_reads_what_it_wrote(engine: Engine) -> None:
    run = a_run()

    def work() -> bool:
        engine.runs.insert([run])
        assert engine.runs.read([run.key]) == {run.key: run}
        start = Start(key=run.key, owner="a", now=NINE, lease_until=NINE + MINUTE)
        engine.runs.move([start])
        return engine.runs.read([run.key])[run.key].held_by("a")

    assert engine.transact(work)


def test_work_may_contain_work(engine: Engine) -> None:
    run = a_run()

    assert engine.transact(lambda: engine.transact(lambda: engine.runs.insert([run]))) == [True]

    assert engine.runs.read([run.key]) == {run.key: run}


def test_what_work_raises_is_raised_and_the_engine_goes_on(engine: Engine) -> None:
    def work() -> None:
        engine.runs.insert([a_run()])
        raise LookupError("of the work's own")

    with pytest.raises(LookupError, match="of the work's own"):
        engine.transact(work)

    assert engine.runs.insert([a_run(NINE + MINUTE)]) == [True]
