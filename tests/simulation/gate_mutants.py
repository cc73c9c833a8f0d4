"""Versions of the code in which a gate or a limit is broken: what the simulation must find."""

from tests.simulation.mutants import Mutant
from tests.simulation.program import Edit
from tests.simulation.ranges import RULED_FROM

GATES = "punctual.core.gates"
LIMITS = "punctual.core.limits"
STORE = "punctual.adapters.dynamodb.gate_store"
EXECUTE = "punctual.services.execute"

GATE_MUTANTS = (
    Mutant(
        "gate-stolen",
        "whoever comes takes the holder of a gate for over",
        (
            Edit(
                GATES,
                "    return None if run is None or run.state.terminal else run",
                "    return None",
            ),
        ),
        first=RULED_FROM,
    ),
    Mutant(
        "gate-written-blindly",
        "a gate is written over whatever is there, and not over what was read",
        (
            Edit(
                STORE,
                '_GATE = Change(\n    when="#version = :seen",',
                '_GATE = Change(\n    when="attribute_exists(#version)",',
            ),
        ),
        first=RULED_FROM,
    ),
    Mutant(
        "limit-lets-in-one-more",
        "an attempt is let into a limit that is full",
        (
            Edit(
                LIMITS,
                "    return len(usage.holders) < limit.max_concurrent",
                "    return len(usage.holders) <= limit.max_concurrent",
            ),
        ),
        first=RULED_FROM,
    ),
    Mutant(
        "limit-strikes-off-the-living",
        "whoever finds a limit full strikes everybody off",
        (
            Edit(
                LIMITS,
                "    dead = [t for t in usage.holders if t.run not in runs"
                " or not runs[t.run].held_by(t.owner)]",
                "    dead = list(usage.holders)",
            ),
        ),
        first=RULED_FROM,
    ),
    Mutant(
        "limit-left-at-once",
        "an attempt leaves its limits when it is let in",
        (
            Edit(
                EXECUTE,
                "                attempt.call_at = admission.at\n",
                "                attempt.call_at = admission.at\n"
                "                if attempt.job is not None:\n"
                "                    self._admission.leave([(attempt.run, attempt.job)])\n",
            ),
        ),
        first=RULED_FROM,
    ),
    Mutant(
        "waits-for-ever",
        "a run that waits does not look again while anybody cares",
        (
            Edit(
                GATES,
                "    pause = min(max((now - run.scheduled_at) / 4, WAIT_MIN), WAIT_MAX)",
                "    pause = timedelta(hours=5)",
            ),
        ),
        first=RULED_FROM,
    ),
)
