"""What `punctual cost` takes a stage for is what the stacks are configured to be."""

import pytest

from infra.config import STAGES as CONFIGURED
from punctual.cli.bill import EXECUTOR_GB, STAGES
from punctual.core.sharding import SHARDS
from tests.support.templates import Template


@pytest.mark.parametrize("name", STAGES)
def test_a_priced_stage_is_the_configured_one(name: str) -> None:
    config, priced = CONFIGURED[name], STAGES[name]

    assert priced.ticks_per_minute == SHARDS // config.shards_per_message
    assert priced.pollers == (config.fast_pollers.least if config.fast_pollers else 0)


def test_every_stage_that_runs_on_aws_is_priced() -> None:
    assert STAGES.keys() == {
        name for name, config in CONFIGURED.items() if not config.on_this_machine
    }


def test_executors_are_priced_with_the_memory_they_get(prod: Template) -> None:
    functions = prod.functions()

    for lane in ("fast", "slow"):
        assert functions[f"execute-{lane}"].properties["MemorySize"] == EXECUTOR_GB * 1024
