"""The watch: rows stand at a minute of a shard until they were dealt with."""

from collections.abc import Sequence
from datetime import datetime

from punctual.core.watching import REFERENCES_MAX, Reference, WatchRow
from tests.support.builders import MINUTE, SECOND, TICK, a_run_key, a_watch_row
from tests.support.clock import NINE
from tests.support.engines import Engine


def due(engine: Engine, now: datetime = NINE, shards: Sequence[int] = (7, 8)) -> list[WatchRow]:
    return [row for page in engine.watch_list.due(shards, now=now) for row in page]


def test_rows_are_due_from_their_minute_on(engine: Engine) -> None:
    early, present, coming = (a_watch_row(minute=NINE + n * MINUTE) for n in (-3, 0, 1))

    assert engine.watch_list.add([coming, present, early]) == [True] * 3

    assert due(engine) == [early, present]
    assert due(engine, NINE + MINUTE - TICK) == [early, present]
    assert due(engine, NINE + MINUTE) == [early, present, coming]
    assert due(engine, NINE - 3 * MINUTE - TICK) == []


def test_references_are_read_as_they_were_written(engine: Engine) -> None:
    references = [Reference(a_run_key(NINE + n * SECOND), 1) for n in range(REFERENCES_MAX - 5)]
    references += [
        Reference(a_run_key(NINE + SECOND), 2),
        Reference(a_run_key(incarnation=3), 2),
        Reference(a_run_key(job_id="report-2", name="m.0a1b"), 2),
        Reference(a_run_key(tenant="Bänk & Söhne"), 2),
        Reference(a_run_key(), 1),
    ]
    row = WatchRow(shard=63, minute=NINE, row_id="xYz_-0", references=tuple(references))

    engine.watch_list.add([row])

    assert due(engine, shards=[63]) == [row]


def test_only_rows_of_the_shards_asked_for_are_due(engine: Engine) -> None:
    rows = [a_watch_row(shard=shard) for shard in (0, 1, 10, 63)]
    engine.watch_list.add(rows)

    assert due(engine, shards=[1, 63, 62]) == [rows[1], rows[3]]
    assert due(engine, shards=[10]) == [rows[2]]


def test_a_row_stands_until_it_is_removed(engine: Engine) -> None:
    rows = [a_watch_row(row_id=f"row-{n}", shard=7 + n % 2) for n in range(60)]
    engine.watch_list.add(rows)
    engine.watch_list.add(rows[:1])
    assert len(due(engine)) == 60

    engine.watch_list.remove(rows[:30])
    engine.watch_list.remove(rows[:30])

    assert {row.row_id for row in due(engine)} == {row.row_id for row in rows[30:]}
    engine.watch_list.remove([])
    assert engine.watch_list.add([]) == []


def test_rows_differ_by_shard_minute_and_id(engine: Engine) -> None:
    rows = [
        a_watch_row(),
        a_watch_row(shard=8),
        a_watch_row(minute=NINE - MINUTE),
        a_watch_row(row_id="other"),
    ]
    engine.watch_list.add(rows)

    for number, row in enumerate(rows, start=1):
        engine.watch_list.remove([row])

        assert len(due(engine)) == len(rows) - number


def test_a_long_list_comes_in_pages_and_each_row_once(engine: Engine) -> None:
    """More rows than a page holds, in one shard and one minute, removed as they are dealt with."""
    rows = [a_watch_row(row_id=f"row-{n:03}") for n in range(230)]
    engine.watch_list.add(rows)

    found: list[str] = []
    for page in engine.watch_list.due([7], now=NINE):
        found += [row.row_id for row in page]
        engine.watch_list.remove(page)

    assert sorted(found) == [row.row_id for row in rows]
    assert due(engine) == []
