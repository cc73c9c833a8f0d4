"""Statements: many rows to each, and none that looks through a whole table."""

import re
from collections import Counter
from collections.abc import Iterator
from types import ModuleType

import pytest

from punctual.adapters.sqlite import beats, job_store, rows, run_queue, run_store, sweep, watch_list
from punctual.adapters.sqlite.engine import SqliteEngine
from punctual.adapters.sqlite.statements import ROWS_MAX, ForRows
from punctual.core.jobs import Lane
from punctual.core.runs import Finish, Start
from punctual.ports import Outgoing
from tests.contract.jobs import a_claim
from tests.support.builders import MINUTE, SECOND, a_job, a_run, a_watch_row, an_ending
from tests.support.clock import NINE


def test_a_list_of_rows_is_filled_up_to_a_length_that_is_prepared_already() -> None:
    statement = ForRows("WITH new (a, b) AS ({rows}) SELECT 1", width=2)

    texts: set[str] = set()
    for count in range(1, ROWS_MAX + 1):
        ((text, parameters, rows_meant),) = statement.portions([(1, "x")] * count)
        texts.add(text)
        assert rows_meant == count
        assert parameters[: 2 * count] == [1, "x"] * count
        assert set(parameters[2 * count :]) <= {None}
        assert text.count("?") == len(parameters)

    assert len(texts) == 10


def test_more_rows_than_a_statement_takes_go_into_several() -> None:
    statement = ForRows("{rows}", width=1)

    portions = list(statement.portions([(number,) for number in range(2 * ROWS_MAX + 3)]))

    assert [count for _, _, count in portions] == [ROWS_MAX, ROWS_MAX, 3]
    assert [p for _, parameters, _ in portions for p in parameters if p is not None] == list(
        range(2 * ROWS_MAX + 3)
    )
    assert list(statement.portions([])) == []


@pytest.fixture
def counted(engine: SqliteEngine) -> Counter[str]:
    """How many statements of each kind the writer carried out, beside those of transactions."""
    counter: Counter[str] = Counter()

    def note(sql: str) -> None:
        kind = re.search(
            r"\b(BEGIN|COMMIT|SAVEPOINT|RELEASE|SELECT json|INSERT|UPDATE|DELETE)", sql
        )
        assert kind is not None, sql
        counter[kind[1]] += 1

    engine._database._writer.set_trace_callback(note)
    return counter


def test_what_is_done_to_many_rows_takes_few_statements(
    engine: SqliteEngine, counted: Counter[str]
) -> None:
    """Each step of a statement waits for the interpreter where other threads are busy."""
    runs = [a_run(NINE + second * SECOND) for second in range(500)]
    jobs = [a_job(f"job-{number}") for number in range(25)]
    for job in jobs:
        engine.jobs.create(job)
    counted.clear()

    def visit() -> None:
        engine.watch_list.add([a_watch_row(row_id=f"row-{n}") for n in range(20)])
        engine.runs.insert(runs)
        engine.queue.send([Outgoing(key=run.key, lane=Lane.FAST, at=NINE) for run in runs])
        assert all(engine.jobs.claim([a_claim(job) for job in jobs]))

    engine.transact(visit)
    assert counted["INSERT"] == 3
    assert counted["UPDATE"] == counted["SELECT json"] == counted["COMMIT"] == 1
    counted.clear()

    messages = engine.queue.receive(now=NINE, limit=500)
    starts = [
        Start(key=m.key, owner=m.receipt, now=NINE, lease_until=NINE + MINUTE) for m in messages
    ]
    assert all(answer.applied for answer in engine.runs.move(starts))
    assert counted["UPDATE"] == counted["SELECT json"] == counted["COMMIT"] == 1
    counted.clear()

    def settle() -> None:
        ends = [
            Finish(key=m.key, owner=m.receipt, ending=an_ending(), scheduled_at=NINE)
            for m in messages
        ]
        assert all(answer.applied for answer in engine.runs.move(ends))
        engine.queue.acknowledge(messages)

    engine.transact(settle)
    assert counted["UPDATE"] == counted["DELETE"] == counted["COMMIT"] == 1
    assert counted["SELECT json"] == 0  # what their starts left is known


def statements_of(module: ModuleType) -> Iterator[str]:
    for value in vars(module).values():
        if isinstance(value, ForRows):
            yield next(value.portions([[0] * value.width]))[0]
        elif isinstance(value, str) and re.match(r"(SELECT|INSERT|UPDATE|DELETE|WITH)\b", value):
            yield value


EVERY_STATEMENT = [
    *(
        statement
        for module in (beats, job_store, run_queue, run_store, watch_list)
        for statement in statements_of(module)
    ),
    next(rows.update_of(("state", "result")).portions([[0] * 7]))[0],
    *map(sweep.delete_expired, sweep.TABLES),
]


def test_no_statement_looks_through_a_whole_table(engine: SqliteEngine) -> None:
    """However long the history is, what a statement does stays as much as its rows are."""
    tables = "jobs|contents|runs|stretches|watch_rows|messages"
    assert len(EVERY_STATEMENT) > 25

    for statement in EVERY_STATEMENT:
        plan = engine._database._writer.execute(
            f"EXPLAIN QUERY PLAN {statement}", [0] * statement.count("?")
        )
        steps = [detail for _, _, _, detail in plan]
        looked_through = [step for step in steps if re.match(rf"SCAN ({tables})\b", step)]
        assert not looked_through, (statement, steps)
        assert not any("TEMP B-TREE FOR ORDER BY" in step for step in steps), (statement, steps)
