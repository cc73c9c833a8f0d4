"""What a function is told from outside is checked at once, and a fault names its variable."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from punctual.core.jobs import Lane
from punctual.runtime.settings import (
    HOME,
    PORT,
    ApiSettings,
    DeadLettersSettings,
    DispatchSettings,
    ExecuteSettings,
    HostSettings,
    SettingsError,
    TickSettings,
)

FromEnv = Callable[[Mapping[str, str]], Any]

QUEUES = {"FAST_QUEUE_URL": "https://fast", "SLOW_QUEUE_URL": "https://slow"}

NEEDED: dict[str, tuple[FromEnv, dict[str, str]]] = {
    "tick": (
        TickSettings.from_env,
        {"SHARD_QUEUE_URL": "https://shards", "SHARDS_PER_MESSAGE": "16"},
    ),
    "dispatch": (DispatchSettings.from_env, {"TABLE_NAME": "punctual", **QUEUES}),
    "execute": (
        ExecuteSettings.from_env,
        {
            "TABLE_NAME": "punctual",
            "LANE": "slow",
            "DEAD_QUEUE_URL": "https://dead",
            "PUBLIC_URL": "https://punctual.example",
            "EXTERNAL_ID": "punctual:test",
            "RESULTS_BUCKET": "results",
            **QUEUES,
        },
    ),
    "dead letters": (
        DeadLettersSettings.from_env,
        {"TABLE_NAME": "punctual", "DEAD_QUEUE_URL": "https://dead"},
    ),
    "api": (
        ApiSettings.from_env,
        {
            "TABLE_NAME": "punctual",
            "CURSOR_SECRET_ARN": "arn:secret",
            "RESULTS_BUCKET": "results",
            **QUEUES,
        },
    ),
}

VARIABLES = [(name, variable) for name, (_, env) in NEEDED.items() for variable in env]


@pytest.mark.parametrize(("name", "variable"), VARIABLES)
@pytest.mark.parametrize("value", [None, ""], ids=["missing", "empty"])
def test_a_variable_that_is_not_set_is_named(name: str, variable: str, value: str | None) -> None:
    from_env, env = NEEDED[name]
    without = {key: text for key, text in env.items() if key != variable}
    if value is not None:
        without[variable] = value

    with pytest.raises(SettingsError, match=rf"\b{variable}\b"):
        from_env(without)


def test_every_setting_is_read() -> None:
    assert NEEDED["tick"][0](NEEDED["tick"][1]) == TickSettings(
        shard_queue_url="https://shards", shards_per_message=16
    )
    urls = {Lane.FAST: "https://fast", Lane.SLOW: "https://slow"}
    assert NEEDED["dispatch"][0](NEEDED["dispatch"][1]) == DispatchSettings(
        table_name="punctual", queue_urls=urls
    )
    assert NEEDED["execute"][0](NEEDED["execute"][1]) == ExecuteSettings(
        table_name="punctual",
        lane=Lane.SLOW,
        queue_urls=urls,
        dead_queue_url="https://dead",
        public_url="https://punctual.example",
        external_id="punctual:test",
        results_bucket="results",
    )
    assert NEEDED["dead letters"][0](NEEDED["dead letters"][1]) == DeadLettersSettings(
        table_name="punctual", dead_queue_url="https://dead"
    )
    assert NEEDED["api"][0](NEEDED["api"][1]) == ApiSettings(
        table_name="punctual",
        queue_urls=urls,
        cursor_secret_arn="arn:secret",
        results_bucket="results",
    )


@pytest.mark.parametrize("name", ["execute", "api"])
@pytest.mark.parametrize(
    ("text", "allowed"), [("true", True), ("false", False), ("True", False), ("1", False)]
)
def test_private_targets_are_allowed_by_one_word_only(name: str, text: str, allowed: bool) -> None:
    from_env, env = NEEDED[name]

    assert from_env({**env, "ALLOW_PRIVATE_TARGETS": text}).allow_private_targets is allowed
    assert from_env(env).allow_private_targets is False


def test_the_claim_that_names_the_tenant_may_be_another_one() -> None:
    from_env, env = NEEDED["api"]

    assert from_env({**env, "TENANT_CLAIM": "team"}).tenant_claim == "team"
    assert from_env(env).tenant_claim is None


@pytest.mark.parametrize("name", ["dispatch", "api"])
def test_there_is_one_tenant_unless_callers_bring_tokens(name: str) -> None:
    from_env, env = NEEDED[name]

    assert from_env({**env, "MANY_TENANTS": "true"}).many_tenants is True
    assert from_env(env).many_tenants is False


@pytest.mark.parametrize("text", ["0", "65", "-1", "16.0", " 16", "sixteen", "١٦", "1_6"])
def test_a_number_of_shards_that_makes_no_sense_is_refused(text: str) -> None:
    from_env, env = NEEDED["tick"]

    with pytest.raises(SettingsError, match=r"SHARDS_PER_MESSAGE is .* from 1 to 64"):
        from_env({**env, "SHARDS_PER_MESSAGE": text})


@pytest.mark.parametrize("shards", [1, 64])
def test_a_message_may_wake_one_shard_or_all(shards: int) -> None:
    from_env, env = NEEDED["tick"]

    assert from_env({**env, "SHARDS_PER_MESSAGE": str(shards)}).shards_per_message == shards


@pytest.mark.parametrize("text", ["FAST", "medium", " fast"])
def test_a_lane_that_there_is_not_is_refused(text: str) -> None:
    from_env, env = NEEDED["execute"]

    with pytest.raises(SettingsError, match=r"LANE is .* neither fast nor slow"):
        from_env({**env, "LANE": text})


class TestTheHost:
    """On one machine every setting has a default."""

    @pytest.mark.parametrize("env", [{}, {"PUNCTUAL_PORT": "", "PUNCTUAL_HOME": ""}])
    def test_needs_to_be_told_nothing(self, env: dict[str, str]) -> None:
        assert HostSettings.from_env(env) == HostSettings(port=PORT, home=HOME)

    @pytest.mark.parametrize("port", [0, 80, 65_535])
    def test_listens_where_it_is_told(self, port: int) -> None:
        assert HostSettings.from_env({"PUNCTUAL_PORT": str(port)}).port == port

    @pytest.mark.parametrize("text", ["65536", "-1", "http", "8400 ", "1e3"])
    def test_is_not_told_a_port_that_is_none(self, text: str) -> None:
        with pytest.raises(SettingsError, match="PUNCTUAL_PORT"):
            HostSettings.from_env({"PUNCTUAL_PORT": text})

    def test_keeps_its_data_where_it_is_told(self) -> None:
        assert HostSettings.from_env({"PUNCTUAL_HOME": "/data"}).home == Path("/data")
