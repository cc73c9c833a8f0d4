"""Lines that targets write are one line each, bounded, and none is left out in silence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punctual.core.log_lines import (
    LINE_BYTES_MAX,
    KeptLines,
    lines_until,
    log_lines,
    portions,
    printable,
    told,
)
from punctual.core.runs import HISTORY_KEPT, LIFE_MAX
from punctual.core.timeline import Level, LogLine
from tests.support.clock import NINE


def written(*texts: str) -> tuple[LogLine, ...]:
    return log_lines(texts, at=NINE, attempt=2)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("loaded 10 rows", "loaded 10 rows"),
        ("a\tb", "a\tb"),
        ("one\r\ntwo", r"one\x0d\x0atwo"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("äöü 😀", "äöü 😀"),
    ],
)
def test_control_characters_are_shown_and_do_nothing(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert written(text) == (LogLine(at=NINE, attempt=2, level=Level.INFO, message=shown),)


@given(st.text(max_size=6000))
def test_no_line_is_longer_than_the_bound_or_passes_for_two(text: str) -> None:
    (line,) = written(text)

    assert len(line.message.encode()) <= LINE_BYTES_MAX
    assert len(line.message.splitlines()) <= 1


def test_a_line_that_is_too_long_says_that_it_was_cut() -> None:
    (line,) = written("ä" * LINE_BYTES_MAX)

    assert line.message.endswith("ä…")
    assert LINE_BYTES_MAX - 4 < len(line.message.encode()) <= LINE_BYTES_MAX


@given(st.lists(st.text(max_size=3000), max_size=20))
def test_portions_are_all_lines_in_order_and_none_is_too_heavy(texts: list[str]) -> None:
    lines = written(*texts)

    parts = list(portions(lines))

    assert tuple(line for part in parts for line in part) == lines
    for part in parts:
        assert sum(len(line.message.encode()) for line in part) <= LINE_BYTES_MAX


def test_how_many_lines_were_not_kept_is_told_at_the_end() -> None:
    lines = written("one", "two")

    *kept, last = told(KeptLines(lines=lines, left_out=7))

    assert tuple(kept) == lines
    assert (last.level, last.message) == (Level.WARNING, "7 more lines were not kept")
    assert list(told(KeptLines(lines=lines))) == list(lines)


def test_lines_are_kept_no_shorter_than_the_run_they_are_about() -> None:
    assert lines_until(NINE) >= NINE + LIFE_MAX + HISTORY_KEPT
