"""A late slot is run or left out, whatever order things happen in, and each breach shows."""

import pytest

from tests.model.checker import explore
from tests.model.left_out import LeftOut, Protocol, Rule


@pytest.mark.parametrize("faults", [0, 1, 2, 3])
def test_a_slot_is_run_or_left_out_however_late_a_write_arrives(faults: int) -> None:
    verdict = explore(LeftOut(faults=faults))

    assert verdict.wrong is None, str(verdict)


@pytest.mark.parametrize(
    ("protocol", "faults", "wrong"),
    [
        pytest.param(
            Protocol(rule=Rule.AT_ONCE, looks_again=False),
            0,
            "run, and left out",
            id="a record counts from its arrival",
        ),
        pytest.param(
            Protocol(rule=Rule.AT_ONCE),
            0,
            "run, and left out",
            id="a visit that finds a run after its record only goes no further",
        ),
        pytest.param(
            Protocol(rule=Rule.DELETED),
            0,
            "lost",
            id="a visit that finds a run after its record deletes it",
        ),
        pytest.param(
            Protocol(looks_again=False),
            0,
            "run, and left out",
            id="what is announced is settled without another look",
        ),
        pytest.param(
            Protocol(withdraws=False),
            0,
            "run, and left out",
            id="a run takes no notice of what is announced",
        ),
    ],
)
def test_each_other_way_to_leave_a_slot_out_breaks_a_promise(
    protocol: Protocol, faults: int, wrong: str
) -> None:
    assert explore(LeftOut(protocol, faults=faults)).wrong == wrong
