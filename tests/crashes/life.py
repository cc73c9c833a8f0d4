"""The life of one process: the real host over a real file, from its opening to its end.

What `punctual serve` puts together is what runs here: the services, the API and the two loops, over
the embedded engine. Only what they stand on is not the real thing: the threads are strands that
take turns, the clock is the loop's, and targets are simulated.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol
from unittest.mock import patch
from weakref import WeakKeyDictionary

from punctual.core.instants import from_epoch_ms
from tests.crashes.checker import Broken, Checker
from tests.crashes.outside import Outside, Wish
from tests.crashes.reckoning import reckon
from tests.crashes.requests import Api, ask
from tests.crashes.statements import Died, Files, Statements, copied
from tests.crashes.stories import MINUTE, SECOND, Story, User
from tests.crashes.threads import Threads
from tests.simulation.dice import Dice
from tests.simulation.loop import Loop, Strand
from tests.simulation.program import Program
from tests.simulation.targets import SimulatedTargets, TargetServer

DATABASE = "punctual.adapters.sqlite.database"
THREADED = (DATABASE, "punctual.adapters.sqlite.run_queue", "punctual.api.app")
"""Modules whose threads are strands here."""

GLANCE = timedelta(minutes=1)
"""A host looks at its queue each second, whether or not it was woken. Here it does so less often,
so that a wakeup which is lost makes runs late."""

CALLING_GLANCE = timedelta(seconds=1)

PATIENCE = 6 * 60 * MINUTE
"""How long after its last step a story comes to rest at the latest."""

LOOK_AHEAD = 210 * SECOND


class Fate(Protocol):
    """Decides what becomes of a process."""

    def held_up(self, now: int, /) -> int | None:
        """Say for how long a strand is held up where a thread might be; see `Threads`."""
        ...

    def prompt(self) -> int:
        """Return for how long a run may wait for its start where only a crash is in its way."""
        ...

    def reached(self, life: "Life", sql: str, /) -> None:
        """Look at a process before a statement, or after a commit; raise `Died` to end it."""
        ...


class Life:
    """One process."""

    def __init__(
        self, *, outside: Outside, story: Story, program: Program, home: Path, fate: Fate
    ) -> None:
        """Prepare a process that begins with what `outside` holds, and changes it."""
        self.outside = outside
        self._story = story
        self._program = program
        self._home = home
        self._fate = fate
        self._loop = Loop(now=outside.now)
        self._threads = Threads(self._loop, held_up=self._held_up)
        self._strands: list[Strand] = []
        self._users: dict[str, Strand] = {}
        self._statements = Statements(before=self._reached, committed=self._committed)
        self._is_over = False

    def run(self) -> bool:
        """Live until nothing is left to be done; False when the process died before.

        Raises:
            Broken: A promise is.
        """
        self.outside.boots += 1
        for name, content in self.outside.files.items():
            (self._home / name).write_bytes(content)
        self._checker = Checker(self.outside, self._home, prompt=self._fate.prompt())
        self._checker.begins()
        with ExitStack() as stack:
            stack.callback(self._checker.close)
            stack.enter_context(self._in_place())
            try:
                self._open(stack)
                self._loop.after(self._fate.prompt(), self._checker.has_gone_on)
                while not self._is_at_rest():
                    self._loop.step()
                    self.outside.now = self._loop.now
                    if (
                        self._loop.now
                        > self._story.lasts_until + PATIENCE + self._story.down_for * 9
                    ):
                        raise Broken("I14", f"it does not come to rest: {self._what_is_left()}")
                self._is_over = True
                reckon(self.outside, self._story, self._api)
            except Died:
                return False
            finally:
                self._end()
        return True

    def files(self) -> Files:
        """Return the files as they are now."""
        return copied(self._home)

    def _open(self, stack: ExitStack) -> None:
        """Put the host together, and let it begin."""
        module = self._program.module
        clock = _Clock(self._loop)
        engines = module("punctual.adapters.sqlite.engine")
        engine = engines.SqliteEngine.open(
            self._home, clock=clock, synchronous=engines.Synchronous.NORMAL
        )
        stack.callback(self._forget, engine)
        ports = engine.__enter__()
        settings = SimpleNamespace(home=self._home, port=0)
        host = module("punctual.local.host")._Host(settings, ports, clock=clock)
        self._api: Api = host._app
        self._executor, self._ticker = host._executor, host._ticker
        for work in (self._execute, self._tick):
            self._strands.append(self._loop.start(work))
        for user in self._story.users:
            strand = self._loop.start(partial(self._use, user))
            self._users[user.job] = strand
            self._strands.append(strand)

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        """Have the code stand on what is simulated."""
        module = self._program.module
        host, executor = module("punctual.local.host"), module("punctual.local.executor")
        reading = module("punctual.api.reading")
        dice = Dice(f"targets {self.outside.boots}")
        server = TargetServer(
            loop=self._loop,
            dice=dice,
            manners=self._story.manners,
            calm_from=self._story.lasts_until + 20 * MINUTE,
            honours_keys=True,
        )
        targets = _Targets(
            server=server,
            witness=self._checker,
            owner=self,
            loop=self._loop,
            calls=module("punctual.core.calls"),
        )
        with ExitStack() as stack:
            for name in THREADED:
                stack.enter_context(patch.object(module(name), "threading", self._threads))
            enter = stack.enter_context
            enter(patch.object(module(DATABASE), "sqlite3", self._statements))
            enter(patch.object(reading, "Reader", partial(_reader_of, reading.Reader)))
            enter(patch.object(executor, "GLANCE", GLANCE))
            enter(patch.object(host, "targets_here", lambda *_, **__: targets))
            enter(patch.object(host, "SystemChance", partial(_Chance, self.outside.boots)))
            yield

    def _end(self) -> None:
        """Leave nothing of the process."""
        self._statements.dead = self._threads.is_over = True
        for strand in self._strands:
            with suppress(Died):
                strand.kill()

    def _forget(self, engine: Any) -> None:
        with suppress(Died):
            engine.__exit__(None, None, None)
        self._statements.bury()

    # What the process does

    def _execute(self) -> None:
        while True:
            self._executor._work()

    def _tick(self) -> None:
        while True:
            began = self._loop.now
            if self._has_work() or began < self._story.lasts_until:
                self._ticker.tick()
            self._sleep(began + MINUTE - self._loop.now)

    def _use(self, user: User) -> None:
        done = self.outside.steps_done
        for step in user.steps[done.get(user.job, 0) :]:
            self._sleep(max(0, step.at - self._loop.now))
            wish = self.outside.wish_of(user.job)
            if wish is None:
                wish = Wish(job=user.job, verb=step.verb, body=step.body, called_at=self._loop.now)
                self.outside.wishes.append(wish)
            wish.sent += 1
            status = ask(self._api, user, wish)
            wish.status, wish.answered_at = status, self._loop.now
            wish.answered_after = self.outside.commits
            done[user.job] = done.get(user.job, 0) + 1
            self._checker.answered(wish)

    def _sleep(self, milliseconds: int) -> None:
        strand = self._loop.running
        assert strand is not None, "strands sleep"
        strand.sleep(milliseconds)

    # What it is asked

    def _held_up(self, now: int) -> int | None:
        return None if self._statements.dead or self._is_over else self._fate.held_up(now)

    def _reached(self, sql: str) -> None:
        if not self._is_over:
            self.outside.now = self._loop.now
            self._meet(sql)

    def _committed(self, sql: str) -> None:
        if not self._is_over:
            self.outside.now = self._loop.now
            self._checker.committed()
            self._meet(f"after {sql}")

    def _meet(self, sql: str) -> None:
        try:
            self._fate.reached(self, sql)
        except Died:
            self.outside.files = self.files()
            self._statements.dead = True
            raise

    def _has_work(self) -> bool:
        """Say whether a tick would find anything."""
        now, view = self._loop.now, self.outside.committed
        return any(minute <= now for minute in view.watch_minutes) or any(
            job.state == "active"
            and job.next_slot is not None
            and job.next_slot <= now + LOOK_AHEAD
            for job in view.jobs.values()
        )

    def _is_at_rest(self) -> bool:
        return not self._what_is_left()

    def _what_is_left(self) -> list[str]:
        view = self.outside.committed
        left = [f"the user of {job}" for job, strand in self._users.items() if not strand.over]
        if left:
            return left
        left += [f"message {number} of {key.run_id}" for number, key in view.messages.items()]
        left += [f"watch row at {minute}" for minute in view.watch_minutes]
        left += [f"{key.run_id} is {row.state}" for key, row in view.runs.items() if row.is_open]
        left += [
            f"{name} is due"
            for name, job in view.jobs.items()
            if job.state == "active" and job.next_slot is not None
        ]
        return left


class _Clock:
    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        return from_epoch_ms(self._loop.now)

    def sleep(self, _: timedelta) -> None:
        raise AssertionError("a host's executor never sleeps but for answers")


class _Chance:
    """Identities that nobody had before, in no process."""

    def __init__(self, boot: int) -> None:
        self._boot = boot
        self._tokens = 0
        self._dice = Dice(f"chance {boot}")

    def token(self) -> str:
        self._tokens += 1
        return f"token-of-boot-{self._boot}-{self._tokens}"

    def draw(self) -> float:
        self._tokens += 1
        return self._dice.draw(self._tokens)


class _Targets(SimulatedTargets):
    """Fills `Targets` as a host's own does: it can be woken, beforehand too."""

    _is_woken = False

    def collect(self, *, wait: timedelta) -> Any:
        longest = CALLING_GLANCE if self._open else wait
        wait, self._is_woken = timedelta(0) if self._is_woken else min(wait, longest), False
        return super().collect(wait=wait)

    def wake(self) -> None:
        if self._wake is None:
            self._is_woken = True
        else:
            wake, self._wake = self._wake, None
            self._loop.after(0, lambda: wake(lambda: None))


_readers: WeakKeyDictionary[type, dict[str, Any]] = WeakKeyDictionary()


def _reader_of(kind: type, route: Any) -> Any:
    """Return what reads an operation's requests: without a state, and slow to make."""
    made = _readers.setdefault(kind, {})
    if route.operation_id not in made:
        made[route.operation_id] = kind(route)
    return made[route.operation_id]
