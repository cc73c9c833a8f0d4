"""The figures of `make bench-aws` are what a run takes on AWS, and nothing that measuring takes."""

import json
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.aws.deployed import batches, wake_ups
from benchmarks.aws.meter import Meter, read_units
from benchmarks.aws.sizes import assets, sizes_of
from punctual.adapters.sqs.bodies import read_shards_body
from punctual.cli.bill import READ, RUN_BYTES, STARTED_AND_FINISHED, write_units
from punctual.core.sharding import SHARDS
from tests.support.builders import MINUTE
from tests.support.clock import NINE

SMALL = {"pk": {"S": "x"}}
LARGE = {"pk": {"S": "x" * 4095}}
"""A byte more than one unit pays for, with the two of the name."""


def asked(*, count: int, consistent: bool) -> dict[str, Any]:
    return {"RequestItems": {"jobs": {"Keys": [SMALL] * count, "ConsistentRead": consistent}}}


@pytest.mark.parametrize(("consistent", "units"), [(True, 4), (False, 2)])
def test_a_batch_pays_for_each_item_also_for_one_that_is_missing(
    *, consistent: bool, units: float
) -> None:
    answer = {"Responses": {"jobs": [SMALL, LARGE]}, "UnprocessedKeys": {}}

    assert read_units("BatchGetItem", asked(count=3, consistent=consistent), answer) == units


def test_a_batch_does_not_pay_for_what_was_left() -> None:
    left = {"jobs": {"Keys": [SMALL]}}
    answer = {"Responses": {"jobs": [SMALL]}, "UnprocessedKeys": left}

    assert read_units("BatchGetItem", asked(count=2, consistent=True), answer) == 1


def test_a_query_pays_for_all_its_items_together_and_for_none_half_a_unit() -> None:
    assert read_units("Query", {}, {"Items": [SMALL] * 1000}) == 0.5
    assert read_units("Query", {}, {"Items": [LARGE]}) == 1
    assert read_units("Query", {"ConsistentRead": True}, {"Items": []}) == 1


def test_what_measuring_takes_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = 0

    def take(nanoseconds: int) -> None:
        nonlocal cpu
        cpu += nanoseconds

    monkeypatch.setattr(time, "process_time_ns", lambda: cpu)
    monkeypatch.setattr(time, "thread_time_ns", lambda: cpu)
    meter = Meter()

    take(3_000_000_000)
    with meter.aside():
        take(40_000_000_000)

    assert meter.cpu_seconds() == 3


def test_messages_of_one_second_reach_executors_ten_at_a_time() -> None:
    messages = [(f"late {n}", 60) for n in range(11)] + [("early", 30)]

    arrived = [
        (at - NINE, [record["body"] for record in event["Records"]])
        for at, event in batches(messages, now=NINE)
    ]

    assert arrived == [
        (timedelta(seconds=30), ["early"]),
        (MINUTE, [f"late {n}" for n in range(10)]),
        (MINUTE, ["late 10"]),
    ]


def test_one_tick_wakes_every_shard_once() -> None:
    bodies = [record["body"] for event in wake_ups() for record in event["Records"]]

    assert sorted(shard for body in bodies for shard in read_shards_body(body)) == [*range(SHARDS)]


ROOT = Path(__file__).parents[3]


def figures_of(workload: str) -> dict[str, Any]:
    """Return what a small round on the stub comes to, in a process of its own as always."""
    plan = {"engine": "stub", "jobs": 20, "every": 60, "target": None}
    command = [sys.executable, "-m", "benchmarks.aws.rounds", workload, json.dumps(plan)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout
    figures: dict[str, Any] = json.loads(output)
    return figures


def test_a_round_comes_to_the_units_that_are_billed() -> None:
    handed_over, carried_out = figures_of("dispatch"), figures_of("execute")

    assert handed_over["runs"] == carried_out["runs"] == 200
    assert carried_out["write_units_per_run"] == STARTED_AND_FINISHED - 1, "the row is there by now"
    units = handed_over["write_units_per_run"] + carried_out["write_units_per_run"]
    assert units == pytest.approx(write_units(MINUTE), rel=0.03), "but for the watch rows' deletes"
    reads = carried_out["read_units_per_run"]
    assert 1 < reads <= READ, "the job, and a share of its content"


def test_a_run_is_kept_in_as_many_bytes_as_are_billed() -> None:
    assert figures_of("execute")["bytes_kept_per_run"] == pytest.approx(RUN_BYTES, rel=0.02)


def test_a_batch_of_ten_takes_three_requests() -> None:
    requests = figures_of("execute")["requests_per_run"]

    assert requests["dynamodb.BatchExecuteStatement"] == 0.2, "starts and ends"
    assert requests["dynamodb.BatchGetItem"] == pytest.approx(0.1, abs=0.02), (
        "jobs, and once a content"
    )


def test_what_is_weighed_is_what_the_stack_uploads(tmp_path: Path) -> None:
    layer = tmp_path / "asset.abc"
    (layer / "python").mkdir(parents=True)
    (layer / "python" / "module.py").write_bytes(b"x" * 1_000_000)
    resource = {
        "Type": "AWS::Lambda::LayerVersion",
        "Metadata": {"aws:asset:path": "asset.abc", "aws:cdk:path": "Stack/Layers/Ours/Resource"},
    }
    template = {"Resources": {"Layer": resource, "Again": resource, "Role": {"Type": "Role"}}}
    (tmp_path / "stack.template.json").write_text(json.dumps(template))

    ((name, path),) = assets(tmp_path)
    weighed = sizes_of(path, zip_at=tmp_path / "a.zip")

    assert name == "LayerVersion: Layers/Ours"
    assert (weighed["files"], weighed["unzipped_mb"]) == (1, 1.0)
    assert 0 < weighed["zipped_mb"] < 0.01
