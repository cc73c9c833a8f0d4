"""Say of runs that were started whether their targets may be called, where a job has rules."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from punctual.core.execution import Postponed
from punctual.core.identity import RunKey
from punctual.core.jobs import Job, Overlap
from punctual.core.runs import Ending, Run
from punctual.ports import Chance, Clock, GateStore, RunStore
from punctual.services.gates import Gates
from punctual.services.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A run whose target may be called."""

    at: datetime
    """From when on: now, or up to `limits.AHEAD` from now."""


class Admission:
    """Brings runs to the gates of their jobs, and those that pass into their limits.

    The runs are held by the caller, and their jobs were read after the start.
    """

    def __init__(self, *, gates: GateStore, runs: RunStore, clock: Clock, chance: Chance) -> None:
        self._gates = Gates(gates=gates, runs=runs, clock=clock, chance=chance)
        self._limits = Limits(gates=gates, runs=runs, clock=clock, chance=chance)
        self._clock = clock

    def admit(
        self, attempts: Sequence[tuple[Run, Job]]
    ) -> Mapping[RunKey, Admitted | Postponed | Ending]:
        """Say of each run whether it is called, waits, or ends here.

        A run that has to wait is in none of its limits; one that passed its gate keeps it.
        Repeating it does no harm, though a start may be reserved twice.

        Raises:
            StoreUnavailable: There was no answer; some of them may have passed.
        """
        turned_away: dict[RunKey, Postponed | Ending] = {}
        gated = [(run, job) for run, job in attempts if job.policy.overlap is not Overlap.ALLOW]
        if gated:
            turned_away |= self._gates.arrive(gated)
        limited = [
            (run, job) for run, job in attempts if job.policy.limits and run.key not in turned_away
        ]
        starts: dict[RunKey, datetime | Postponed] = {}
        if limited:
            starts |= self._limits.enter(limited)
        now = self._clock.now()
        admissions: dict[RunKey, Admitted | Postponed | Ending] = {}
        for run, _ in attempts:
            told = turned_away.get(run.key) or starts.get(run.key, now)
            admissions[run.key] = Admitted(at=told) if isinstance(told, datetime) else told
        return admissions

    def leave(self, attempts: Iterable[tuple[Run, Job]]) -> None:
        """Strike attempts off their limits that are over, as their rows say already.

        Raises:
            StoreUnavailable: Some may still be counted, until somebody needs the room.
        """
        limited = [(run, job) for run, job in attempts if job.policy.limits]
        if limited:
            self._limits.leave(limited)
