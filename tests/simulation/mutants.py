"""Versions of the code with one promise broken in each: what the simulation must find.

A mutant that survives means that a check is missing.
"""

from dataclasses import dataclass

from tests.simulation.program import Edit


@dataclass(frozen=True, slots=True)
class Mutant:
    """A break of the protocol."""

    name: str
    story: str
    edits: tuple[Edit, ...]
    first: int = 0
    """The first of the seeds whose worlds have what it breaks."""


def _in(module: str, *changes: tuple[str, str]) -> tuple[Edit, ...]:
    return tuple(Edit(f"punctual.{module}", old, new) for old, new in changes)


MOVES = "adapters.dynamodb.moves"
JOB_STORE = "adapters.dynamodb.job_store"
RUN_STORE = "adapters.dynamodb.run_store"
TABLE = "adapters.dynamodb.table"
RUN_QUEUE = "adapters.sqs.run_queue"

MUTANTS = (
    # What an executor writes
    Mutant(
        "finish-by-anybody",
        "FINISH does not ask whose attempt it is: one that was taken over still ends the run",
        _in(
            MOVES,
            (
                "return _end(move.key, HELD, outcome, owner=text(owner))",
                "return _end(move.key, RUNNING, outcome)",
            ),
        ),
    ),
    Mutant(
        "outcome-overwrites",
        "FINISH asks nothing at all: a second outcome replaces the first",
        _in(
            MOVES,
            (
                "return _end(move.key, HELD, outcome, owner=text(owner))",
                'return _end(move.key, "attribute_exists(#state)", outcome)',
            ),
        ),
    ),
    Mutant(
        "retry-by-anybody",
        "RETRY does not ask whose attempt it is",
        _in(MOVES, ('RETRYABLE = f"{HELD} AND', 'RETRYABLE = f"{RUNNING} AND'))
        + _in(
            MOVES,
            (
                'RUNNING = "#state = :running"\n\nREAPABLE',
                "REAPABLE",
            ),
            (
                'HELD = "#state = :running AND #owner = :owner"',
                'RUNNING = "#state = :running"\nHELD = f"{RUNNING} AND #owner = :owner"',
            ),
        ),
    ),
    Mutant(
        "takeover-of-the-living",
        "START does not look at the lease: a run is taken from an executor that works on it",
        _in(MOVES, ('" AND #lease_until < :now AND #retry_at', '" AND #retry_at')),
    ),
    Mutant(
        "no-takeover",
        "START takes no run whose attempt died",
        _in(
            MOVES,
            (
                '"attribute_not_exists(#cancel_requested_at) AND #attempts_left > :zero"',
                (
                    '"attribute_not_exists(#cancel_requested_at) AND #attempts_left > :zero"\n'
                    '    " AND attribute_not_exists(#owner)"'
                ),
            ),
        ),
    ),
    Mutant(
        "start-despite-cancel",
        "START does not look whether the run was cancelled",
        _in(MOVES, ('"attribute_not_exists(#cancel_requested_at) AND #att', '"#att')),
    ),
    Mutant(
        "retry-early",
        "START does not wait for the retry's time",
        _in(MOVES, (" AND #retry_at <= :now", "")),
    ),
    Mutant(
        "start-takes-the-message's-word",
        "START does not ask whether the row is still of the schedule's revision that its message says",
        _in(
            MOVES,
            (
                'asked = [f"#{name} = :{name}" for name in pinned]',
                'asked = [f"#{name} = :{name}" for name in pinned if name != "schedule_revision"]',
            ),
        ),
    ),
    Mutant(
        "lease-of-nothing",
        "the lease ends as the attempt begins",
        _in(
            "services.execute",
            ("lease_until=lives_until + LEASE_MARGIN", "lease_until=self._clock.now()"),
        ),
    ),
    Mutant(
        "lease-too-short",
        "the lease ends long before its executor does, and calls do not end with it",
        _in(
            "services.execute",
            (
                "lease_until=lives_until + LEASE_MARGIN",
                "lease_until=lives_until - 7 * LEASE_MARGIN",
            ),
        )
        + _in(
            "core.execution",
            (
                "return max(min(job.policy.timeout, left), CALL_MIN)",
                "return max(job.policy.timeout, CALL_MIN)",
            ),
        ),
    ),
    Mutant(
        "reap-the-living",
        "REAP ends a cancelled run while its attempt is live",
        _in(MOVES, ("(#cancel_requested_at) AND #lease_until < :now", "(#cancel_requested_at)"))
        + _in(
            "core.runs",
            ("if run.live(now):\n        return Refusal", "if False:\n        return Refusal"),
        ),
    ),
    Mutant(
        "give-up-the-living",
        "GIVE UP ends a run while its last attempt is live",
        _in(
            MOVES,
            (
                "{HELD} AND #lease_until < :now AND #attempts_left = :zero",
                "{HELD} AND #attempts_left = :zero",
            ),
        )
        + _in(
            "core.runs",
            ("if run.live(now):\n        return Refusal", "if False:\n        return Refusal"),
            ("    if run.dead(now) and run.attempt >=", "    if run.attempt >="),
        ),
    ),
    Mutant(
        "attempts-start-again",
        "a takeover counts as the first attempt again",
        _in(
            MOVES,
            (
                '"#attempt = #attempt + :one",\n        "#attempts_left',
                '"#attempt = :one",\n        "#attempts_left',
            ),
        ),
    ),
    Mutant(
        "forgotten-at-start",
        "rows have a time to live from their beginning",
        _in(
            "adapters.dynamodb.items",
            (
                '        "failures": {"L": []},\n    }',
                '        "failures": {"L": []},\n        "ttl": seconds(run.scheduled_at),\n    }',
            ),
        ),
    ),
    Mutant(
        "ttl-at-start",
        "START sets a time to live",
        _in(
            MOVES,
            (
                '        f"#starts[{END}] = :start",\n',
                '        f"#starts[{END}] = :start",\n        "#ttl = :one",\n',
            ),
        ),
    ),
    Mutant(
        "spent-start-again",
        "START does not ask whether an attempt is left",
        _in(
            MOVES,
            (
                '"attribute_not_exists(#cancel_requested_at) AND #attempts_left > :zero"',
                '"attribute_not_exists(#cancel_requested_at)"',
            ),
        ),
    ),
    Mutant(
        "cancel-of-the-living",
        "CANCEL ends a run while its attempt is live",
        _in(
            MOVES,
            (
                "return _end(move.key, NOT_RUNNING, outcome)",
                'return _end(move.key, "attribute_exists(#retry_at)", outcome)',
            ),
        )
        + _in(
            "core.runs",
            (
                "    if run.state is RunState.RUNNING:\n        return RequestCancel(",
                "    if False:\n        return RequestCancel(",
            ),
        ),
    ),
    Mutant(
        "void-forgets-the-cancel",
        "VOID takes a run away though its cancel was accepted",
        _in(
            MOVES,
            (
                'VOIDABLE = f"{HELD} AND attribute_not_exists(#cancel_requested_at)"',
                "VOIDABLE = HELD",
            ),
        ),
    ),
    # What an executor decides
    Mutant(
        "job-before-start",
        "the job is read before START, and kept for later ones: it may be gone by the time of the call",
        _in(
            "services.execute",
            (
                "        waiting = self._near(messages, done)\n",
                (
                    "        named = list(dict.fromkeys(message.key.job for message in messages))\n"
                    "        known = vars(self).setdefault('_seen_before', {})\n"
                    "        known |= self._jobs.read([key for key in named if key not in known])\n"
                    "        waiting = self._near(messages, done)\n"
                ),
            ),
            (
                "        jobs = self._jobs.read(list(dict.fromkeys(a.run.key.job for a in attempts)))\n",
                "        jobs = self._seen_before\n",
            ),
        ),
    ),
    Mutant(
        "deleted-is-called",
        "an executor does not look whether the job was deleted",
        _in(
            "core.execution",
            (
                "    if job is None or is_gone(job, run.key.incarnation):\n        return Ending",
                "    if job is None:\n        return Ending",
            ),
        ),
    ),
    Mutant(
        "old-life-is-called",
        "an executor does not look which life of a job a run belongs to",
        _in("core.execution", (" or job.incarnation != incarnation\n", "\n")),
    ),
    Mutant(
        "left-out-is-called",
        "an executor does not look whether the slot was left out",
        _in("core.execution", (" and was_left_out(run, left_out):", " and False:")),
    ),
    Mutant(
        "paused-is-called",
        "an executor does not look whether the job is paused",
        _in(
            "core.execution",
            (
                "if job.state is JobState.PAUSED:\n            return Ending",
                "if False:\n            return Ending",
            ),
            (" or _paused_before(job, slot)\n", "\n"),
        ),
    ),
    Mutant(
        "old-schedule-is-called",
        "an executor does not ask which schedule is in force at the slot",
        _in(
            "core.execution", ("job.in_force(slot) != run.schedule_revision or _paused", "_paused")
        ),
    ),
    Mutant(
        "called-early",
        "an executor starts a run whenever its message comes",
        _in("services.execute", ("    return message.key.slot or now\n", "    return now\n")),
    ),
    Mutant(
        "deadline-forgotten",
        "nothing is missed: a run starts however late",
        _in("core.execution", ("if now > job.starts_by(run.due_at):", "if False:")),
    ),
    Mutant(
        "missed-too-soon",
        "a run is missed a quarter of the allowed time too early",
        _in(
            "core.jobs",
            ("+ self.policy.start_deadline", "+ self.policy.start_deadline * 0.01"),
        ),
    ),
    Mutant(
        "new-key-for-each-attempt",
        "the idempotency key names the attempt too",
        _in(
            "core.calls",
            ('"Idempotency-Key": run_id,', '"Idempotency-Key": f"{run_id}.{attempt}",'),
        ),
    ),
    Mutant(
        "one-key-for-the-job",
        "runs of a job share the idempotency key",
        _in("core.calls", ('"Idempotency-Key": run_id,', '"Idempotency-Key": job_id,')),
    ),
    Mutant(
        "twice-at-most-once",
        "a job that is to be called at most once has as many attempts as any",
        _in(
            "core.jobs",
            (
                "return 1 if self.delivery is Delivery.AT_MOST_ONCE else self.retry.max_attempts",
                "return self.retry.max_attempts",
            ),
        ),
    ),
    Mutant(
        "cancel-unheard",
        "an executor does not look whether what it works on is still wanted",
        _in(
            "services.execute",
            (
                "attempt.stopping = _why_stop(attempt, runs=runs, jobs=jobs)",
                "attempt.stopping = None",
            ),
        ),
    ),
    # Which messages go
    Mutant(
        "ack-on-busy",
        "a message about a run that somebody works on, or that waits, is let go",
        _in(
            "services.execute",
            (
                "                hidden.append((message, _again(refusal, now=now)))",
                "                over.append(message)",
            ),
        ),
    ),
    Mutant(
        "ack-unwritten",
        "a message is let go though FINISH got no answer",
        _in(
            "services.execute",
            (
                "                unwritten.append((attempt, settlement))",
                "                over.append(attempt.message)",
            ),
        ),
    ),
    Mutant(
        "ack-hidden",
        "messages that were hidden are not handed back, so they are deleted",
        _in(
            "services.execute",
            ("            done.kept += [message for message, _ in messages]\n", ""),
        ),
    ),
    Mutant(
        "retry-unwatched",
        "a long wait for a retry leaves the queue without a watch row",
        _in(
            "services.execute",
            ("                if run.key in watched:\n", "                if True:\n"),
        ),
    ),
    Mutant(
        "retry-looked-at-late",
        "the watch looks at a waiting retry an hour late",
        _in(
            "core.watching",
            ("    return retry_at - MINUTE\n", "    return retry_at + 60 * MINUTE\n"),
        ),
    ),
    Mutant(
        "dead-letter-forgotten",
        "an exhausted message goes, whatever its run",
        _in(
            "services.dead_letters",
            (
                "        done.kept += [message for message in looks if message.key not in watched]\n",
                "",
            ),
            ("        watched = note_down(looks.values(), ", "        watched = note_down([], "),
        ),
    ),
    # A visit
    Mutant(
        "rows-before-watch",
        "rows are written before the watch that looks after them",
        _in(
            "services.dispatch",
            (
                "        whole = self._watched(whole)\n        whole = self._inserted(whole)\n",
                "        whole = self._inserted(whole)\n        whole = self._watched(whole)\n",
            ),
        ),
    ),
    Mutant(
        "no-watch",
        "nothing looks at a run again",
        _in(
            "services.dispatch",
            (
                "        return [v for v in visits if watched.issuperset(run.key for run in v.runs)]",
                "        return list(visits)",
            ),
            ("        watched = note_down(looks, ", "        note_down([], "),
        ),
    ),
    Mutant(
        "claim-first",
        "the pointer moves before anything was handed over",
        _in(
            "services.dispatch",
            (
                "        whole = self._left_out(visits)\n",
                (
                    "        claimed = self._jobs.claim([visit.claim for visit in visits])\n"
                    "        visits = [v for v, holds in zip(visits, claimed, strict=True) if holds]\n"
                    "        whole = self._left_out(visits)\n"
                ),
            ),
            (
                "        answers = self._jobs.claim([visit.claim for visit in whole]) if whole else []",
                "        answers = [True for _ in whole]",
            ),
        ),
    ),
    Mutant(
        "claim-without-rows",
        "a visit claims slots whose rows were not written",
        _in(
            "services.dispatch",
            (
                "        return _whole(visits, self._runs.insert(runs) if runs else [])",
                "        self._runs.insert(runs) if runs else []\n        return list(visits)",
            ),
        )
        + _in(
            "core.watching",
            (
                "        return Finding(verb=Verb.INSERT, send",
                "        return Finding(verb=Verb.DROP, send",
            ),
        ),
    ),
    Mutant(
        "claim-unsent",
        "a visit claims slots whose messages were not sent, and the watch does not send",
        _in(
            "services.dispatch",
            (
                "        return _whole(visits, self._queue.send(messages) if messages else [])",
                "        self._queue.send(messages) if messages else []\n        return list(visits)",
            ),
        )
        + _in(
            "services.watch",
            (
                "if found.run is not None\n            and found.finding.send_at",
                "if False\n            and found.finding.send_at",
            ),
        ),
    ),
    Mutant(
        "claim-anything",
        "CLAIM does not ask whether the job is as the visit saw it",
        _in(JOB_STORE, (" AND #next_slot = :expected_slot AND #revision = :revision", "")),
    ),
    Mutant(
        "claim-over-an-edit",
        "CLAIM does not ask for the revision",
        _in(
            JOB_STORE,
            (
                ' AND #revision = :revision",\n    sets=("#next_slot = :next_slot", "#due_at',
                '",\n    sets=("#next_slot = :next_slot", "#due_at',
            ),
        ),
    ),
    Mutant(
        "insert-overwrites",
        "INSERT replaces a row that exists",
        _in(
            RUN_STORE,
            (
                (
                    "        answers = self._table.write([Insert(item=run_to_item(run)) for run in runs])\n"
                    "        there ="
                ),
                "        return self._table.put_all([run_to_item(run) for run in runs])\n        there =",
            ),
        ),
    ),
    Mutant(
        "row-stays-old",
        "a queued row keeps the schedule revision that it has",
        _in(RUN_STORE, ("row.schedule_revision < run.schedule_revision", "False")),
    ),
    Mutant(
        "left-out-unrecorded",
        "what a catch-up rule leaves out is not recorded",
        _in(
            "services.dispatch",
            (
                "        if not any(visit.left_out for visit in visits):\n",
                "        if True:\n",
            ),
        ),
    ),
    Mutant(
        "catch-up-ignored",
        "late slots are left out though the job wants them all",
        _in(
            "core.dispatch",
            (
                "        case CatchUp.ALL:\n            return False\n",
                "        case CatchUp.ALL:\n            return True\n",
            ),
        ),
    ),
    Mutant(
        "short-sighted",
        "slots are handed over half a minute ahead: one missed tick makes them late",
        _in(
            "core.dispatch",
            ("LOOK_AHEAD = timedelta(seconds=210)", "LOOK_AHEAD = timedelta(seconds=30)"),
            ("AHEAD_MAX = timedelta(seconds=840)", "AHEAD_MAX = timedelta(seconds=30)"),
        ),
    ),
    Mutant(
        "one-slot-a-visit",
        "every slot pays a claim of its own",
        _in("core.dispatch", ("AHEAD_SLOTS = 10", "AHEAD_SLOTS = 1")),
    ),
    Mutant(
        "max-runs-forgotten",
        "a claim does not count what was handed over",
        _in(
            "core.dispatch",
            (
                "            ordinal=job.ordinal + len(walk.handed_over),\n",
                "            ordinal=job.ordinal,\n",
            ),
        ),
    ),
    Mutant(
        "stretch-miscounted",
        "a stretch counts one slot more than it leaves out",
        _in("core.dispatch", ("count=len(slots),", "count=len(slots) + 1,")),
    ),
    # The second look
    Mutant(
        "looked-at-once",
        "the watch sends a run again and looks no more",
        _in(
            "core.watching",
            (
                "    return Finding(verb=Verb.SEND, send_at=due, look_at=look_after(due))",
                "    return Finding(verb=Verb.SEND, send_at=due)",
            ),
        ),
    ),
    Mutant(
        "row-removed-first",
        "the watch removes its row before it has dealt with it",
        _in(
            "services.watch",
            (
                "        trouble = self._watch_again(findings)\n",
                "        self._watch_list.remove(rows)\n        trouble = self._watch_again(findings)\n",
            ),
        ),
    ),
    Mutant(
        "withdrawn-comes-back",
        "the watch brings back what an edit took away",
        _in("core.execution", ("        and job.in_force(run_slot) == schedule_revision\n", ""))
        + _in(
            "core.execution", ("job.in_force(slot) != run.schedule_revision or _paused", "_paused")
        ),
    ),
    # What users do
    Mutant(
        "edit-keeps-the-pointer",
        "an edit of the slots leaves the pointer where it was",
        _in(
            "core.changes",
            (
                "    first = next_slot(schedule, after=at)\n    if schedule.max_runs",
                "    first = job.next_slot\n    if schedule.max_runs",
            ),
        ),
    ),
    Mutant(
        "edit-without-an-epoch",
        "the new schedule counts from the beginning of time",
        _in(
            "core.changes",
            (
                "        epochs=_with_epoch(job, at=at, now=now),",
                "        epochs=(Epoch(schedule_revision=job.schedule_revision + 1),),",
            ),
        ),
    ),
    Mutant(
        "edit-moves-only-the-pointer",
        "an edit of the slots leaves the schedule's revision and its epochs as they were",
        _in(
            "core.changes",
            (
                "        schedule_revision=job.schedule_revision + 1,\n        epochs=_with_epoch(job, at=at, now=now),\n",
                "",
            ),
        ),
    ),
    Mutant(
        "edit-from-nine",
        "an epoch begins when it was asked for, though the job was paused before",
        _in(
            "core.changes",
            (
                "        epochs=_with_epoch(job, at=at, now=now),",
                "        epochs=_with_epoch(job, at=now, now=now),",
            ),
        ),
    ),
    Mutant(
        "edit-hands-nothing-over",
        "an edit forgets what the old schedule still owed",
        _in(
            "services.jobs",
            (
                "        if job.next_slot is not None and job.next_slot <= at:\n            self._dispatch.visit",
                "        if False:\n            self._dispatch.visit",
            ),
        )
        + _in(
            "core.changes",
            (
                '    assert job.next_slot is None or job.next_slot > at, "what is owed was handed over"\n',
                "",
            ),
        ),
    ),
    Mutant(
        "epoch-swallowed",
        "an edit that replaces one without slots gives back what that one took away",
        _in(
            "core.changes",
            (
                "            epochs.pop()\n            since = last.since\n",
                "            epochs.pop()\n",
            ),
        ),
    ),
    Mutant(
        "resume-keeps-the-pointer",
        "resume leaves the pointer past what the pause withheld",
        _in(
            "core.changes",
            (
                "    pointer = min((s for s in (withheld, job.next_slot) if s is not None), default=None)",
                "    pointer = job.next_slot",
            ),
        ),
    ),
    Mutant(
        "pause-forgets-when",
        "what came due before the pause is withheld too",
        _in(
            "core.execution",
            (
                "    return job.state is JobState.PAUSED and job.paused_at is not None and slot > job.paused_at",
                "    return job.state is JobState.PAUSED",
            ),
        ),
    ),
    Mutant(
        "same-life",
        "a job created anew goes on with the old one's life",
        _in(
            "core.changes",
            ("incarnation=tombstone.incarnation + 1 if tombstone else 1", "incarnation=1"),
        ),
    ),
    Mutant(
        "revision-starts-anew",
        "a job created anew begins at revision 1 again",
        _in("core.changes", ("revision=tombstone.revision + 1 if tombstone else 1", "revision=1")),
    ),
    Mutant(
        "lost-update",
        "a change of a job does not ask whether it is as it was read",
        _in(
            JOB_STORE,
            (
                (
                    'when = "#revision = :revision AND #state = :state AND "\n'
                    '        values = {":revision": number(seen.revision), ":state": text(seen.state)}'
                ),
                'when = ""\n        values: dict[str, Any] = {}',
            ),
        ),
    ),
    Mutant(
        "change-moves-the-pointer-back",
        "a change of a job does not ask where the pointer is",
        _in(
            JOB_STORE,
            (
                'AND #state = :state AND "\n',
                'AND #state = :state"\n',
            ),
            (
                "        if seen.next_slot is None:\n            when +=",
                "        if True:\n            pass\n        elif seen.next_slot is None:\n            when +=",
            ),
        ),
    ),
    Mutant(
        "create-again",
        "a create that is repeated after the delete makes the job again",
        _in(
            "services.jobs",
            (
                "(standing.state is JobState.DELETED and not repeatable)",
                "standing.state is JobState.DELETED",
            ),
        ),
    ),
    Mutant(
        "key-forgotten",
        "every sending of a create makes a job of its own",
        _in(
            "api.routes.jobs",
            ("        if idempotency_key is None:\n", "        if idempotency_key is not None:\n"),
        ),
    ),
    Mutant(
        "delete-leaves-the-index",
        "a deleted job stays in the index of due jobs",
        _in(
            "core.jobs",
            (
                "        return self.next_slot if self.state is JobState.ACTIVE else None",
                "        return self.next_slot",
            ),
        ),
    ),
    # What it costs, and when
    Mutant(
        "woken-once-an-hour",
        "ticks of an hour have the same deduplication id",
        _in("adapters.sqs.shard_queue", ("{minute:%Y%m%dT%H%M}", "{minute:%Y%m%dT%H}")),
    ),
    Mutant(
        "a-second-late",
        "messages are asked for a second too late",
        _in(
            RUN_QUEUE,
            (
                "    return max(0, delay // SECOND if message.at == message.key.slot",
                "    return max(0, delay // SECOND + 2 if message.at == message.key.slot",
            ),
        ),
    ),
    Mutant(
        "finished-twice",
        "every outcome is written twice",
        _in(
            "services.execute",
            (
                "        moves = [_move(attempt, settlement) for attempt, settlement in settlements]\n",
                (
                    "        moves = [_move(attempt, settlement) for attempt, settlement in settlements]\n"
                    "        self._runs.move(moves)\n"
                ),
            ),
        ),
    ),
    Mutant(
        "shard-unwoken",
        "the last group of shards is never woken",
        _in(
            "services.tick",
            ("        self._groups = range(groups)", "        self._groups = range(groups - 1)"),
        ),
    ),
)
