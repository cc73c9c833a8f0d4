"""What the records of gates and limits weigh, since each write of one pays for all of it."""

import pytest

from punctual.adapters.dynamodb.gate_store import DynamoGateStore
from punctual.adapters.dynamodb.items import job_to_item
from punctual.adapters.dynamodb.table import Answer, Fate
from punctual.adapters.dynamodb.writes import Insert, Update
from punctual.core.gates import Gate
from punctual.core.jobs import Overlap, Policy
from punctual.core.limits import CONCURRENT_MAX, Limit, LimitKey, Token, Usage
from tests.support.builders import MINUTE, TICK, a_job, a_job_key, a_run_key
from tests.support.clock import NINE, FakeClock
from tests.support.item_size import UNIT_BYTES, item_bytes

OWNER = "o" * 32
VERSION = "v" * 22


class Scales:
    """A table that weighs what is written to it."""

    def __init__(self) -> None:
        self.units = 0

    def write(self, writes: list[Insert | Update]) -> list[Answer]:
        """See `Table.write`."""
        for write in writes:
            assert isinstance(write, Insert)
            self.units = -(-item_bytes(write.item) // UNIT_BYTES)
        return [Answer(Fate.APPLIED)] * len(writes)


def units_of(record: Gate | Usage) -> int:
    scales = Scales()
    store = DynamoGateStore(scales, clock=FakeClock())  # type: ignore[arg-type]
    assert store.put([record], versions=[VERSION]) == [True]
    return scales.units


def a_usage(holders: int, *, job_id: str) -> Usage:
    runs = [a_run_key(NINE + n * MINUTE, job_id=job_id) for n in range(holders)]
    tokens = tuple(Token(run, OWNER) for run in runs)
    return Usage(key=LimitKey("123456789012", "crm-api"), holders=tokens, next_start=NINE + TICK)


def test_a_gate_is_written_for_one_unit() -> None:
    long = a_run_key(job_id="j" * 64, incarnation=10**6, name="b." + "0" * 64)

    assert units_of(Gate(job=a_job_key("j" * 64), holder=long, waiting=long)) == 1


@pytest.mark.parametrize(("holders", "units"), [(0, 1), (12, 1), (14, 2), (50, 4), (100, 8)])
def test_a_limit_is_written_for_a_unit_and_one_more_for_every_fourteen_who_are_in(
    holders: int, units: int
) -> None:
    assert units_of(a_usage(holders, job_id="nightly-report-0123")) == units


def test_a_full_limit_of_the_longest_names_is_written_for_twelve_units() -> None:
    assert units_of(a_usage(CONCURRENT_MAX, job_id="j" * 64)) == 12


def test_an_ordinary_job_with_rules_is_written_for_one_unit() -> None:
    limits = (
        Limit(key="k" * 32, max_concurrent=100, rate_per_second=0.25),
        Limit(key="l" * 32, max_concurrent=100, rate_per_second=0.25),
    )
    policy = Policy(overlap=Overlap.CANCEL_OTHER, limits=limits)
    job = a_job("j" * 32, tenant="123456789012", name="n" * 32, next_slot=NINE, policy=policy)

    assert item_bytes(job_to_item(job)) <= UNIT_BYTES
