"""What the functions run on is made once, with patience that fits their lives."""

import threading
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import UnknownServiceError

from infra.definitions import DISPATCH_TIMEOUT, FAST_TIMEOUT, SHARDS, SLOW_TIMEOUT
from punctual.core.execution import LEASE_MARGIN
from punctual.core.jobs import FAST_TIMEOUT_MAX, SLOW_TIMEOUT_MAX
from punctual.runtime import wiring
from punctual.runtime.clients import SERVICES, make_client
from tests.support.builders import SECOND
from tests.support.functions_on_moto import a_cloud

MADE_ONCE = (
    wiring.dynamodb,
    wiring.sqs,
    wiring.tick,
    wiring.dispatch,
    wiring.watch,
    wiring.execute,
    wiring.dead_letters,
)


def test_everything_is_made_once_for_the_life_of_a_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with a_cloud(monkeypatch, service="tests"):
        for make in MADE_ONCE:
            assert make() is make()


def test_the_store_is_asked_again_and_a_send_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A send whose answer was lost would double the message; what was not sent stays due."""
    with a_cloud(monkeypatch, service="tests"):
        for client, attempts in ((wiring.dynamodb(), 3), (wiring.sqs(), 1)):
            config: Any = client.meta.config
            assert config.retries["total_max_attempts"] == attempts
            assert (config.connect_timeout, config.read_timeout) == (1, 2)


def test_an_executor_has_time_for_its_longest_call_and_to_write_how_it_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with a_cloud(monkeypatch, service="tests"):
        assert wiring.longest_call() - FAST_TIMEOUT_MAX == wiring.SETTLING
        assert wiring.longest_call() < FAST_TIMEOUT
        monkeypatch.setenv("LANE", "slow")
        assert wiring.longest_call() - SLOW_TIMEOUT_MAX == wiring.SETTLING
        assert wiring.longest_call() < SLOW_TIMEOUT


def test_a_dispatch_ends_before_its_message_is_visible_again() -> None:
    assert DISPATCH_TIMEOUT - wiring.DISPATCH_MARGIN == 50 * SECOND
    assert SHARDS.visibility > DISPATCH_TIMEOUT
    assert LEASE_MARGIN >= 5 * SECOND, "clocks may differ by so much"


def test_nothing_unreadable_is_buried_without_asking_for_a_queue() -> None:
    """No function but those that need it has the dead letters' queue in its environment."""
    assert wiring.bury([]) == []


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand for what Lambda says to every function, so that nobody is asked for it."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("region")
def test_a_client_finds_its_service_without_looking_through_all_others() -> None:
    """Each is known to the finder of descriptions, or the first to need it would fail."""
    for service in SERVICES:
        client = make_client(service, config=Config())
        assert client.meta.service_model.service_name == service
    with pytest.raises(UnknownServiceError):
        make_client("ec2", config=Config())


@pytest.mark.usefixtures("region")
def test_whoever_is_asked_is_told_who_asks() -> None:
    client = make_client("sqs", config=Config())

    assert client.meta.config.user_agent.startswith("Punctual ")


def test_what_http_needs_is_imported_before_the_first_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever waits for a slot has time for it; whoever calls has none."""
    imported: list[str] = []
    monkeypatch.setattr(wiring, "import_module", imported.append)

    wiring.targets.__wrapped__()
    for thread in threading.enumerate():
        if thread.name == "imports":
            thread.join()

    assert imported == ["punctual.adapters.targets.every"]
