"""The API over an engine, for tests."""

from typing import Any

from punctual.api.app import ApiServices, App, make_app
from punctual.ports import Chance, JobStore, Results
from punctual.services.asking import Asking
from punctual.services.callbacks import Callbacks
from punctual.services.dispatch import Dispatch
from punctual.services.jobs import Jobs
from punctual.services.runs import Runs
from punctual.services.skipping import Skipping
from tests.support.clock import FakeChance
from tests.support.engines import Engine
from tests.support.keeping import MemoryResults

CURSOR_KEY = b"a key that seals the cursors of tests"


def an_app(
    engine: Engine,
    *,
    local_tenant: str | None = None,
    jobs: JobStore | None = None,
    chance: Chance | None = None,
    results: Results | None = None,
    **options: Any,
) -> App:
    """Make the API over an engine; without a local tenant it is the one of the cloud.

    Args:
        engine: What it stands on.
        local_tenant: Whose everything is.
        jobs: A store in the place of the engine's own.
        chance: Where ids come from; counted ones if nothing is said.
        results: Where long bodies lie; in memory if nothing is said.
        options: Of `make_app`.
    """
    jobs = jobs or engine.jobs
    chance = chance or FakeChance()
    results = results or MemoryResults()
    return make_app(
        ApiServices(
            jobs=Jobs(
                jobs=jobs,
                runs=engine.runs,
                dispatch=a_dispatch(engine, jobs=jobs, chance=chance),
                clock=engine.clock,
                transact=engine.transact,
            ),
            runs=Runs(
                jobs=jobs,
                runs=engine.runs,
                results=results,
                logs=engine.logs,
                clock=engine.clock,
            ),
            asking=Asking(
                jobs=jobs,
                runs=engine.runs,
                requests=engine.requests,
                watch_list=engine.watch_list,
                queue=engine.queue,
                clock=engine.clock,
                chance=chance,
                transact=engine.transact,
            ),
            skipping=Skipping(
                jobs=jobs,
                runs=engine.runs,
                watch_list=engine.watch_list,
                clock=engine.clock,
                chance=chance,
                transact=engine.transact,
            ),
            callbacks=Callbacks(
                jobs=jobs,
                runs=engine.runs,
                logs=engine.logs,
                results=results,
                watch_list=engine.watch_list,
                queue=engine.queue,
                clock=engine.clock,
                chance=chance,
                tell=lambda _: None,
            ),
            beats=engine.beats,
            **({"ask_queue": options.pop("ask_queue")} if "ask_queue" in options else {}),
        ),
        local_tenant=local_tenant,
        clock=engine.clock,
        chance=chance,
        cursor_key=options.pop("cursor_key", CURSOR_KEY),
        **options,
    )


def a_dispatch(
    engine: Engine, *, jobs: JobStore | None = None, chance: Chance | None = None
) -> Dispatch:
    """Make the dispatch over an engine."""
    return Dispatch(
        jobs=jobs or engine.jobs,
        runs=engine.runs,
        watch_list=engine.watch_list,
        queue=engine.queue,
        beats=engine.beats,
        clock=engine.clock,
        chance=chance or FakeChance(),
        transact=engine.transact,
    )
