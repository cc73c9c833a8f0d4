"""Versions of the code in which a promise to targets that report back is broken."""

from tests.simulation.mutants import MOVES, Mutant
from tests.simulation.program import Edit
from tests.simulation.ranges import REPORTING_FROM

CORE = "punctual.core.callbacks"
CALLBACKS = "punctual.services.callbacks"
EXECUTE = "punctual.services.execute"


STORE = f"punctual.{MOVES}"


def _broken(name: str, story: str, module: str, old: str, new: str) -> Mutant:
    return Mutant(name, story, (Edit(module, old, new),), first=REPORTING_FROM)


CALLBACK_MUTANTS = (
    _broken(
        "accepted-is-succeeded",
        "a call that was accepted counts as the outcome",
        EXECUTE,
        "if verdict is Verdict.SUCCEEDED and attempt.heartbeat is not None:",
        "if False and attempt.heartbeat is not None:",
    ),
    Mutant(
        "hold-by-anybody",
        "HOLD does not ask whose attempt it is: one that was taken over moves another's lease",
        (
            Edit(STORE, 'UNACCEPTED = f"{HELD} AND', 'UNACCEPTED = f"#state = :running AND'),
            Edit(STORE, 'OUTLASTED = f"{HELD} AND', 'OUTLASTED = f"#state = :running AND'),
        ),
        first=REPORTING_FROM,
    ),
    _broken(
        "late-hold",
        "HOLD does not ask for a shorter lease: one that arrives late takes back what is newer",
        STORE,
        'OUTLASTED = f"{HELD} AND #lease_until < :lease_until"',
        "OUTLASTED = HELD",
    ),
    _broken(
        "late-acceptance",
        "an acceptance that is written late ends the lease that heartbeats have made longer",
        STORE,
        'UNACCEPTED = f"{HELD} AND attribute_not_exists(#accepted)"',
        "UNACCEPTED = HELD",
    ),
    _broken(
        "heartbeat-unnoted",
        "a heartbeat is answered, and the lease stays where it was",
        CALLBACKS,
        "            self._move(caller, beat(run, heartbeat=heartbeat, now=now))\n",
        "            pass\n",
    ),
    _broken(
        "held-too-short",
        "a target may be silent for half as long as its job says",
        CORE,
        "lease_until=min(now + heartbeat + LEASE_MARGIN,",
        "lease_until=min(now + heartbeat / 2,",
    ),
    _broken(
        "past-attempts-report",
        "an attempt that was followed by another one may still report, in the other's name",
        CORE,
        "            return Attempt(number, Standing.PAST)\n",
        "            return Attempt(number, Standing.CURRENT)\n",
    ),
    _broken(
        "every-report-stands",
        "a report is accepted whether or not the store took it",
        CALLBACKS,
        "        if moved.failed:\n"
        '            raise StoreUnavailable("the store gave no answer")\n'
        "        run = moved.run or after(move, caller.run)\n"
        "        if not moved.applied or run is None:\n"
        "            raise _over()\n"
        "        return run\n",
        "        return after(move, caller.run) or caller.run\n",
    ),
    _broken(
        "repeated-report-is-refused",
        "a report whose answer was lost is refused when it is repeated",
        CALLBACKS,
        "        finished = self.attempt.standing is Standing.FINISHED\n",
        "        finished = False\n",
    ),
    _broken(
        "failure-unwatched",
        "what reported a failure awaits its next attempt without a watch row",
        CALLBACKS,
        "            self._watch(run, at=retry_look(settlement.retry_at))\n",
        "            pass\n",
    ),
    Mutant(
        "acceptance-unwatched",
        "the message about what was accepted goes, without a watch row",
        (
            Edit(
                EXECUTE,
                "            if isinstance(settlement, Hold)\n        }\n",
                "            if False\n        }\n",
            ),
            Edit(
                EXECUTE,
                "                if run.key in watched:\n",
                "                if run.key in watched or isinstance(settlement, Hold):\n",
            ),
        ),
        first=REPORTING_FROM,
    ),
)
