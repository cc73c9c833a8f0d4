"""Bring runs that were started to the gates of their jobs."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from punctual.core.execution import Postponed
from punctual.core.gates import (
    OVERLAP,
    Arrival,
    Gate,
    Word,
    arrive_together,
    ending_of_yielded,
    wait_until,
)
from punctual.core.identity import JobKey, RunKey
from punctual.core.jobs import Job, Overlap
from punctual.core.runs import Ending, Run, cancellation
from punctual.ports import Chance, Clock, GateStore, RunStore
from punctual.services.records import put_surely

TRIES = 8
"""How often a gate is read and written that others write all the time; then the run waits."""

CROWDED = timedelta(seconds=1)
"""How long a run waits whose gate was written by others at every try."""


class Gates:
    """Lets one run of each job through at a time."""

    def __init__(self, *, gates: GateStore, runs: RunStore, clock: Clock, chance: Chance) -> None:
        self._gates = gates
        self._runs = runs
        self._clock = clock
        self._chance = chance

    def arrive(self, attempts: Sequence[tuple[Run, Job]]) -> Mapping[RunKey, Postponed | Ending]:
        """Bring runs, all of jobs with an overlap rule, to their gates.

        Returns:
            What becomes of those that do not pass.

        Raises:
            StoreUnavailable: There was no answer; some of them may have passed.
        """
        runs: dict[JobKey, list[Run]] = {}
        rules: dict[JobKey, Overlap] = {}
        for run, job in attempts:
            runs.setdefault(job.key, []).append(run)
            rules[job.key] = job.policy.overlap
        arrivals: dict[RunKey, Arrival] = {}
        for _ in range(TRIES):
            if not runs:
                break
            told, settled = self._arrive(runs, rules)
            arrivals |= {run.key: told[run.key] for job in settled for run in runs[job]}
            runs = {job: left for job, left in runs.items() if job not in settled}
        self._cancel(arrivals.values())
        verdicts = {run.key: self._verdict(run, arrivals.get(run.key)) for run, _ in attempts}
        return {key: verdict for key, verdict in verdicts.items() if verdict is not None}

    def _arrive(
        self, runs: Mapping[JobKey, Sequence[Run]], rules: Mapping[JobKey, Overlap]
    ) -> tuple[Mapping[RunKey, Arrival], set[JobKey]]:
        """Bring every run to its gate once; return what holds, and for which jobs it holds."""
        gates = self._gates.gates(list(runs))
        rows = self._rows(gates.values())
        told: dict[RunKey, Arrival] = {}
        changed: dict[JobKey, Gate] = {}
        for job, gate in gates.items():
            left, arrivals = arrive_together(gate, runs[job], rules[job], rows=rows)
            told |= arrivals
            if left != gate or any(a.word is Word.GO for a in arrivals.values()):
                changed[job] = left
        stood = put_surely(list(changed.values()), gates=self._gates, chance=self._chance)
        settled = {job for job in runs if job not in changed or changed[job] in stood}
        return told, settled

    def _rows(self, gates: Iterable[Gate]) -> Mapping[RunKey, Run]:
        named = {key for gate in gates for key in (gate.holder, gate.waiting) if key is not None}
        return self._runs.read(sorted(named)) if named else {}

    def _cancel(self, arrivals: Iterable[Arrival]) -> None:
        """Cancel runs that give way to a later one, which asks again each time that it comes."""
        now = self._clock.now()
        unwanted = {a.behind.key: a.behind for a in arrivals if a.cancels and a.behind is not None}
        moves = [cancellation(run, now=now, reason=OVERLAP) for run in unwanted.values()]
        if wanted := [move for move in moves if move is not None]:
            self._runs.move(wanted)

    def _verdict(self, run: Run, arrival: Arrival | None) -> Postponed | Ending | None:
        now = self._clock.now()
        if arrival is None:
            return Postponed(retry_at=now + CROWDED, reason="overlap: the gate is crowded")
        match arrival.word:
            case Word.GO:
                return None
            case Word.YIELD:
                return ending_of_yielded(run, now=now)
            case Word.WAIT:
                assert arrival.behind is not None, "a run waits for another one"
                return Postponed(
                    retry_at=wait_until(run, now=now, draw=self._chance.draw()),
                    reason=f"overlap: waits for {arrival.behind.key.run_id}",
                )
