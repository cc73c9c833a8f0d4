"""A limit that lets one run in: every history keeps to it, and each breach shows."""

from collections.abc import Mapping

import pytest

from punctual.core.identity import RunKey
from punctual.core.limits import Usage, leave
from punctual.core.runs import Run
from tests.model.checker import explore
from tests.model.limits import Faults, Limits, Protocol
from tests.support.clock import NINE


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(Faults(late_write=0), id="a death, a failure"),
        pytest.param(Faults(dies=0), id="a late write, a failure"),
        pytest.param(Faults(), id="all of them", marks=pytest.mark.nightly),
    ],
)
def test_no_more_runs_are_called_than_a_limit_lets_in_whatever_happens(faults: Faults) -> None:
    verdict = explore(Limits(faults=faults))

    assert verdict.wrong is None, str(verdict)


def _takes_whoever_runs_for_in(usage: Usage, runs: Mapping[RunKey, Run]) -> Usage:
    """Ask whether a run goes on, and not by which attempt."""
    return leave(usage, [t for t in usage.holders if not runs[t.run].live(NINE)])


def _strikes_everybody_off(usage: Usage, _: Mapping[RunKey, Run]) -> Usage:
    return leave(usage, usage.holders)


def _strikes_nobody_off(usage: Usage, _: Mapping[RunKey, Run]) -> Usage:
    return usage


MORE = "more runs are called than the limit lets in"
STUCK = "stuck: nothing that must happen leads to an outcome"


@pytest.mark.parametrize(
    ("protocol", "wrong"),
    [
        pytest.param(
            Protocol(names_owners=False, strikes_off=_takes_whoever_runs_for_in),
            MORE,
            id="whoever is in is known by its run alone: an old attempt takes a new one out",
        ),
        pytest.param(
            Protocol(steps=("enter", "start", "call", "end", "leave")),
            MORE,
            id="an attempt enters before it is started, and is taken for one that is over",
        ),
        pytest.param(
            Protocol(strikes_off=_strikes_everybody_off),
            MORE,
            id="somebody is struck off who goes on",
        ),
        pytest.param(
            Protocol(strikes_off=_strikes_nobody_off),
            STUCK,
            id="nobody is struck off, though executors die",
        ),
        pytest.param(
            Protocol(steps=("start", "enter", "leave", "call", "end")),
            MORE,
            id="an attempt leaves before its call is over",
        ),
    ],
)
def test_each_breach_of_a_limit_breaks_a_promise(protocol: Protocol, wrong: str) -> None:
    assert explore(Limits(protocol)).wrong == wrong
