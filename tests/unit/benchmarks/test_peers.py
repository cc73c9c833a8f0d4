"""What is printed of Punctual beside its peers, without running any of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.__main__ import Turn, turns
from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.ratios import FIGURES, table
from benchmarks.peers.rounds import placed
from benchmarks.rounds import Cpu, Round, Schedule
from benchmarks.workloads import WORKLOADS, report


def cells(rows: list[dict[str, Any]], figure: str) -> list[str]:
    """Return the cells of a line of the table, Punctual's first."""
    [line] = [line for line in table(rows).splitlines() if f"| {figure} |" in line]
    return [cell.strip() for cell in line.strip("|").split("|")][2:]


def w5(peer: str, single: float, **more: Any) -> dict[str, Any]:
    """Return a line of the workload that has the fewest figures."""
    return {"peer": peer, "w": "w5", "round": 0, "single_per_s": single, "bulk_per_s": 1.0} | more


def test_a_ratio_is_punctual_by_peer() -> None:
    rows = [w5("celery", 500.0), w5("punctual", 1250.0), w5("bullmq", 5000.0)]

    assert cells(rows, "creates/s, one by one") == ["1,250", "500 (2.50)", "5,000 (0.250)"]


def test_of_several_rounds_the_median_is_told_with_half_their_range() -> None:
    rows = [w5("punctual", rate) for rate in (90.0, 100.0, 130.0)] + [w5("celery", 50.0)]

    assert cells(rows, "creates/s, one by one") == ["100 ± 20%", "50.0 (2.00)"]


def test_rounds_that_agree_have_no_spread() -> None:
    assert cells([w5("punctual", 90.0)] * 3, "creates/s, one by one") == ["90.0"]


def test_cpu_is_that_of_the_worker_and_of_its_store() -> None:
    cpu = {"cpu_worker_per1k": 0.5, "cpu_store_per1k": 0.25}
    late = {"p50": 0.1, "p99": 0.2, "frac": 1.0}

    rows = [{"peer": "punctual", "w": "w3", "round": 0} | cpu | late]

    assert cells(rows, "CPU per 1,000, s") == ["0.750"]


def test_a_failed_round_counts_for_nothing() -> None:
    rows = [w5("punctual", 100.0), {"peer": "celery", "w": "w5", "round": 0, "error": "it died"}]

    assert cells(rows, "creates/s, one by one") == ["100", "-"]


def test_a_round_whose_jobs_were_due_before_they_were_created_counts_for_nothing() -> None:
    rows = [w5("punctual", 100.0, slack=0.2), w5("punctual", 900.0, slack=-0.1)]

    assert cells(rows, "creates/s, one by one") == ["100"]


def test_counts_of_what_went_wrong_have_no_ratio() -> None:
    w4 = {"w": "w4", "round": 0, "not_run": 200, "multi": 5, "last_start_after_kill": 1.0}

    rows = [{"peer": "punctual"} | w4, {"peer": "celery"} | w4 | {"not_run": 800}]

    assert cells(rows, "not run, of 1,000") == ["200", "800"]


def test_schedulers_take_turns_in_every_round_and_punctual_is_always_among_them() -> None:
    assert turns(["w2", "w5", "celery", "--rounds", "2"]) == [
        Turn(0, "w2", "punctual"),
        Turn(0, "w2", "celery"),
        Turn(0, "w5", "punctual"),
        Turn(0, "w5", "celery"),
        Turn(1, "w2", "punctual"),
        Turn(1, "w2", "celery"),
        Turn(1, "w5", "punctual"),
        Turn(1, "w5", "celery"),
    ]


def test_without_a_name_everything_is_run() -> None:
    asked = turns([])

    assert {turn.scheduler for turn in asked} == {"punctual", *PEERS}
    assert {turn.workload for turn in asked} == set(FIGURES)


def test_a_peer_without_a_grid_of_seconds_is_left_out_of_w3() -> None:
    asked = turns(["w3", "celery", "bullmq"])

    assert [turn.scheduler for turn in asked] == ["punctual", "bullmq"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["cellery"], "cellery is none of apscheduler, celery,"),
        (["w6"], "w6 is none of"),
        (["w3", "celery"], "w3 needs jobs that recur each second, which celery has not"),
        (["--rounds", "0"], "--rounds is at least 1"),
        (["--rounds", "few"], "invalid int value: 'few'"),
        (["--fast"], "unrecognized arguments: --fast"),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        turns(arguments)

    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.count("\n") == 1
    assert says in said


def test_a_call_that_tells_no_slot_has_its_jobs_or_the_last_second() -> None:
    calls = [("told", 5.0, 1, 9.75), ("once", 0.0, 0, 9.75), ("recurring", 0.0, 0, 9.75)]

    slots = [slot for _, slot, *_ in placed(calls, {"once": 7.5})]

    assert slots == [5.0, 7.5, 9.0]


class Instant(Round):
    """A scheduler that creates a thousand jobs a second, or four thousand together, as it says."""

    def __init__(self) -> None:
        self.created = 0

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def create(self, jobs: Mapping[str, Schedule], *, one_by_one: bool = False) -> float:
        self.created += len(jobs)
        return len(jobs) / (1000 if one_by_one else 4000)

    def cpu(self) -> Cpu:
        return Cpu(worker=self.created / 1000, store=self.created / 4000)


@contextmanager
def instant(*, delay: float = 0.0) -> Iterator[Round]:
    yield Instant()


def test_a_line_says_who_what_and_how_busy_the_machine_was() -> None:
    line = report("celery", "w5", 3, instant)

    assert {"peer": "celery", "w": "w5", "round": 3, "http": True}.items() <= line.items()
    assert line["contention"] >= 1.0
    assert line["load1"] >= 0.0
    assert (line["single_per_s"], line["bulk_per_s"]) == (1000.0, 4000.0)
    assert (line["cpu_worker_per1k"], line["cpu_store_per1k"]) == (1.0, 0.25)
    assert cells([line], "creates/s, together") == ["-", "4,000"]


def test_every_workload_of_the_table_is_one_of_ours() -> None:
    assert set(FIGURES) <= set(WORKLOADS)


@pytest.mark.parametrize("peer", PEERS.values(), ids=list(PEERS))
def test_every_peer_has_its_program(peer: Any) -> None:
    *_, program = peer.command
    as_module = Path(*program.split(".")).with_suffix(".py")

    assert Path(program).exists() or as_module.exists()
