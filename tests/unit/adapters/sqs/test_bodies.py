"""What the queues carry, and what is refused as poison."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punctual.adapters.sqs.bodies import (
    UnreadableBody,
    read_run_body,
    read_shards_body,
    run_body,
    shards_body,
)
from punctual.core.identity import JobKey, RunKey

KEY = RunKey(JobKey("acme", "report"), 1, "20261201T090000Z")


def test_a_runs_message_is_short_and_readable() -> None:
    assert run_body(KEY) == '{"v":1,"run":["acme","report",1,"20261201T090000Z"]}'


@given(st.text(), st.text(), st.integers(1, 10**9), st.text())
def test_a_runs_message_reads_back(tenant: str, job_id: str, incarnation: int, name: str) -> None:
    key = RunKey(JobKey(tenant, job_id), incarnation, name)

    assert read_run_body(run_body(key)) == key


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
    for read in (read_run_body, read_shards_body):
        with pytest.raises(UnreadableBody):
            read(body)
