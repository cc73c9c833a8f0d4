"""Every example in docs/time.md is so."""

import re
from pathlib import Path

import pytest

from punctual.core.schedules import Dst, Gap, Repeat
from tests.support.walks import instants

PAGE = Path(__file__).parents[3] / "docs" / "time.md"
INSTANT = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}(:\d{2})?")


def examples() -> list[tuple[str, str, str, str, list[str]]]:
    """Return expression, zone, wish, start and slots of each row that shows slots."""
    found = []
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        starts = [n for n, cell in enumerate(cells) if INSTANT.fullmatch(cell)]
        if not line.startswith("| `") or not starts:
            continue
        start = starts[0]
        wish = cells[2] if start == 3 else ""
        slots = [
            slot.strip().removesuffix(":00") if slot.count(":") > 1 else slot.strip()
            for slot in cells[start + 1].split(",")
        ]
        found.append((cells[0].strip("`"), cells[1], wish, cells[start], slots))
    return found


def wish_of(text: str) -> Dst | None:
    if not text:
        return None
    field, _, value = text.partition(": ")
    return Dst(gap=Gap(value)) if field == "gap" else Dst(overlap=Repeat(value))


def test_the_page_shows_examples_of_expressions_and_of_changing_clocks() -> None:
    shown = examples()

    assert len(shown) >= 25
    assert sum(bool(wish) for _, _, wish, _, _ in shown) >= 5


@pytest.mark.parametrize(("expression", "zone", "wish", "after", "slots"), examples())
def test_an_example_is_so(
    expression: str, zone: str, wish: str, after: str, slots: list[str]
) -> None:
    found = instants(expression, zone, after=after, count=len(slots), dst=wish_of(wish))

    assert found == slots
