"""What functions and the host are told from outside."""

from pathlib import Path

import pytest

from punctual.runtime.settings import HostSettings, SettingsError


def test_the_host_needs_to_be_told_nothing() -> None:
    assert HostSettings.from_env({}) == HostSettings(port=8400, home=Path(".punctual"))


def test_the_host_takes_its_port_and_its_home_from_the_environment() -> None:
    env = {"PUNCTUAL_PORT": "0", "PUNCTUAL_HOME": "/data"}

    assert HostSettings.from_env(env) == HostSettings(port=0, home=Path("/data"))


def test_an_empty_variable_is_one_that_was_not_set() -> None:
    assert HostSettings.from_env({"PUNCTUAL_PORT": "", "PUNCTUAL_HOME": ""}) == HostSettings()


@pytest.mark.parametrize("port", ["http", "-1", "65536", "84.0", " 8400", "\uff18400"])
def test_a_port_that_is_none_is_refused_by_name(port: str) -> None:
    with pytest.raises(SettingsError, match="PUNCTUAL_PORT"):
        HostSettings.from_env({"PUNCTUAL_PORT": port})
