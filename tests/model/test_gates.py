"""One run at a time: every history of a gate keeps the promises, and each breach shows."""

from collections.abc import Mapping

import pytest

from punctual.core.gates import Arrival, Gate, Word, arrive
from punctual.core.identity import RunKey
from punctual.core.jobs import Overlap
from punctual.core.runs import Run
from tests.model.checker import explore
from tests.model.gates import KEYS, NUMBERS, Faults, Gates, Protocol


@pytest.mark.parametrize(
    ("overlap", "faults"),
    [
        pytest.param(Overlap.SKIP, Faults(), id="skip: a death, a failure"),
        pytest.param(
            Overlap.SKIP,
            Faults(dies=0, fails=0, late_write=1, taken_back=1),
            id="skip: a late write, a row is taken back",
        ),
        pytest.param(Overlap.BUFFER_ONE, Faults(fails=0), id="buffer_one: a death"),
        pytest.param(
            Overlap.BUFFER_ONE,
            Faults(dies=0, fails=0, taken_back=1),
            id="buffer_one: a row is taken back",
        ),
        pytest.param(Overlap.CANCEL_OTHER, Faults(fails=0), id="cancel_other: a death"),
        pytest.param(
            Overlap.CANCEL_OTHER,
            Faults(dies=0, fails=0, taken_back=1),
            id="cancel_other: a row is taken back",
        ),
    ],
)
def test_one_run_at_a_time_whatever_happens(overlap: Overlap, faults: Faults) -> None:
    verdict = explore(Gates(overlap, faults=faults))

    assert verdict.wrong is None, str(verdict)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("overlap", "faults"),
    [
        (Overlap.SKIP, Faults(cancel=1)),
        (Overlap.SKIP, Faults(late_write=1, taken_back=1)),
        (Overlap.BUFFER_ONE, Faults()),
        (Overlap.BUFFER_ONE, Faults(dies=0, taken_back=1)),
        (Overlap.BUFFER_ONE, Faults(late_write=1)),
        (Overlap.BUFFER_ONE, Faults(cancel=1)),
        (Overlap.CANCEL_OTHER, Faults()),
        (Overlap.CANCEL_OTHER, Faults(dies=0, taken_back=1)),
        (Overlap.CANCEL_OTHER, Faults(dies=0, fails=0, late_write=1)),
    ],
    ids=str,
)
def test_one_run_at_a_time_under_more_faults_at_once(overlap: Overlap, faults: Faults) -> None:
    verdict = explore(Gates(overlap, faults=faults))

    assert verdict.wrong is None, str(verdict)


def _takes_everybody_for_over(
    gate: Gate, run: Run, overlap: Overlap, rows: Mapping[RunKey, Run]
) -> tuple[Gate, Arrival]:
    return arrive(gate, run, overlap, rows={run.key: run})


def _asks_nobody(
    gate: Gate, run: Run, overlap: Overlap, rows: Mapping[RunKey, Run]
) -> tuple[Gate, Arrival]:
    """Look at the run before only, as if it could not be called later."""
    number = NUMBERS[run.key]
    before = rows.get(KEYS[number - 1]) if number else None
    if before is not None and not before.state.terminal:
        return gate, Arrival(word=Word.YIELD, behind=before)
    return Gate(job=gate.job, holder=run.key), Arrival(word=Word.GO)


def _lets_the_last_comer_win(
    gate: Gate, run: Run, overlap: Overlap, rows: Mapping[RunKey, Run]
) -> tuple[Gate, Arrival]:
    """Take the place of whoever waits, each time a run comes back."""
    holder = rows.get(gate.holder) if gate.holder is not None else None
    if holder is None or holder.state.terminal or holder.key == run.key:
        return Gate(job=gate.job, holder=run.key), Arrival(word=Word.GO)
    waits = Arrival(word=Word.WAIT, behind=holder, cancels=True)
    return Gate(job=gate.job, holder=gate.holder, waiting=run.key), waits


def _compares_the_holder(known: bool, seen: Gate, now: Gate) -> bool:
    return seen.holder == now.holder


TWO = "two runs are called at a time"


@pytest.mark.parametrize(
    ("overlap", "protocol", "faults", "wrong"),
    [
        pytest.param(
            Overlap.SKIP,
            Protocol(arrives=_takes_everybody_for_over),
            Faults(dies=0, fails=0),
            TWO,
            id="a gate is taken whose holder goes on",
        ),
        pytest.param(
            Overlap.SKIP,
            Protocol(arrives=_asks_nobody),
            Faults(dies=0, fails=0),
            TWO,
            id="the run before is looked at, and not who is called",
        ),
        pytest.param(
            Overlap.SKIP,
            Protocol(steps=("gate", "start")),
            Faults(dies=0, fails=0, taken_back=1),
            TWO,
            id="the gate is passed before the start",
        ),
        pytest.param(
            Overlap.SKIP,
            Protocol(writes_when_held=False),
            Faults(taken_back=1),
            TWO,
            id="a run that holds the gate does not write it again",
        ),
        pytest.param(
            Overlap.SKIP,
            Protocol(compares=_compares_the_holder),
            Faults(taken_back=1),
            TWO,
            id="the gate is written over the same holder, whatever it did meanwhile",
        ),
        pytest.param(
            Overlap.SKIP,
            Protocol(compares=lambda *_: True),
            Faults(dies=0, fails=0),
            TWO,
            id="the gate is written over whatever is there",
        ),
        pytest.param(
            Overlap.SKIP,
            Protocol(opens_before_the_end=True),
            Faults(dies=0),
            "a run that was called gave way",
            id="the gate is opened before the outcome is written",
        ),
        pytest.param(
            Overlap.CANCEL_OTHER,
            Protocol(arrives=_lets_the_last_comer_win),
            Faults(dies=0, fails=0),
            "a run cancelled a later one",
            id="whoever came last wins, also one that only comes back",
        ),
    ],
)
def test_each_breach_of_the_gate_breaks_a_promise(
    overlap: Overlap, protocol: Protocol, faults: Faults, wrong: str
) -> None:
    assert explore(Gates(overlap, protocol, faults)).wrong == wrong
