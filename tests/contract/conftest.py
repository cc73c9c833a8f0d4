"""Every engine, one after the other: what a port promises is asked of each that fills it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from punctual.core.jobs import Job
from tests.contract.engines import EVERY
from tests.support.aws_engine import ministack_engine, moto_engine
from tests.support.builders import MINUTE, a_content, a_job, a_tombstone
from tests.support.clock import NINE, FakeClock
from tests.support.embedded_engine import file_engine, memory_engine
from tests.support.engines import Engine, OpenEngine


@pytest.fixture(params=EVERY)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Open an engine over an empty store."""
    open_engine: OpenEngine
    match request.param:
        case "memory":
            open_engine = memory_engine
        case "file":
            open_engine = file_engine
        case "moto":
            open_engine = moto_engine
        case _:
            open_engine = ministack_engine(
                request.getfixturevalue("ministack"),
                dynamodb=request.config.getoption("--dynamodb", default=None),
            )
    with open_engine(FakeClock(), tmp_path) as engine:
        yield engine


@pytest.fixture
def job(engine: Engine) -> Job:
    """A job that is stored, with its content."""
    job = a_job()
    engine.jobs.put_content(job.key, job.content, a_content())
    assert engine.jobs.create(job) is None
    return job


@pytest.fixture
def tombstone(engine: Engine, job: Job) -> Job:
    """What is left of the job, deleted a minute after it was created."""
    tombstone = a_tombstone(job, at=NINE + MINUTE)
    assert engine.jobs.change(tombstone, seen=job)
    return tombstone
