"""What the queues carry, and what is refused as poison."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punctual.adapters.sqs.bodies import (
    UnreadableBody,
    read_run,
    read_run_body,
    read_shards_body,
    run_body,
    shards_body,
)
from punctual.core.identity import JobKey, RunKey
from punctual.core.jobs import Delivery, Lane
from tests.support.builders import TICK, a_run, a_run_key
from tests.support.clock import NINE

KEY = RunKey(JobKey("acme", "report"), 1, "20261201T090000Z")


def test_a_runs_message_is_short_and_readable() -> None:
    assert run_body(KEY) == '{"v":1,"run":["acme","report",1,"20261201T090000Z"]}'


@given(st.text(), st.text(), st.integers(1, 10**9), st.text())
def test_a_runs_message_reads_back(tenant: str, job_id: str, incarnation: int, name: str) -> None:
    key = RunKey(JobKey(tenant, job_id), incarnation, name)

    assert read_run_body(run_body(key)) == key


def test_a_runs_message_says_what_its_row_was_handed_over_with() -> None:
    run = a_run(schedule_revision=3, max_attempts=2)

    assert run_body(run.key, run) == (
        '{"v":1,"run":["acme","report",1,"20261201T090000Z"],"row":[3,2,"at_least_once","fast"]}'
    )


@pytest.mark.parametrize("delivery", list(Delivery))
@pytest.mark.parametrize("lane", list(Lane))
def test_a_row_reads_back_as_it_was_handed_over(delivery: Delivery, lane: Lane) -> None:
    run = a_run(NINE + TICK, schedule_revision=7, max_attempts=20, delivery=delivery, lane=lane)

    assert read_run(run_body(run.key, run)) == (run.key, run)


def test_a_message_of_an_older_version_says_nothing_of_its_row() -> None:
    assert read_run('{"v":1,"run":["acme","report",1,"20261201T090000Z"]}') == (KEY, None)


def test_a_reader_that_knows_nothing_of_rows_reads_which_run_it_is() -> None:
    run = a_run()

    assert read_run_body(run_body(run.key, run)) == run.key


@pytest.mark.parametrize(
    "row",
    [
        "null",
        "[]",
        '[1,3,"at_least_once"]',
        '[1,3,"at_least_once","fast",0]',
        '["1",3,"at_least_once","fast"]',
        '[1,3,"exactly_once","fast"]',
        '[1,3,"at_least_once","slowest"]',
        '{"revision":1}',
    ],
)
def test_a_row_that_is_said_in_another_way_counts_as_not_said(row: str) -> None:
    body = f'{{"v":1,"run":["acme","report",1,"20261201T090000Z"],"row":{row}}}'

    assert read_run(body) == (KEY, None)


def test_a_row_is_said_of_slots_only() -> None:
    body = '{"v":1,"run":["acme","report",1,"m.x"],"row":[1,3,"at_least_once","fast"]}'

    assert read_run(body) == (RunKey(JobKey("acme", "report"), 1, "m.x"), None)
    with pytest.raises(AssertionError):
        run_body(a_run_key(name="m.x"), a_run(trigger="manual"))


def test_a_wake_up_reads_back() -> None:
    assert shards_body(range(16, 32)) == '{"v":1,"shards":[16,32]}'
    assert read_shards_body('{"v":1,"shards":[16,32]}') == tuple(range(16, 32))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "secret",
        "null",
        "[]",
        "{}",
        '{"v":2,"run":["acme","report",1,"x"]}',
        '{"v":1}',
        '{"v":1,"run":["acme","report",1]}',
        '{"v":1,"run":["acme","report","1","x"]}',
        '{"v":1,"run":"acme"}',
        '{"v":1,"run":[null,"report",1,"x"]}',
    ],
)
def test_poison_is_named_and_not_quoted(body: str) -> None:
    with pytest.raises(UnreadableBody) as raised:
        read_run_body(body)

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("shards", ["[0,0]", "[3,2]", "[-1,5]", "[0,65]", "[0]", '["0","16"]'])
def test_a_wake_up_names_shards_that_exist(shards: str) -> None:
    with pytest.raises(UnreadableBody):
        read_shards_body(f'{{"v":1,"shards":{shards}}}')


@given(st.text())
def test_nothing_else_is_raised_whatever_comes(body: str) -> None:
    for read in (read_run, read_run_body, read_shards_body):
        with pytest.raises(UnreadableBody):
            read(body)
