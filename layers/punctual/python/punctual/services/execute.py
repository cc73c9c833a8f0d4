"""Carry out runs: start, read the job, call the target, finish."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from punctual.core.callbacks import (
    callback,
    called_back,
    heartbeat_of,
    hold,
    owner_of,
    token_of,
)
from punctual.core.calls import (
    Answer,
    Call,
    CallError,
    ErrorType,
    Verdict,
    error_of,
    judge,
)
from punctual.core.errors import StoreUnavailable
from punctual.core.execution import (
    HIDE_MAX,
    LEASE_MARGIN,
    POLL,
    Go,
    Postponed,
    decide,
    handed_over_anew,
    is_gone,
    judge_attempt,
    may_be_left_out,
    postpone,
    time_for_call,
)
from punctual.core.identity import JobKey, RunKey
from punctual.core.jobs import Content, Job
from punctual.core.launching import call_of
from punctual.core.log_lines import lines_until, log_lines
from punctual.core.runs import (
    Ending,
    Failure,
    Finish,
    Hold,
    Move,
    Refusal,
    RefusalKind,
    Retry,
    Run,
    RunState,
    Start,
    Stretch,
    Void,
    Wait,
    after,
    give_up,
    plain,
    read_refusal,
    reap,
    why_cancelled,
)
from punctual.core.watching import MINUTE, Look, Reference, retry_look
from punctual.ports import (
    Chance,
    Clock,
    GateStore,
    JobStore,
    LogStore,
    Message,
    RunQueue,
    RunStore,
    Targets,
    Transact,
    WatchList,
)
from punctual.services.admission import Admission, Admitted
from punctual.services.gone import pause_gone, says_gone
from punctual.services.looks import note_down
from punctual.services.stretches import settled_stretches

HOLD_MAX = timedelta(seconds=2)
"""A message that comes this early at most is held until its slot; an earlier one is hidden."""

ASK_AGAIN = timedelta(seconds=5)
"""When to try again what the store gave no answer to."""

STEP = timedelta(seconds=1)
"""How long a step waits at most while something is left to be written or decided."""

LAST_MOMENT = timedelta(seconds=1)
"""What an executor leaves of its life for its answer to get out."""

SUPERSEDED = "superseded"
"""Why a call is stopped whose run is another attempt's by now, or has its outcome."""

NEVER = datetime.max.replace(tzinfo=UTC)

CONTENTS_REMEMBERED = 1024
"""Contents kept in memory; they are stored under their digest, so they never change."""


@dataclass(kw_only=True)
class Handled:
    """What became of some messages and their runs; counts are of this call."""

    kept: list[Message] = field(default_factory=list)
    """Messages that must come again: hidden until an instant, or not dealt with at all."""
    started: list[Run] = field(default_factory=list)
    """Runs as their start left them, about to be decided."""
    retrying: list[Run] = field(default_factory=list)
    """Runs that await another attempt."""
    held: list[Run] = field(default_factory=list)
    """Runs whose target accepted the work, and reports back."""
    waiting: list[Run] = field(default_factory=list)
    """Runs that were not called, and wait until they may be; their `reason` says for what."""
    ended: list[Run] = field(default_factory=list)
    """Runs whose outcome was written here."""
    voided: int = 0
    """Runs that should not have been handed over."""
    superseded: int = 0
    """Attempts that found their run taken over or ended; what they had was dropped."""


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """One attempt that this executor holds."""

    message: Message
    run: Run
    """As the start left it."""
    token: str = field(repr=False)
    """What its target reports back with; the owner is its digest."""
    heartbeat: timedelta | None = None
    """The longest silence allowed, where the target reports back."""
    job: Job | None = None
    """As read after the start."""
    call_at: datetime = NEVER
    """When its target may be called, once that is known; it may be in limits from then on."""
    stopping: str | None = None
    """Why its call is being stopped."""
    is_last: bool = False
    """Whether its target says that it is gone, and asks for no more calls."""

    @property
    def owner(self) -> str:
        assert self.run.owner is not None, "a started run has an owner"
        return self.run.owner


@dataclass(frozen=True, slots=True)
class _Try:
    """A start that is asked for, and what its owner was made of."""

    message: Message
    start: Start
    token: str = field(repr=False)


_Settlement = Ending | Failure | Postponed | Hold | Go


class Execute:
    """Holds attempts from their start until what became of them is written.

    Neither thread-safe nor shared: one executor, one of these.
    """

    def __init__(
        self,
        *,
        jobs: JobStore,
        runs: RunStore,
        gates: GateStore,
        watch_list: WatchList,
        queue: RunQueue,
        targets: Targets,
        clock: Clock,
        chance: Chance,
        transact: Transact,
        logs: LogStore,
        address: Callable[[], str],
    ) -> None:
        """Take the ports.

        Args:
            jobs: Where jobs are read.
            runs: Where runs are moved.
            gates: Where runs of one job, and those that share a limit, meet.
            watch_list: Where runs are noted down that leave the queue without an outcome.
            queue: Where messages are hidden and let go.
            targets: Where calls go.
            clock: The present.
            chance: Tokens and jitter.
            transact: Makes writes durable together, where the engine can.
            logs: Where the lines go that targets write.
            address: Returns where targets that report back reach the API.
        """
        self._jobs = jobs
        self._runs = runs
        self._watch_list = watch_list
        self._queue = queue
        self._targets = targets
        self._clock = clock
        self._chance = chance
        self._transact = transact
        self._admission = Admission(gates=gates, runs=runs, clock=clock, chance=chance)
        self._contents: dict[str, Content] = {}
        self._logs = logs
        self._address = address
        self._unsure: list[_Try] = []
        """Starts that the store gave no answer to. Asked again under the same owner, it tells an
        earlier one of ours from a stranger's."""
        self._undecided: list[_Attempt] = []
        self._early: list[tuple[Call, _Attempt]] = []
        """Calls whose starts are reserved for an instant that has not come."""
        self._calling: dict[int, tuple[Call, _Attempt]] = {}
        """By the identity of the call: run ids are not unique across tenants."""
        self._unwritten: list[tuple[_Attempt, _Settlement]] = []
        self._polled_at = clock.now()

    @property
    def busy(self) -> int:
        """How many attempts are held, or may be."""
        waiting = len(self._unsure) + len(self._undecided) + len(self._early)
        return waiting + len(self._calling) + len(self._unwritten)

    def __call__(
        self, messages: Sequence[Message], *, deadline: datetime, lives_until: datetime
    ) -> Handled:
        """Carry out the runs of one batch, each from its slot on, and return when all are settled.

        Args:
            messages: As received; a message ahead of its run's slot by up to `HOLD_MAX` is held.
            deadline: Nothing is started later than this; what is not started comes again.
            lives_until: When this executor is stopped from outside; leases rest on it.
        """
        done = Handled()
        ends = lives_until - LAST_MOMENT
        waiting = self._near(messages, done)
        while waiting or self.busy:
            now = self._clock.now()
            if now > deadline and (waiting or self._unsure):
                late = [*waiting, *(each.message for each in self._unsure)]
                self._hide([(message, now + ASK_AGAIN) for message in late], done)
                waiting, self._unsure = [], []
            if now >= ends:
                self._abandon(done)
                break
            due = [message for message in waiting if _not_before(message, now) <= now]
            if due:
                waiting = [message for message in waiting if _not_before(message, now) > now]
                self._take(due, lives_until=lives_until, done=done)
            upcoming = min((_not_before(message, now) for message in waiting), default=now + POLL)
            pause = min(upcoming, now + POLL, ends) - self._clock.now()
            if self.busy:
                self._step(wait=pause, done=done)
            elif waiting:
                self._clock.sleep(pause)
        return done

    def take(self, messages: Sequence[Message], *, lives_until: datetime) -> Handled:
        """Start the runs of `messages`, all due, and launch their calls; `step` does the rest."""
        done = Handled()
        self._take(messages, lives_until=lives_until, done=done)
        return done

    def step(self, *, wait: timedelta) -> Handled:
        """Write what became of the calls that ended; block up to `wait` for the first of them.

        Every few seconds it also asks whether a run that is going on is still wanted.
        """
        done = Handled()
        self._step(wait=wait, done=done)
        return done

    def _near(self, messages: Sequence[Message], done: Handled) -> list[Message]:
        """Hide the messages that come too early to be held until their slot."""
        now = self._clock.now()
        early = [m for m in messages if _not_before(m, now) > now + HOLD_MAX]
        # Queues that count whole seconds bring it a second later at most: the rest is held.
        self._hide([(message, _not_before(message, now) - STEP) for message in early], done)
        return [m for m in messages if _not_before(m, now) <= now + HOLD_MAX]

    def _take(self, messages: Sequence[Message], *, lives_until: datetime, done: Handled) -> None:
        first: dict[RunKey, Message] = {}
        doubles = [m for m in messages if first.setdefault(m.key, m) is not m]
        starts = [self._try(message, lives_until=lives_until) for message in first.values()]
        calls = self._transact(lambda: self._start(starts, done))
        if doubles:
            # Not acknowledged: should the first die with this executor, these bring the run back.
            again = self._clock.now() + HIDE_MAX
            self._hide([(message, again) for message in doubles], done)
        self._launch(calls)

    def _try(self, message: Message, *, lives_until: datetime) -> _Try:
        token = token_of(message.key.job.tenant, self._chance.token())
        start = Start(
            key=message.key,
            owner=owner_of(token),
            now=self._clock.now(),
            lease_until=lives_until + LEASE_MARGIN,
            handed_over=message.handed_over,
        )
        return _Try(message, start, token)

    def _step(self, *, wait: timedelta, done: Handled) -> None:
        if self._unsure:
            now = self._clock.now()
            unsure, self._unsure = self._unsure, []
            late = [each.message for each in unsure if _is_over(each.start.lease_until, now)]
            self._hide([(message, now + ASK_AGAIN) for message in late], done)
            again = [
                # Plainly: if it was applied, the row is not as it was handed over any more.
                replace(each, start=plain(replace(each.start, now=now)))
                for each in unsure
                if not _is_over(each.start.lease_until, now)
            ]
            if again:
                self._launch(self._transact(lambda: self._start(again, done)))
        if self._undecided:
            undecided, self._undecided = self._undecided, []
            self._launch(self._transact(lambda: self._decide(undecided, done)))
        if self._early:
            early, self._early = self._early, []
            self._launch(early)
        if self._unsure or self._undecided or self._unwritten:
            wait = min(wait, STEP)
        wait = min([wait, *(attempt.call_at - self._clock.now() for _, attempt in self._early)])
        if self._calling:
            # A poll that is missed by a little is not put off for as long again.
            wait = min(wait, self._polled_at + POLL - self._clock.now())
        answers = self._targets.collect(wait=max(wait, timedelta(0)))
        settlements: list[tuple[_Attempt, _Settlement]] = []
        for call, answer in answers:
            held = self._calling.pop(id(call), None)
            if held is not None:  # else it was abandoned with an earlier batch
                self._keep_lines(held[1], answer.log)
                settlements.append((held[1], self._judge(call, held[1], answer)))
        if self._unwritten or settlements:
            self._unwritten += settlements
            self._unwritten = self._transact(lambda: self._settle(self._unwritten, done))
        if self._calling and self._clock.now() >= self._polled_at + POLL:
            self._stop_unwanted()

    def _start(self, starts: Sequence[_Try], done: Handled) -> list[tuple[Call, _Attempt]]:
        attempts: list[_Attempt] = []
        refused: list[tuple[Message, Run | None]] = []
        answers = self._runs.move([each.start for each in starts])
        for each, answer in zip(starts, answers, strict=True):
            if answer.applied and answer.run is not None:
                attempts.append(_Attempt(message=each.message, run=answer.run, token=each.token))
            elif answer.failed:
                self._unsure.append(each)
            else:
                refused.append((each.message, answer.run))
        done.started += [attempt.run for attempt in attempts]
        self._turn_away(refused, done)
        return self._decide(attempts, done) if attempts else []

    def _decide(self, attempts: Sequence[_Attempt], done: Handled) -> list[tuple[Call, _Attempt]]:
        """Read the jobs, now that the runs are held, and make the calls of those that go on."""
        try:
            self._read_jobs(attempts)
            contents = self._read_contents(
                [(a.job.key, _content_of(a.run, a.job)) for a in attempts if a.job is not None]
            )
            left_out = self._read_stretches(attempts)
        except StoreUnavailable:
            self._undecided += attempts
            return []
        now = self._clock.now()
        calls: list[tuple[Call, _Attempt]] = []
        settlements: list[tuple[_Attempt, _Settlement]] = []
        wanted: list[_Attempt] = []
        for attempt in attempts:
            if _is_over(attempt.run.lease_until, now):
                # Reading took longer than it holds the run: another attempt may have begun.
                self._hide([(attempt.message, now + ASK_AGAIN)], done)
                continue
            stretches = left_out.get((attempt.run.key.job, attempt.run.key.incarnation), ())
            decision = decide(attempt.run, attempt.job, now=now, left_out=stretches)
            if decision is Go.CALL:
                wanted.append(attempt)
            else:
                settlements.append((attempt, decision))
        for attempt, told in self._admit(wanted):
            settlement: _Settlement
            if isinstance(told, Admitted):
                assert attempt.job is not None, "only a run whose job was read is admitted"
                made = _make_call(attempt, attempt.job, contents, address=self._address, now=now)
                if isinstance(made, Call):
                    calls.append((made, attempt))
                    continue
                settlement = made
            else:
                settlement = told
            settlements.append((attempt, settlement))
        if settlements:
            self._unwritten += self._settle(settlements, done)
        return calls

    def _read_jobs(self, attempts: Sequence[_Attempt]) -> None:
        """Read what attempts are to know of their jobs, now that they hold their runs."""
        jobs = self._jobs.read(list(dict.fromkeys(a.run.key.job for a in attempts)))
        for attempt in attempts:
            attempt.job = jobs.get(attempt.run.key.job)

    def _admit(
        self, attempts: Sequence[_Attempt]
    ) -> Iterable[tuple[_Attempt, Admitted | Postponed | Ending]]:
        """Ask the rules of their jobs whether runs may be called now that they should be."""
        asked = [(attempt.run, attempt.job) for attempt in attempts if attempt.job is not None]
        try:
            told = self._admission.admit(asked)
        except StoreUnavailable:
            self._undecided += attempts
            return
        for attempt in attempts:
            admission = told[attempt.run.key]
            if isinstance(admission, Admitted):
                attempt.call_at = admission.at
            yield attempt, admission

    def _read_stretches(
        self, attempts: Sequence[_Attempt]
    ) -> Mapping[tuple[JobKey, int], Sequence[Stretch]]:
        """Read what was left out of the lives whose runs are late, where a rule does that."""
        now = self._clock.now()
        late: dict[tuple[JobKey, int], list[datetime]] = {}
        for attempt in attempts:
            key = attempt.run.key
            if key.slot is not None and may_be_left_out(attempt.run, attempt.job, now=now):
                late.setdefault((key.job, key.incarnation), []).append(key.slot)
        return {
            (job, incarnation): settled_stretches(
                job,
                incarnation=incarnation,
                since=min(slots),
                until=max(slots),
                runs=self._runs,
            )
            for (job, incarnation), slots in late.items()
        }

    def _read_contents(self, refs: Sequence[tuple[JobKey, str]]) -> Mapping[str, Content]:
        missing = {(key, ref) for key, ref in refs if ref not in self._contents}
        if missing:
            for (_, ref), content in self._jobs.read_contents(list(missing)).items():
                self._contents[ref] = content
        contents = {ref: found for _, ref in refs if (found := self._contents.get(ref))}
        while len(self._contents) > CONTENTS_REMEMBERED:
            self._contents.pop(next(iter(self._contents)))
        return contents

    def _launch(self, calls: Sequence[tuple[Call, _Attempt]]) -> None:
        """Start the calls whose time has come; `_step` starts the others."""
        now = self._clock.now()
        self._early += [(call, attempt) for call, attempt in calls if attempt.call_at > now]
        calls = [(call, attempt) for call, attempt in calls if attempt.call_at <= now]
        if not self._calling:
            self._polled_at = now
        self._calling.update((id(call), (call, attempt)) for call, attempt in calls)
        if calls:
            self._targets.launch([call for call, _ in calls])

    def _judge(
        self, call: Call, attempt: _Attempt, answer: Answer
    ) -> Ending | Failure | Postponed | Hold:
        assert attempt.job is not None, "only a run whose job was read is called"
        verdict = judge(call, answer)
        attempt.is_last = says_gone(call, answer)
        now, draw = self._clock.now(), self._chance.draw()
        if verdict is Verdict.SUCCEEDED and attempt.heartbeat is not None:
            return hold(attempt.run, heartbeat=attempt.heartbeat, now=now)
        settlement: Ending | Failure | Postponed
        if verdict is Verdict.PUT_OFF:
            settlement = postpone(attempt.run, answer, attempt.job, now=now, draw=draw)
        else:
            policy = attempt.job.policy.retry
            settlement = judge_attempt(attempt.run, answer, verdict, policy, now=now, draw=draw)
        if attempt.stopping is not None and (
            verdict is Verdict.ABORTED or not isinstance(settlement, Ending)
        ):
            # An answer that came before the call was closed counts, but leads to no further call.
            return Ending(
                state=RunState.CANCELLED,
                at=now,
                reason=attempt.stopping,
                error=error_of(answer),
            )
        return settlement

    def _keep_lines(self, attempt: _Attempt, texts: Sequence[str]) -> None:
        """Keep what a target wrote about its work; where that fails it costs no outcome."""
        if not texts:
            return
        now = self._clock.now()
        lines = log_lines(texts, at=now, attempt=attempt.run.attempt)
        with suppress(StoreUnavailable):
            self._logs.add(attempt.run.key, lines, expires_at=lines_until(now))

    def _settle(
        self, settlements: Sequence[tuple[_Attempt, _Settlement]], done: Handled
    ) -> list[tuple[_Attempt, _Settlement]]:
        """Write what became of attempts, and let go or hide their messages.

        Returns:
            What the store gave no answer to; it may be written, and is to be written again.
        """
        now = self._clock.now()
        looks = {
            attempt.run.key: _look(attempt.run, at=retry_look(settlement.retry_at))
            for attempt, settlement in settlements
            if isinstance(settlement, Failure | Postponed) and settlement.retry_at > now + HIDE_MAX
        } | {
            attempt.run.key: _look(attempt.run, at=settlement.lease_until + MINUTE)
            for attempt, settlement in settlements
            if isinstance(settlement, Hold)
        }
        watched = self._watch(looks.values())
        moves = [_move(attempt, settlement) for attempt, settlement in settlements]
        over: list[Message] = []
        hidden: list[tuple[Message, datetime]] = []
        refused: list[tuple[Message, Run | None]] = []
        unwritten: list[tuple[_Attempt, _Settlement]] = []
        gone: list[tuple[Job, Run]] = []
        taken_back: list[_Attempt] = []
        for (attempt, settlement), move, moved in zip(
            settlements, moves, self._runs.move(moves), strict=True
        ):
            if moved.failed:
                unwritten.append((attempt, settlement))
                continue
            if settlement is Go.VOID and moved.run is not None and moved.run.held_by(attempt.owner):
                unwritten.append((attempt, _cancelled(now=now)))
                continue
            if not moved.applied:
                if not called_back(moved.run, attempt.run.attempt, attempt.owner):
                    done.superseded += 1
                refused.append((attempt.message, moved.run))
                continue
            run = after(move, attempt.run)
            if run is None:
                done.voided += 1
                taken_back.append(attempt)
            elif run.state.terminal:
                done.ended.append(run)
                over.append(attempt.message)
                if attempt.is_last and attempt.job is not None:
                    gone.append((attempt.job, run))
            else:
                _list_of(move, done).append(run)
                if run.key in watched:
                    over.append(attempt.message)
                else:
                    again = run.retry_at or run.lease_until or now
                    hidden.append((attempt.message, min(again, now + HIDE_MAX)))
        anew = self._hand_over_anew(taken_back)
        hidden += [(a.message, now) for a in taken_back if a.run.key in anew]
        over += [a.message for a in taken_back if a.run.key not in anew]
        if over:
            self._queue.acknowledge(over)
        self._hide(hidden, done)
        self._turn_away(refused, done)
        self._leave(settlements, unwritten)
        for job, run in gone:
            pause_gone(job, run, jobs=self._jobs, clock=self._clock)
        return unwritten

    def _hand_over_anew(self, attempts: Sequence[_Attempt]) -> set[RunKey]:
        """Insert what is owed for the slots of runs that were taken back, as the watch would later.

        Returns:
            The runs that there are again; their messages are to come again, too.
        """
        if not attempts:
            return set()
        try:
            self._read_jobs(attempts)
            left_out = self._read_stretches(attempts)
        except StoreUnavailable:
            return set()
        owed: list[Run] = []
        for attempt in attempts:
            life = (attempt.run.key.job, attempt.run.key.incarnation)
            row = handed_over_anew(attempt.run, attempt.job, left_out=left_out.get(life, ()))
            if row is not None:
                owed.append(row)
        there = self._runs.insert(owed) if owed else []
        return {row.key for row, is_there in zip(owed, there, strict=True) if is_there}

    def _leave(
        self,
        settlements: Sequence[tuple[_Attempt, _Settlement]],
        unwritten: Sequence[tuple[_Attempt, _Settlement]],
    ) -> None:
        """Let attempts out of their limits that are over, and known to be."""
        going_on = {id(attempt) for attempt, _ in unwritten}
        over = [
            (attempt.run, attempt.job)
            for attempt, settlement in settlements
            if attempt.job is not None
            and attempt.call_at < NEVER
            and not isinstance(settlement, Hold)
            and id(attempt) not in going_on
        ]
        with suppress(StoreUnavailable):  # whoever needs the room finds out
            self._admission.leave(over)

    def _turn_away(self, refused: Sequence[tuple[Message, Run | None]], done: Handled) -> None:
        """Deal with messages whose run cannot be started, or is no longer held."""
        if not refused:
            return
        now = self._clock.now()
        read = [(message, run, read_refusal(run, now=now)) for message, run in refused]
        looks = {
            run.key: _look(run, at=_look_at(run, refusal.until))
            for _, run, refusal in read
            if run is not None and refusal.until is not None and refusal.until > now + HIDE_MAX
        }
        watched = self._watch(looks.values())
        endings: list[tuple[Message, Run, Move]] = []
        over: list[Message] = []
        hidden: list[tuple[Message, datetime]] = []
        for message, run, refusal in read:
            if run is None or refusal.kind is RefusalKind.DONE or run.key in watched:
                over.append(message)
            elif refusal.kind is RefusalKind.WAIT:
                hidden.append((message, _again(refusal, now=now)))
            else:
                end_it = reap if refusal.kind is RefusalKind.REAP else give_up
                endings.append((message, run, end_it(run, now=now)))
        moved = self._runs.move([move for _, _, move in endings]) if endings else []
        for (message, run, move), end in zip(endings, moved, strict=True):
            ended = after(move, run)
            if end.applied and ended is not None:
                done.ended.append(ended)
                over.append(message)
            else:
                hidden.append((message, now + ASK_AGAIN))
        if over:
            self._queue.acknowledge(over)
        self._hide(hidden, done)

    def _watch(self, looks: Iterable[Look]) -> set[RunKey]:
        return note_down(looks, watch_list=self._watch_list, chance=self._chance)

    def _hide(self, messages: Sequence[tuple[Message, datetime]], done: Handled) -> None:
        if messages:
            self._queue.hide(messages)
            done.kept += [message for message, _ in messages]

    def _stop_unwanted(self) -> None:
        """Close the calls of runs that were cancelled, taken over, or whose job was deleted.

        What is recorded follows from the answer that closing brings, and from the row.
        """
        self._polled_at = self._clock.now()
        calling = [(c, a) for c, a in self._calling.values() if a.stopping is None]
        if not calling:
            return
        try:
            runs = self._runs.read([attempt.run.key for _, attempt in calling])
            jobs = self._jobs.read(list(dict.fromkeys(a.run.key.job for _, a in calling)))
        except StoreUnavailable:
            return
        for call, attempt in calling:
            attempt.stopping = _why_stop(attempt, runs=runs, jobs=jobs)
            if attempt.stopping is not None:
                run = runs.get(attempt.run.key)
                goes_on = run is not None and not run.state.terminal
                self._targets.abort(call, leave=attempt.stopping == SUPERSEDED and goes_on)

    def _abandon(self, done: Handled) -> None:
        """Let go of what is still held: the leases end, and others take the runs over."""
        done.kept += [each.message for each in self._unsure]
        for call, attempt in self._calling.values():
            self._targets.abort(call, leave=True)
            done.kept.append(attempt.message)
        done.kept += [attempt.message for attempt in self._undecided]
        done.kept += [attempt.message for _, attempt in self._early]
        done.kept += [attempt.message for attempt, _ in self._unwritten]
        self._unsure.clear()
        self._early.clear()
        self._calling.clear()
        self._undecided.clear()
        self._unwritten.clear()


def _is_over(lease_until: datetime | None, now: datetime) -> bool:
    """Say whether the executor that took this lease should no longer be there.

    One that stood still may be: it begins nothing then, since others may by now.
    """
    return lease_until is not None and now >= lease_until - LEASE_MARGIN


def _not_before(message: Message, now: datetime) -> datetime:
    """Return when the run of a message may start at the earliest: at its slot."""
    return message.key.slot or now


def _content_of(run: Run, job: Job) -> str:
    """Return the name of what a run calls: its own, or its job's as it is by now."""
    return run.content or job.content


def _make_call(
    attempt: _Attempt,
    job: Job,
    contents: Mapping[str, Content],
    *,
    address: Callable[[], str],
    now: datetime,
) -> Call | Ending:
    """Make the call of one attempt; a run whose call cannot be made fails, and only that run."""
    run, content = attempt.run, contents.get(_content_of(attempt.run, job))
    if content is None:
        return _internal_failure("the job's target is missing from the store", now=now)
    try:
        attempt.heartbeat = heartbeat_of(job.policy, content.target)
        reports = attempt.heartbeat is not None
        return call_of(
            run,
            content.target,
            timeout=time_for_call(run, job, now=now),
            callback=callback(address(), run.key, token=attempt.token) if reports else None,
        )
    except Exception as error:  # noqa: BLE001 - one broken job must not stop its batch
        # The message of the error may quote what the target holds, so only its type is told.
        return _internal_failure(f"the call cannot be made ({type(error).__name__})", now=now)


def _internal_failure(message: str, *, now: datetime) -> Ending:
    return Ending(
        state=RunState.FAILED,
        at=now,
        error=CallError(type=ErrorType.INTERNAL, message=message),
    )


def _cancelled(*, now: datetime) -> Ending:
    """Return the outcome of a run that was cancelled while it was being decided about."""
    return Ending(state=RunState.CANCELLED, at=now, reason="cancelled")


def _move(attempt: _Attempt, settlement: _Settlement) -> Move:
    key, owner = attempt.run.key, attempt.owner
    match settlement:
        case Ending():
            return Finish(
                key=key, owner=owner, ending=settlement, scheduled_at=attempt.run.scheduled_at
            )
        case Failure():
            return Retry(key=key, owner=owner, failure=settlement)
        case Hold():
            return settlement
        case Postponed(retry_at=retry_at, reason=reason):
            return Wait(
                key=key,
                owner=owner,
                attempt=attempt.run.attempt,
                retry_at=retry_at,
                reason=reason,
            )
        case _:
            return Void(key=key, owner=owner)


def _list_of(move: Move, done: Handled) -> list[Run]:
    """Return where a run is told of that a move left open."""
    match move:
        case Hold():
            return done.held
        case Wait():
            return done.waiting
        case _:
            return done.retrying


def _look(run: Run, *, at: datetime) -> Look:
    return Look(reference=Reference(run.key, run.schedule_revision), at=at)


def _look_at(run: Run, until: datetime) -> datetime:
    """Return when to look at a run that waits until then: for a retry, or for a lease to end."""
    return retry_look(until) if run.state is RunState.RETRYING else until + MINUTE


def _again(refusal: Refusal, *, now: datetime) -> datetime:
    """Return when a hidden message comes again; a moment later than what refused its start."""
    until = refusal.until or now
    return min(max(until, now) + STEP, now + HIDE_MAX)


def _why_stop(
    attempt: _Attempt, *, runs: Mapping[RunKey, Run], jobs: Mapping[JobKey, Job]
) -> str | None:
    run = runs.get(attempt.run.key)
    if run is None or not run.held_by(attempt.owner):
        return SUPERSEDED
    if run.cancel_requested_at is not None:
        return why_cancelled(run)
    return "deleted" if is_gone(jobs.get(run.key.job), run.key.incarnation) else None
