"""Versions of the code with one promise broken in each: what the crashes must find.

A mutant that survives means that a check is missing, or a crash.
"""

from tests.crashes.fates import Finding, carry_out, explore, interleave
from tests.crashes.stories import MEETINGS, SHORT, make_story
from tests.simulation.mutants import Mutant
from tests.simulation.program import Edit, Program

DATABASE = "adapters.sqlite.database"
JOB_STORE = "adapters.sqlite.job_store"
RUN_QUEUE = "adapters.sqlite.run_queue"
DISPATCH = "services.dispatch"
EXECUTE = "services.execute"


def _in(module: str, *changes: tuple[str, str]) -> tuple[Edit, ...]:
    return tuple(Edit(f"punctual.{module}", old, new) for old, new in changes)


_CLAIM_LAST = (
    "        answers = self._jobs.claim([visit.claim for visit in whole]) if whole else []\n",
    "",
)

_HELD = "        held = [visit for visit, holds in zip(whole, answers, strict=True) if holds]\n"

_ALONE = (
    "held = self._transact(lambda: self._hand_over(visits, done))",
    "held = self._hand_over(visits, done)",
)
"""A visit whose steps are made durable one by one."""


MUTANTS = (
    Mutant(
        "call-before-commit",
        "calls go out while the starts that they belong to are still uncommitted",
        _in(
            EXECUTE,
            (
                "calls = self._transact(lambda: self._start(starts, done))",
                "calls = self._transact(lambda: self._launch(self._start(starts, done)) or [])",
            ),
        ),
    ),
    Mutant(
        "told-before-commit",
        "who shares a commit with another one is told before it",
        _in(DATABASE, ("        batch.wait()\n        return done", "        return done")),
    ),
    Mutant(
        "claim-before-rows",
        "the claim is durable before the rows and messages that it stands for",
        _in(
            DISPATCH,
            _ALONE,
            (
                "        whole = self._left_out(visits)\n",
                (
                    "        answers = self._jobs.claim([visit.claim for visit in visits])\n"
                    "        whole = self._left_out(visits)\n"
                ),
            ),
            _CLAIM_LAST,
        ),
    ),
    Mutant(
        "claim-before-messages",
        "the claim is durable before the messages are",
        _in(
            DISPATCH,
            _ALONE,
            (
                "        whole = self._sent(whole)\n",
                (
                    "        answers = self._jobs.claim([visit.claim for visit in whole])\n"
                    "        whole = self._sent(whole)\n"
                ),
            ),
            _CLAIM_LAST,
        ),
    ),
    Mutant(
        "watch-after-rows",
        "rows are durable before the watch that looks after them, and the claim before both",
        _in(
            DISPATCH,
            _ALONE,
            ("        whole = self._watched(whole)\n", ""),
            ("        done.failed += len(visits) - len(whole)\n\n", ""),
            (_HELD, f"{_HELD}        self._watched(whole)\n"),
        ),
    ),
    Mutant(
        "message-in-memory",
        "what is sent waits in the heap alone",
        _in(RUN_QUEUE, ("            self._database.write(_SEND, rows)\n", "")),
    ),
    Mutant(
        "message-forgotten-at-boot",
        "the heap is empty when the database is opened",
        _in(
            RUN_QUEUE, ("        heapq.heapify(self._waiting)\n", "        self._waiting.clear()\n")
        ),
    ),
    Mutant(
        "message-outlives-its-run",
        "a message that is let go leaves its row",
        _in(
            RUN_QUEUE,
            (
                "            self._database.write(_ACKNOWLEDGE, [(row_id,) for row_id in gone])\n",
                "",
            ),
        ),
    ),
    Mutant(
        "message-let-go-at-start",
        "a message is let go when its run starts, and not when it has ended",
        _in(
            EXECUTE,
            (
                "        done.started += [attempt.run for attempt in attempts]\n",
                (
                    "        done.started += [attempt.run for attempt in attempts]\n"
                    "        self._queue.acknowledge([attempt.message for attempt in attempts])\n"
                ),
            ),
        ),
    ),
    Mutant(
        "ids-from-one-again",
        "messages are numbered from one again when the database is opened",
        _in(
            RUN_QUEUE,
            ("self._ids = count(last_id + 1)", "self._ids = count(1)"),
            (" INSERT INTO messages", " INSERT OR REPLACE INTO messages"),
        ),
    ),
    Mutant(
        "lease-outlives-its-boot",
        "a lease that an earlier process gave is respected",
        _in(
            "adapters.sqlite.rows",
            ("if lease_boot in {None, boot} else None", "if lease_boot else None"),
        ),
    ),
    Mutant(
        "boots-uncounted",
        "every process has the same number",
        _in("adapters.sqlite.engine", ("SET boot = boot + 1", "SET boot = 1")),
    ),
    Mutant(
        "wakeup-lost",
        "an executor that sleeps is not told of an earlier message",
        _in("local.host", ("        engine.queue.listen(self._targets.wake)\n", "")),
    ),
    Mutant(
        "content-after-job",
        "a job is durable before what it calls",
        _in(
            "services.jobs",
            (
                (
                    "            self._jobs.put_content(key, content, spec.content)\n"
                    "            if self._jobs.create(job, over=tombstone) is not None:\n"
                    "                return False\n"
                ),
                (
                    "            if self._jobs.create(job, over=tombstone) is not None:\n"
                    "                return False\n"
                    "            self._jobs.put_content(key, content, spec.content)\n"
                ),
            ),
            ("if not self._transact(store):", "if not store():"),
        ),
    ),
    Mutant(
        "look-removed-first",
        "a watch row is gone before the next one is there",
        _in(
            "services.watch",
            (
                "self._transact(partial(self._deal_with, rows, done))",
                "self._watch_list.remove(rows)\n                self._deal_with(rows, done)",
            ),
        ),
    ),
    Mutant(
        "outcome-overwritten",
        "a run that has its outcome can be started",
        _in(
            "core.runs",
            (
                "                or (run.dead(now) and run.attempt < run.max_attempts)\n",
                "                or (not run.live(now) and run.attempt < run.max_attempts)\n",
            ),
        ),
    ),
    Mutant(
        "gate-stolen",
        "a run takes the gate from the one that holds it",
        _in(
            "core.gates",
            (
                "    if holder is None:\n        return replace(gate, holder",
                "    if True:\n        return replace(gate, holder",
            ),
        ),
    ),
    Mutant(
        "claim-unasked",
        "CLAIM asks neither where the pointer is nor which revision the job has",
        _in(JOB_STORE, ("row[1:] == _expected(claim) for claim", "row[0] is not None for claim")),
    ),
    Mutant(
        "change-unasked",
        "a change of a job does not ask whether it is as it was read",
        _in(
            JOB_STORE, ("standing is None or _version(standing) != _version(seen)", "not standing")
        ),
    ),
)


def find(mutant: Mutant, *, seeds: range) -> Finding | None:
    """Look for what a mutant breaks, in the short stories first; None where nothing is found."""
    program = Program(mutant.edits)
    for story in SHORT.values():
        for finding in explore(story, program, crashes=1).found:
            return finding
    for story in MEETINGS.values():
        for finding in interleave(story, program).found:
            return finding
    for seed in seeds:
        for finding in carry_out(seed, make_story(seed), program).found:
            return finding
    return None
