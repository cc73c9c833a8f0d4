"""What a month would cost: every line adds up, and what cannot be read is told."""

import json
from datetime import timedelta

import pytest

from punctual.cli.bill import Workload, bill_of_runs, write_units
from punctual.cli.main import run

MINUTE = timedelta(minutes=1)


def bill(*args: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """Return what `punctual cost --json` prints."""
    assert run(["cost", "--json", *args]) == 0
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


def test_lines_add_up_to_the_bill(capsys: pytest.CaptureFixture[str]) -> None:
    answer = bill("--jobs-per-minute", "60000", capsys=capsys)

    lines = answer["lines"]
    assert isinstance(lines, list)
    assert answer["dollars"] == pytest.approx(sum(line["dollars"] for line in lines))
    assert answer["runs"] == 60_000 * 43_800


def test_a_stage_in_which_nothing_runs_costs_only_itself(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = bill("--jobs-per-minute", "0", "--stage", "dev", capsys=capsys)

    assert answer["dollars_of_runs"] == 0
    assert answer["dollars_per_million_runs"] is None
    assert answer["dollars"] == answer["dollars_of_stage"] != 0


@pytest.mark.parametrize(
    ("period", "units"),
    [
        (timedelta(seconds=10), 3.38),
        (MINUTE, 3.38),
        (2 * MINUTE, 3 + 3 / 8 + 0.08),
        (5 * MINUTE, 4.08),
        (14 * MINUTE, 4.58),
        (15 * MINUTE, 6.08),
        (timedelta(days=1), 6.08),
        (None, 9.08),
    ],
)
def test_a_visit_hands_over_several_slots_for_one_claim(
    period: timedelta | None, units: float
) -> None:
    assert write_units(period) == pytest.approx(units)


def test_batches_of_one_cost_ten_times_the_requests() -> None:
    full, single = (
        {
            line.name: line.quantity
            for line in bill_of_runs(Workload(runs_per_minute=1, period=MINUTE, batch=batch))
        }
        for batch in (10, 1)
    )

    for name in ("queue: requests", "executors: invocations", "executors: time"):
        assert single[name] == pytest.approx(10 * full[name])
    assert single["table: writes"] == full["table: writes"]


def test_tenants_that_are_kept_apart_are_paid_for_by_the_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, many = (
        bill("--jobs-per-minute", "60", *more, capsys=capsys)["dollars_per_million_runs"]
        for more in ((), ("--many-tenants",))
    )

    assert isinstance(one, float)
    assert many == pytest.approx(one + 0.10)


def test_people_get_a_table_that_ends_with_the_sum(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cost", "--jobs-per-minute", "60", "--every", "once"]) == 0

    out = capsys.readouterr().out
    assert "table: writes" in out
    assert "API: requests" in out
    assert out.splitlines()[-1].startswith("A million runs: $")


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--jobs-per-minute", "-1"],
        ["--jobs-per-minute", "many"],
        ["--jobs-per-minute", "1", "--stage", "moon"],
        ["--jobs-per-minute", "1", "--every", "soon"],
        ["--jobs-per-minute", "1", "--every", "0m"],
        ["--jobs-per-minute", "1", "--batch", "11"],
        ["--jobs-per-minute", "1", "--call-seconds", "900"],
    ],
)
def test_what_cannot_be_priced_is_told_in_one_line(
    args: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["cost", *args]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
