"""Records at which runs meet: read as written, and written only over what was read."""

from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from punctual.core.gates import Gate
from punctual.core.identity import JobKey
from punctual.core.limits import LimitKey, Token, Usage
from tests.contract.engines import ATOMIC
from tests.contract.test_races import WRITERS, all_at_once
from tests.support.builders import MINUTE, TICK, a_job_key, a_run_key
from tests.support.clock import NINE
from tests.support.engines import Engine

JOB = a_job_key()
CRM = LimitKey("acme", "crm-api")
TOKEN = Token(a_run_key(), "q3Jk9-aB_0" * 2)
LAST = Token(a_run_key(incarnation=12, job_id="x" * 64, name="m.0a1b"), "o")

GATE = Gate(job=JOB, holder=a_run_key(), waiting=a_run_key(NINE + MINUTE + TICK, incarnation=2))
USAGE = Usage(key=CRM, holders=(TOKEN, LAST), next_start=NINE + TICK)


def gate_of(engine: Engine, job: JobKey = JOB) -> Gate:
    return engine.gates.gates([job])[job]


def usage_of(engine: Engine, limit: LimitKey = CRM) -> Usage:
    return engine.gates.usages([limit])[limit]


def test_a_record_that_nobody_wrote_is_empty(engine: Engine) -> None:
    assert gate_of(engine) == Gate(job=JOB)
    assert usage_of(engine) == Usage(key=CRM)
    assert engine.gates.gates([]) == {}
    assert engine.gates.put([], versions=[]) == []


def test_records_are_read_as_they_were_written(engine: Engine) -> None:
    assert engine.gates.put([GATE, USAGE], versions=["g1", "u1"]) == [True, True]

    assert gate_of(engine) == replace(GATE, version="g1")
    assert usage_of(engine) == replace(USAGE, version="u1")


def test_a_record_becomes_empty_again(engine: Engine) -> None:
    engine.gates.put([GATE, USAGE], versions=["g1", "u1"])

    emptied: list[Gate | Usage] = [Gate(job=JOB, version="g1"), Usage(key=CRM, version="u1")]
    assert engine.gates.put(emptied, versions=["g2", "u2"]) == [True, True]

    assert gate_of(engine) == Gate(job=JOB, version="g2")
    assert usage_of(engine) == Usage(key=CRM, version="u2")


def test_a_record_is_written_only_over_what_was_read(engine: Engine) -> None:
    """Two read that there is none; two read the first version; each time one of them is late."""
    late = replace(GATE, waiting=None)
    assert engine.gates.put([GATE], versions=["a"]) == [True]
    assert engine.gates.put([late], versions=["b"]) == [False]
    assert engine.gates.put([replace(USAGE, version="gone")], versions=["b"]) == [False]

    read = gate_of(engine)
    assert engine.gates.put([replace(read, waiting=None)], versions=["c"]) == [True]
    assert engine.gates.put([replace(read, holder=None)], versions=["d"]) == [False]

    assert gate_of(engine) == replace(late, version="c")
    assert usage_of(engine) == Usage(key=CRM)


def test_of_many_records_each_stands_or_is_refused_alone(engine: Engine) -> None:
    jobs = [a_job_key(f"job-{number}") for number in range(30)]
    engine.gates.put(
        [Gate(job=job) for job in jobs[::2]], versions=[f"v-{j.job_id}" for j in jobs[::2]]
    )

    stood = engine.gates.put([Gate(job=job) for job in jobs], versions=["new"] * len(jobs))

    assert stood == [number % 2 == 1 for number in range(30)]
    found = engine.gates.gates(jobs)
    assert [found[job].version for job in jobs[:3]] == ["v-job-0", "new", "v-job-2"]


def test_records_of_other_jobs_tenants_and_keys_are_others(engine: Engine) -> None:
    engine.gates.put([GATE, USAGE], versions=["g1", "u1"])

    for job in (a_job_key("report-2"), a_job_key(tenant="globex")):
        assert gate_of(engine, job) == Gate(job=job)
    for limit in (LimitKey("acme", "crm"), LimitKey("globex", "crm-api")):
        assert usage_of(engine, limit) == Usage(key=limit)


def test_a_full_limit_holds_a_hundred_of_the_longest_names(engine: Engine) -> None:
    job = JobKey("acme", "j" * 64)
    holders = tuple(
        Token(a_run_key(job_id=job.job_id, name=f"b.{number:030}"), "o" * 22)
        for number in range(100)
    )

    assert engine.gates.put([replace(USAGE, holders=holders)], versions=["full"]) == [True]

    assert usage_of(engine).holders == holders


@pytest.mark.parametrize("engine", ATOMIC, indirect=True)
def test_of_those_who_write_at_once_one_has_its_way(engine: Engine) -> None:
    """Over nothing first, then over what the winner wrote."""
    for _ in range(2):
        read = gate_of(engine)

        stood = all_at_once(
            lambda writer: engine.gates.put(
                [replace(read, holder=a_run_key(NINE + writer * MINUTE))],  # noqa: B023 - called here
                versions=[f"{read.version} {writer}"],  # noqa: B023 - called here
            )
        )

        assert sum(answer == [True] for answer in stood) == 1
        winner = stood.index([True])
        assert gate_of(engine).holder == a_run_key(NINE + winner * MINUTE)


@pytest.mark.parametrize("engine", ATOMIC, indirect=True)
def test_nobody_is_lost_who_tries_until_it_stands(engine: Engine) -> None:
    tokens = [Token(a_run_key(NINE + n * MINUTE), f"o{n}") for n in range(WRITERS)]
    versions = count()

    def come_in(writer: int) -> None:
        while True:
            usage = usage_of(engine)
            wanted = replace(usage, holders=(*usage.holders, tokens[writer]))
            if engine.gates.put([wanted], versions=[f"{writer}.{next(versions)}"]) == [True]:
                return

    all_at_once(come_in)

    assert sorted(usage_of(engine).holders, key=str) == sorted(tokens, key=str)


def test_a_record_nobody_writes_for_long_may_go_and_is_written_anew(engine: Engine) -> None:
    engine.gates.put([GATE], versions=["old"])
    engine.clock.advance(timedelta(days=91))

    read = gate_of(engine)

    assert engine.gates.put([replace(read, holder=None)], versions=["new"]) == [True]
    assert gate_of(engine).version == "new"
