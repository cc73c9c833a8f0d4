"""What each function is told is what it asks for; what it is made of is there."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.config import STAGES, Jwt
from infra.constructs.layers import ROOT
from punctual.core.sharding import SHARDS
from punctual.runtime.settings import (
    ApiSettings,
    DeadLettersSettings,
    DispatchSettings,
    ExecuteSettings,
    SettingsError,
    TickSettings,
)
from tests.support.templates import Template, synthesise

Reads = Callable[[Mapping[str, str]], Any]

READ_BY: dict[str, list[Reads]] = {
    "api": [ApiSettings.from_env],
    "tick": [TickSettings.from_env],
    "dispatch": [DispatchSettings.from_env],
    # Executors bury what they cannot read, as the reader of exhausted messages does.
    "execute-fast": [ExecuteSettings.from_env, DeadLettersSettings.from_env],
    "execute-slow": [ExecuteSettings.from_env, DeadLettersSettings.from_env],
    "dead_letters": [DeadLettersSettings.from_env],
}

OF_EVERY_FUNCTION = {"POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME"}


def environment(template: Template, function: str) -> dict[str, str]:
    """Return a function's environment, what is known at deployment alone by its name."""
    variables = template.functions()[function].properties["Environment"]["Variables"]
    return {name: template.name_of(value) for name, value in variables.items()}


@pytest.mark.parametrize("function", READ_BY)
def test_a_function_is_told_all_that_it_asks_for_and_nothing_else(
    template: Template, function: str
) -> None:
    told = environment(template, function)
    read(function, told)

    for name in told.keys() - OF_EVERY_FUNCTION - {"ALLOW_PRIVATE_TARGETS"}:
        without = {key: value for key, value in told.items() if key != name}
        with pytest.raises(SettingsError, match=name):
            read(function, without)


def read(function: str, told: Mapping[str, str]) -> None:
    """Read an environment by every way in which the function does."""
    for reads in READ_BY[function]:
        reads(told)


def test_each_lane_reads_its_own_queue_and_knows_both(template: Template) -> None:
    for lane, queue in (("fast", "QueuesFast"), ("slow", "QueuesSlow")):
        settings = ExecuteSettings.from_env(environment(template, f"execute-{lane}"))
        mapping = template.one(
            "AWS::Lambda::EventSourceMapping", _mapping_of(template, f"execute-{lane}")
        )
        assert settings.lane.value == lane
        assert settings.queue_urls[settings.lane] == queue
        assert template.name_of(mapping.properties["EventSourceArn"]) == queue


def _mapping_of(template: Template, function: str) -> str:
    reference = {"Ref": template.functions()[function].logical_id}
    (name,) = [
        each.name
        for each in template.all("AWS::Lambda::EventSourceMapping")
        if each.properties["FunctionName"] == reference
    ]
    return name


def test_a_message_of_the_tick_covers_as_many_shards_as_the_stage_says(template: Template) -> None:
    settings = TickSettings.from_env(environment(template, "tick"))
    stage = environment(template, "tick")["POWERTOOLS_METRICS_NAMESPACE"].removeprefix("Punctual-")

    assert settings.shards_per_message == STAGES[stage].shards_per_message <= SHARDS


def test_only_this_machine_may_call_private_addresses(template: Template) -> None:
    local = "Punctual-local" in environment(template, "api").values()

    for function in ("api", "execute-fast", "execute-slow"):
        assert ("ALLOW_PRIVATE_TARGETS" in environment(template, function)) is local


def test_tokens_name_the_tenant_by_the_claim_that_the_stage_says() -> None:
    jwt = Jwt(issuer="https://issuer.test", audience=("punctual",), tenant_claim="org")
    config = replace(STAGES["dev"], jwt=jwt)

    template = synthesise(config)
    settings = ApiSettings.from_env(environment(template, "api"))

    assert settings.tenant_claim == "org"
    assert settings.many_tenants
    assert DispatchSettings.from_env(environment(template, "dispatch")).many_tenants


def test_without_tokens_there_is_one_tenant_and_nobody_pays_to_keep_tenants_apart(
    template: Template,
) -> None:
    for function in ("api", "dispatch"):
        assert "MANY_TENANTS" not in environment(template, function)


def test_every_handler_is_where_its_function_looks(prod: Template) -> None:
    for name, function in prod.functions().items():
        module, _, attribute = function.properties["Handler"].partition(".")
        folder = ROOT / "functions" / name.partition("-")[0]
        source = Path(folder, f"{module}.py").read_text()
        assert f"def {attribute}(event: dict[str, Any], context: Context)" in source
