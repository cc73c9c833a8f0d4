"""Lines that targets write about their runs: made fit to be kept, and bounded."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from punctual.core.runs import HISTORY_KEPT, LIFE_MAX
from punctual.core.timeline import Level, LogLine

LINES_MAX = 500
"""Lines kept of one run; later ones are counted."""

LINE_BYTES_MAX = 4096
"""Bytes of one line; what lies beyond is cut off."""

LINES_KEPT = LIFE_MAX + HISTORY_KEPT
"""How long lines are kept: at least as long as the run they are about."""

_CUT = "…"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLines:
    """What is left of what targets wrote about a run."""

    lines: tuple[LogLine, ...] = ()
    """In the order in which they came."""
    left_out: int = 0
    """Lines that came after `LINES_MAX` others."""


def log_lines(texts: Sequence[str], *, at: datetime, attempt: int) -> tuple[LogLine, ...]:
    """Return what was written about an attempt as lines of its run's log, each one line indeed.

    Args:
        texts: As they came.
        at: When they came.
        attempt: Number of the attempt.
    """
    return tuple(
        LogLine(at=at, attempt=attempt, level=Level.INFO, message=_cut(printable(text)))
        for text in texts
    )


def printable(text: str) -> str:
    r"""Return a text as one line: control characters are written as `\x1b`.

    So no line passes for two, nor moves the cursor of whoever reads it at a terminal.
    """
    return _CONTROL.sub(_escape, text)


def lines_until(now: datetime) -> datetime:
    """Return until when lines that came now are kept."""
    return now + LINES_KEPT


def told(kept: KeptLines) -> Iterator[LogLine]:
    """Yield the lines, and at their end how many more there were."""
    yield from kept.lines
    if kept.left_out:
        last = kept.lines[-1]
        yield LogLine(
            at=last.at,
            attempt=last.attempt,
            level=Level.WARNING,
            message=f"{kept.left_out} more lines were not kept",
        )


def portions(lines: Sequence[LogLine]) -> Iterator[tuple[LogLine, ...]]:
    """Yield the lines in portions of at most `LINE_BYTES_MAX` bytes of text."""
    portion: list[LogLine] = []
    weight = 0
    for line in lines:
        added = len(line.message.encode())
        if portion and weight + added > LINE_BYTES_MAX:
            yield tuple(portion)
            portion, weight = [], 0
        portion.append(line)
        weight += added
    if portion:
        yield tuple(portion)


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"  # noqa: PLR2004 - bytes


def _cut(text: str) -> str:
    if len(text) <= LINE_BYTES_MAX // 4:  # no character takes more than four bytes
        return text
    whole = text.encode()
    if len(whole) <= LINE_BYTES_MAX:
        return text
    return whole[: LINE_BYTES_MAX - len(_CUT.encode())].decode(errors="ignore") + _CUT
