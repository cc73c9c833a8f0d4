"""Lines that targets write about their runs: kept in order, bounded, each run's own."""

from dataclasses import replace
from datetime import timedelta

import pytest

from punctual.core.log_lines import LINES_MAX, KeptLines, lines_until, log_lines
from punctual.core.timeline import LogLine
from tests.contract.engines import ATOMIC
from tests.support.builders import SECOND, a_run_key
from tests.support.clock import NINE
from tests.support.engines import Engine

KEY = a_run_key()
UNTIL = lines_until(NINE)


def lines(*texts: str, after: timedelta = timedelta(0), attempt: int = 1) -> tuple[LogLine, ...]:
    return log_lines(texts, at=NINE + after, attempt=attempt)


def test_lines_are_read_in_the_order_in_which_they_came(engine: Engine) -> None:
    first = lines("one", 'two "quoted"', "", "drei äöü 😀")
    second = lines("four", after=SECOND, attempt=2)

    engine.logs.add(KEY, first, expires_at=UNTIL)
    engine.logs.add(KEY, second, expires_at=UNTIL)

    assert engine.logs.read(KEY) == KeptLines(lines=first + second)


def test_a_run_without_lines_has_none(engine: Engine) -> None:
    engine.logs.add(KEY, lines("mine"), expires_at=UNTIL)

    for other in (
        replace(KEY, name="20261201T090000.001Z"),
        replace(KEY, incarnation=2),
        a_run_key(job_id="report-2"),
        a_run_key(tenant="acme-2"),
    ):
        assert engine.logs.read(other) == KeptLines()


def test_long_lines_are_kept_whole(engine: Engine) -> None:
    long = lines(*(letter * 4096 for letter in "abc"), "short")

    engine.logs.add(KEY, long, expires_at=UNTIL)

    assert engine.logs.read(KEY) == KeptLines(lines=long)


@pytest.mark.parametrize("engine", ATOMIC, indirect=True)
def test_what_comes_after_the_last_line_that_is_kept_is_counted(engine: Engine) -> None:
    many = lines(*(f"line {n}" for n in range(LINES_MAX + 7)))

    engine.logs.add(KEY, many[: LINES_MAX - 3], expires_at=UNTIL)
    engine.logs.add(KEY, many[LINES_MAX - 3 : LINES_MAX + 2], expires_at=UNTIL)
    engine.logs.add(KEY, many[LINES_MAX + 2 :], expires_at=UNTIL)

    assert engine.logs.read(KEY) == KeptLines(lines=many[:LINES_MAX], left_out=7)
