"""The scheduler on one machine: the same services in one process, over the embedded engine."""

import asyncio
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

from aiohttp import web

from punctual.adapters.results.files import FileResults
from punctual.adapters.secrets.file import FileSecrets
from punctual.adapters.sqlite.engine import SqliteEngine
from punctual.adapters.system import SystemChance, SystemClock
from punctual.adapters.targets.here import targets_here
from punctual.api.app import ApiServices, make_app
from punctual.core.errors import PunctualError, StoreUnavailable
from punctual.local.cursor_key import cursor_key
from punctual.local.executor import ExecutorThread
from punctual.local.gateway import gateway
from punctual.local.terminal import Terminal
from punctual.local.ticker import TickerThread
from punctual.ports import Clock
from punctual.runtime.settings import HostSettings
from punctual.services.asking import Asking
from punctual.services.callbacks import Callbacks
from punctual.services.dispatch import Dispatch
from punctual.services.execute import Execute
from punctual.services.jobs import Jobs
from punctual.services.runs import Runs
from punctual.services.skipping import Skipping
from punctual.services.watch import Watch

DRAIN = timedelta(seconds=7)
"""How long what is going on may take to end when the host is stopped."""

LAST_REQUESTS_SECONDS = 1.0
"""How long a request that is being answered may take to end after that."""

LAST_LINES_SECONDS = 0.5
"""How long the terminal gets to take the last lines."""

API_THREADS = 16
"""Requests answered at once: they wait for one commit together."""

LOOK_AFTER = 50_000
"""Objects made, less those let go, before the interpreter looks for garbage in cycles. What a burst
has under way is alive, and to look through it after every 700 took a seventh of each run's time."""

ADDRESS = "127.0.0.1"
"""Loopback only: nobody is asked who they are here."""

TENANT = "default"

EXTERNAL_ID = "punctual:local"
"""What the external ids of roles begin with that targets are called as."""

CURSOR_KEY = b"one machine, one tenant"
"""Cursors are sealed against other tenants, of which there are none here. Always the same, so that
a list that was begun goes on after a restart."""


class CannotServe(Exception):
    """The host cannot start as it was told; the message says why, in one line."""


def serve(settings: HostSettings) -> int:
    """Run the host until SIGTERM or SIGINT; return the exit code of the process.

    A fault while it runs, such as a full disk, ends it with 1: nothing is acknowledged that was not
    made durable, so the next start goes on from there.

    Raises:
        CannotServe: Its data or its port cannot be used.
    """
    clock = SystemClock()
    with ExitStack() as stack:
        try:
            engine = stack.enter_context(SqliteEngine.open(settings.home, clock=clock))
            host = _Host(settings, engine, clock=clock)
        except PunctualError as error:
            raise CannotServe(str(error)) from error
        except OSError as error:
            raise CannotServe(f"{settings.home} cannot be used: {error.strerror}") from error
        runner = stack.enter_context(asyncio.Runner(loop_factory=_loop_factory()))
        return runner.run(host.run())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return the faster loop if it is installed, as it is not on every platform."""
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return uvloop.new_event_loop


class _Host:
    """The parts of one process, and the order in which they come and go."""

    def __init__(self, settings: HostSettings, engine: SqliteEngine, *, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._terminal = Terminal()
        self._address = ""
        """Where it listens; known before the first run starts."""
        results = FileResults(settings.home)
        self._targets = targets_here(
            external_id=EXTERNAL_ID,
            secrets=FileSecrets(settings.home, warn=self._terminal.say),
            results=results,
            clock=clock,
        )
        self._fault: BaseException | None = None
        self._stopped = asyncio.Event()
        self._stop: Callable[[], object] = self._stopped.set
        chance = SystemChance()
        dispatch = Dispatch(
            jobs=engine.jobs,
            runs=engine.runs,
            watch_list=engine.watch_list,
            queue=engine.queue,
            beats=engine.beats,
            clock=clock,
            chance=chance,
            transact=engine.transact,
        )
        watch = Watch(
            jobs=engine.jobs,
            runs=engine.runs,
            watch_list=engine.watch_list,
            queue=engine.queue,
            clock=clock,
            chance=chance,
            transact=engine.transact,
        )
        execute = Execute(
            jobs=engine.jobs,
            runs=engine.runs,
            gates=engine.gates,
            watch_list=engine.watch_list,
            queue=engine.queue,
            targets=self._targets,
            clock=clock,
            chance=chance,
            transact=engine.transact,
            logs=engine.logs,
            address=lambda: self._address,
        )
        self._executor = ExecutorThread(
            execute=execute,
            queue=engine.queue,
            clock=clock,
            terminal=self._terminal,
            failed=self._fail,
        )
        self._ticker = TickerThread(
            dispatch=dispatch,
            watch=watch,
            sweep=lambda now: (engine.sweep(now), results.sweep(now)),
            clock=clock,
            terminal=self._terminal,
            failed=self._fail,
        )
        engine.queue.listen(self._targets.wake)
        self._app = make_app(
            ApiServices(
                jobs=Jobs(
                    jobs=engine.jobs,
                    runs=engine.runs,
                    dispatch=dispatch,
                    clock=clock,
                    transact=engine.transact,
                ),
                runs=Runs(
                    jobs=engine.jobs,
                    runs=engine.runs,
                    results=results,
                    logs=engine.logs,
                    clock=clock,
                ),
                asking=Asking(
                    jobs=engine.jobs,
                    runs=engine.runs,
                    requests=engine.requests,
                    watch_list=engine.watch_list,
                    queue=engine.queue,
                    clock=clock,
                    chance=chance,
                    transact=engine.transact,
                ),
                skipping=Skipping(
                    jobs=engine.jobs,
                    runs=engine.runs,
                    watch_list=engine.watch_list,
                    clock=clock,
                    chance=chance,
                    transact=engine.transact,
                ),
                callbacks=Callbacks(
                    jobs=engine.jobs,
                    runs=engine.runs,
                    logs=engine.logs,
                    results=results,
                    watch_list=engine.watch_list,
                    queue=engine.queue,
                    clock=clock,
                    chance=chance,
                    tell=self._terminal.runs,
                ),
                beats=engine.beats,
            ),
            local_tenant=TENANT,
            clock=clock,
            chance=chance,
            cursor_key=cursor_key(settings.home, chance=chance),
        )

    async def run(self) -> int:
        """Serve until told to stop; return the exit code of the process.

        Raises:
            CannotServe: The port cannot be listened at.
        """
        loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(self._stopped.set)
        with ThreadPoolExecutor(API_THREADS, thread_name_prefix="api") as pool:
            runner = web.AppRunner(
                gateway(self._app, pool=pool),
                access_log=None,
                shutdown_timeout=LAST_REQUESTS_SECONDS,
            )
            await runner.setup()
            try:
                await self._listen(runner)
                for number in (signal.SIGTERM, signal.SIGINT):
                    loop.add_signal_handler(number, self._told_to_stop)
                self._begin(port=runner.addresses[0][1])
                await self._stopped.wait()
                await loop.run_in_executor(pool, self._drain)
            finally:
                await runner.cleanup()
        return self._end()

    async def _listen(self, runner: web.AppRunner) -> None:
        port = self._settings.port
        try:
            await web.TCPSite(runner, ADDRESS, port).start()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise CannotServe(f"cannot listen at port {port}: {reason.lower()}") from error

    def _begin(self, *, port: int) -> None:
        self._address = f"http://{ADDRESS}:{port}"
        gc.freeze()  # all that was imported stays: there is no use in looking through it
        gc.set_threshold(LOOK_AFTER)
        self._terminal.start()
        self._terminal.say(
            f"Punctual is ready at {self._address} (data in {self._settings.home}; Ctrl-C stops it)"
        )
        self._executor.start()
        self._ticker.start()

    def _told_to_stop(self) -> None:
        """Stop once what is going on has ended; told twice, at once."""
        if self._stopped.is_set():
            self._executor.drain(until=self._clock.now())
            self._targets.wake()
        self._stopped.set()

    def _drain(self) -> None:
        """Let what is going on end; what does not in time is taken over by the next process."""
        self._ticker.stop()
        if busy := self._executor.busy:
            self._terminal.say(
                f"stopping; runs that may end before: {busy} (Ctrl-C again: at once)"
            )
        self._executor.drain(until=self._clock.now() + DRAIN)
        self._targets.wake()
        self._executor.join()
        self._ticker.join()
        if busy := self._executor.busy:
            self._terminal.say(f"runs that the next start takes over: {busy}")
        self._targets.close()

    def _end(self) -> int:
        """Say how it ended; return the exit code."""
        self._terminal.say("stopped")
        self._terminal.finish(within=LAST_LINES_SECONDS)
        match self._fault:
            case None:
                return 0
            case StoreUnavailable():
                cause = self._fault.__cause__
                sys.stderr.write(f"punctual: {self._fault}" + (f": {cause}\n" if cause else "\n"))
            case _:
                traceback.print_exception(self._fault)
        return 1

    def _fail(self, error: BaseException) -> None:
        """Stop because of a fault, told by the thread that met it."""
        self._fault = self._fault or error
        self._stop()
