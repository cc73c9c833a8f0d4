"""What Punctual does beside what each peer does, from the lines of one sitting."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

REFERENCE = "punctual"

Row = Mapping[str, Any]
"""One line: peer, workload and round, and what was measured."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    label: str
    fields: tuple[str, ...]
    """Fields of a row whose sum it is."""
    compared: bool = True
    """Whether a ratio says anything: not of counts that are 0 where all is well."""

    def of(self, row: Row) -> float:
        """Return the figure of one round."""
        return float(sum(row[field] for field in self.fields))


def _lateness(*quantiles: str) -> tuple[Figure, ...]:
    return tuple(Figure(f"late {quantile}, s", (quantile,)) for quantile in quantiles)


_CPU = Figure("CPU per 1,000, s", ("cpu_worker_per1k", "cpu_store_per1k"))
_CPU_RUN = Figure("of it from the slot on, s", ("cpu_worker_run_per1k", "cpu_store_run_per1k"))
_MANY_AT_ONCE = (
    Figure("jobs run", ("distinct",), compared=False),
    Figure("runs/s", ("runs_s",)),
    *_lateness("p50", "p99"),
    _CPU,
    _CPU_RUN,
)

FIGURES = {
    "w1": _lateness("p50", "p99", "max"),
    "w2": _MANY_AT_ONCE,
    "w2k10": _MANY_AT_ONCE,
    "w3": (Figure("fraction of slots run", ("frac",)), *_lateness("p50", "p99"), _CPU),
    "w4": (
        Figure("not run, of 1,000", ("not_run",), compared=False),
        Figure("called again", ("multi",), compared=False),
        Figure("last start after restart, s", ("last_start_after_kill",), compared=False),
    ),
    "w5": (
        Figure("creates/s, one by one", ("single_per_s",)),
        Figure("creates/s, together", ("bulk_per_s",)),
    ),
}
"""What the table has of each workload."""


def table(rows: Sequence[Row]) -> str:
    """Set the medians of every peer beside Punctual's, in Markdown.

    Args:
        rows: Of any peers, workloads and rounds, in any order. Rows of failed rounds, and of rounds
            whose jobs were still being created when they were due, count for nothing.

    Returns:
        A line for each figure, a column for each peer. A cell is `median ± spread (ratio)`: the
        spread is half the range of rounds that differ, in percent of the median; the ratio is that
        of Punctual's median to this one, left out where either is 0.
    """
    peers = [REFERENCE, *_in_order(row["peer"] for row in rows if row["peer"] != REFERENCE)]
    lines = [["workload", "figure", *peers], ["---"] * (2 + len(peers))]
    for workload in _in_order(row["w"] for row in rows):
        sound = [row for row in rows if row["w"] == workload and _is_sound(row)]
        for figure in FIGURES[workload]:
            values = {
                peer: [figure.of(row) for row in sound if row["peer"] == peer] for peer in peers
            }
            lines.append([workload, figure.label, *_cells(values, compared=figure.compared)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _is_sound(row: Row) -> bool:
    return "error" not in row and row.get("slack", 0) >= 0


def _cells(values: Mapping[str, Sequence[float]], *, compared: bool) -> list[str]:
    of_reference = values[REFERENCE]
    reference = median(of_reference) if of_reference and compared else 0.0
    return [
        _cell(of_peer, reference=0.0 if peer == REFERENCE else reference)
        for peer, of_peer in values.items()
    ]


def _cell(values: Sequence[float], *, reference: float) -> str:
    if not values:
        return "-"
    middle = median(values)
    cell = _written(middle)
    if middle and min(values) < max(values):
        cell += f" ± {(max(values) - min(values)) / 2 / middle:.0%}"
    if reference and middle:
        cell += f" ({_written(reference / middle)})"
    return cell


def _written(value: float) -> str:
    """Write a number with three significant digits, or all of those before the point."""
    if not value:
        return "0"
    decimals = max(2 - math.floor(math.log10(abs(value))), 0)
    return f"{value:,.{decimals}f}"


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
