"""Names of jobs and runs lead back to what they name."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punctual.core.errors import RunNotFound
from punctual.core.identity import (
    JOB_ID,
    JobKey,
    RunKey,
    fingerprint,
    job_id_of,
    parse_run_id,
    result_name,
)
from punctual.core.instants import from_epoch_ms

REPORT = JobKey("acme", "report")
instants = st.integers(946_684_800_000, 4_102_444_799_999).map(from_epoch_ms)


@given(
    job_id=st.from_regex(JOB_ID, fullmatch=True),
    incarnation=st.integers(1, 10**9 - 1),
    slot=instants,
)
def test_a_run_id_leads_back_to_its_run(job_id: str, incarnation: int, slot: datetime) -> None:
    key = RunKey.of_slot(JobKey("acme", job_id), incarnation=incarnation, slot=slot)

    assert parse_run_id("acme", key.run_id) == key
    assert key.slot == slot


def test_run_ids_read_as_documented() -> None:
    nine = datetime(2026, 12, 1, 9, tzinfo=UTC)

    assert RunKey.of_slot(REPORT, incarnation=1, slot=nine).run_id == "report.20261201T090000Z"
    assert RunKey.of_slot(REPORT, incarnation=2, slot=nine).run_id == "report~2.20261201T090000Z"
    fraction = nine.replace(microsecond=123_000)
    assert RunKey.of_slot(REPORT, incarnation=1, slot=fraction).name == "20261201T090000.123Z"


@pytest.mark.parametrize(
    "run_id",
    [
        "",
        "report",
        "report.",
        "Report.20261201T090000Z",
        "report~1.20261201T090000Z",  # a second name of `report.20261201T090000Z`
        "report~0.20261201T090000Z",
        "report.2026/../x",
        "report.20261201T090000Z\n",
        "../report.20261201T090000Z",
        "a" * 65 + ".20261201T090000Z",
    ],
)
def test_what_names_no_run_is_not_found(run_id: str) -> None:
    with pytest.raises(RunNotFound):
        parse_run_id("acme", run_id)


def test_a_name_of_no_time_of_the_calendar_has_no_slot() -> None:
    key = RunKey(JobKey("acme", "report"), 1, "20261301T990000Z")

    assert key.slot is None


def test_a_manual_run_has_no_slot() -> None:
    assert RunKey(REPORT, 1, "m.4f2a").slot is None


def test_the_order_of_keys_does_not_change_a_fingerprint_and_the_values_do() -> None:
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": 1, "b": [1, 2]}) != fingerprint({"a": 1, "b": [2, 1]})


def test_an_idempotency_key_names_a_job_of_its_tenant_alone() -> None:
    mine, others = job_id_of("acme", "key"), job_id_of("other", "key")

    assert mine == job_id_of("acme", "key")
    assert mine != others
    assert JOB_ID.fullmatch(mine)


def test_a_long_result_is_named_by_what_is_in_it() -> None:
    assert result_name(b"") == "e3b0c44298fc1c149afbf4c8996fb924"
    assert result_name(b"a") != result_name(b"b")
