"""What the benchmark at scale takes for `prod` is what is deployed as `prod`."""

import pytest

from benchmarks.scale import cloud
from benchmarks.scale.workloads import EXECUTORS_MAX, POLLERS_LEAST, POLLERS_MOST, PROD
from infra.config import STAGES
from tests.support.templates import Template


def test_its_pollers_and_shards_are_those_of_the_stage() -> None:
    stage = STAGES["prod"]

    assert stage.fast_pollers is not None
    assert (stage.fast_pollers.least, stage.fast_pollers.most) == (POLLERS_LEAST, POLLERS_MOST)
    assert stage.executors_max == EXECUTORS_MAX
    assert stage.shards_per_message == PROD.shards_per_message


@pytest.mark.parametrize(
    ("function", "memory_mb"),
    [
        ("tick", cloud.TICK_MB),
        ("dispatch", cloud.DISPATCHER_MB),
        ("execute-fast", cloud.EXECUTOR_MB),
    ],
)
def test_its_functions_have_the_memory_that_is_deployed(
    prod: Template, function: str, memory_mb: int
) -> None:
    assert prod.functions()[function].properties["MemorySize"] == memory_mb
