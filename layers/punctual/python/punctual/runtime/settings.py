"""What each function and the local host are told from outside, read once and checked at once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from punctual.core.jobs import Lane
from punctual.core.sharding import SHARDS

PORT = 8400
"""Where the host on one machine listens unless it is told otherwise."""

HOME = Path(".punctual")
"""Where its data is unless it is told otherwise."""


class SettingsError(Exception):
    """A setting is missing or makes no sense; the message names the variable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TickSettings:
    """What the tick is told."""

    shard_queue_url: str
    shards_per_message: int

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "TickSettings":
        """Read the function's environment.

        Raises:
            SettingsError: A variable is missing or makes no sense.
        """
        return cls(
            shard_queue_url=_text(env, "SHARD_QUEUE_URL"),
            shards_per_message=_number(env, "SHARDS_PER_MESSAGE", least=1, most=SHARDS),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchSettings:
    """What the dispatch is told."""

    table_name: str
    queue_urls: Mapping[Lane, str]
    many_tenants: bool = False
    """Whether callers bring tokens that name their tenant; else there is one: the account."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "DispatchSettings":
        """Read the function's environment.

        Raises:
            SettingsError: A variable is missing.
        """
        return cls(
            table_name=_text(env, "TABLE_NAME"),
            queue_urls=_queue_urls(env),
            many_tenants=env.get("MANY_TENANTS") == "true",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteSettings:
    """What the executors of one lane are told."""

    table_name: str
    lane: Lane
    queue_urls: Mapping[Lane, str]
    dead_queue_url: str
    public_url: str
    """Where targets that report back reach the API."""
    results_bucket: str
    external_id: str
    """What the external ids begin with that the roles of targets demand; the tenant follows."""
    allow_private_targets: bool = False

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "ExecuteSettings":
        """Read the function's environment.

        Raises:
            SettingsError: A variable is missing or makes no sense.
        """
        lane = _text(env, "LANE")
        if lane not in set(Lane):
            raise SettingsError(f"LANE is {lane!r}, which is neither fast nor slow")
        return cls(
            table_name=_text(env, "TABLE_NAME"),
            lane=Lane(lane),
            queue_urls=_queue_urls(env),
            dead_queue_url=_text(env, "DEAD_QUEUE_URL"),
            public_url=_text(env, "PUBLIC_URL"),
            results_bucket=_text(env, "RESULTS_BUCKET"),
            external_id=_text(env, "EXTERNAL_ID"),
            allow_private_targets=env.get("ALLOW_PRIVATE_TARGETS") == "true",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettersSettings:
    """What the reader of exhausted messages is told."""

    table_name: str
    dead_queue_url: str

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "DeadLettersSettings":
        """Read the function's environment.

        Raises:
            SettingsError: A variable is missing.
        """
        return cls(table_name=_text(env, "TABLE_NAME"), dead_queue_url=_text(env, "DEAD_QUEUE_URL"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """What the API is told."""

    table_name: str
    queue_urls: Mapping[Lane, str]
    cursor_secret_arn: str
    results_bucket: str
    many_tenants: bool = False
    """Whether callers bring tokens that name their tenant; else there is one: the account."""
    tenant_claim: str | None = None
    """The claim of a token that names the tenant; None for the one that usually does."""
    allow_private_targets: bool = False

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "ApiSettings":
        """Read the function's environment.

        Raises:
            SettingsError: A variable is missing.
        """
        return cls(
            table_name=_text(env, "TABLE_NAME"),
            queue_urls=_queue_urls(env),
            cursor_secret_arn=_text(env, "CURSOR_SECRET_ARN"),
            results_bucket=_text(env, "RESULTS_BUCKET"),
            many_tenants=env.get("MANY_TENANTS") == "true",
            tenant_claim=env.get("TENANT_CLAIM"),
            allow_private_targets=env.get("ALLOW_PRIVATE_TARGETS") == "true",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """What the host on one machine is told; every setting has a default."""

    port: int = PORT
    """0 lets the system choose; the address printed says which it chose."""
    home: Path = HOME
    """Where the data is."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "HostSettings":
        """Read the environment.

        Raises:
            SettingsError: `PUNCTUAL_PORT` is not a port.
        """
        port = PORT
        if env.get("PUNCTUAL_PORT"):
            port = _number(env, "PUNCTUAL_PORT", least=0, most=65_535)
        return cls(port=port, home=Path(env.get("PUNCTUAL_HOME") or HOME))


def _queue_urls(env: Mapping[str, str]) -> Mapping[Lane, str]:
    return {Lane.FAST: _text(env, "FAST_QUEUE_URL"), Lane.SLOW: _text(env, "SLOW_QUEUE_URL")}


def _text(env: Mapping[str, str], name: str) -> str:
    value = env.get(name)
    if not value:
        raise SettingsError(f"the environment lacks {name}")
    return value


def _number(env: Mapping[str, str], name: str, *, least: int, most: int) -> int:
    text = _text(env, name)
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise SettingsError(f"{name} is {text!r}, which is no number from {least} to {most}")
    return int(text)
