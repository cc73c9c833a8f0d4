"""Calls go to addresses that were looked up, and vetted, for this very call."""

from collections.abc import Sequence
from threading import Event

import pytest

from punctual.adapters.targets.http import HttpTargets
from punctual.core.calls import Answer, CallError, ErrorType
from tests.emulator.targets.conftest import OpenTargets
from tests.support.calls import a_call, answer_to, answers_to, collect_all
from tests.support.sinks import Sink

pytestmark = pytest.mark.emulator

METADATA = "169.254.169.254"
LOOPBACK = "127.0.0.1"

REFUSED = Answer(
    error=CallError(
        type=ErrorType.REFUSED_ADDRESS,
        message="the address may not be called: link-local (instance metadata)",
    )
)


class Names:
    """A name server that gives another answer each time, and the last one for ever after."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def url(target: Sink, host: str = "rebind.test") -> str:
    """Return the address of the sink by a name."""
    return target.url.replace(LOOPBACK, host)


def test_a_name_is_looked_up_once_for_a_call_and_what_was_vetted_is_called(
    open_targets: OpenTargets, target: Sink
) -> None:
    """A second answer, after the check, would be the one that counts."""
    names = Names([LOOPBACK], [METADATA])

    given = answer_to(open_targets(look_up=names), a_call(url(target)))

    assert given.status_code == 200
    assert names.asked == ["rebind.test"]
    assert target.requests[0].header("Host") == url(target).removeprefix("http://")


def test_a_name_is_looked_up_and_vetted_again_for_the_next_attempt(
    open_targets: OpenTargets, target: Sink
) -> None:
    """The connection of the first attempt still stands; it is no way around the second check."""
    targets = open_targets(look_up=Names([LOOPBACK], [METADATA]))

    assert answer_to(targets, a_call(url(target))).status_code == 200
    assert answer_to(targets, a_call(url(target))) == REFUSED

    assert len(target.requests) == 1


def test_a_kept_connection_is_for_its_address_and_its_name(
    open_targets: OpenTargets, target: Sink
) -> None:
    targets = open_targets(look_up=Names([LOOPBACK]))

    for host in ("one.test", "one.test", "other.test", LOOPBACK, "one.test"):
        assert answer_to(targets, a_call(url(target, host))).status_code == 200

    assert [request.connection for request in target.requests] == [1, 1, 2, 3, 1]


def test_a_kept_connection_is_not_used_once_the_name_has_moved(
    open_targets: OpenTargets, target: Sink
) -> None:
    """The name now leads to where nobody listens, so that is where the call goes."""
    targets = open_targets(look_up=Names([LOOPBACK], ["::1"]))

    assert answer_to(targets, a_call(url(target))).status_code == 200
    moved = answer_to(targets, a_call(url(target)))

    assert moved.error is not None
    assert moved.error.type == ErrorType.CONNECTION
    assert len(target.requests) == 1


@pytest.mark.parametrize(
    "addresses",
    [[METADATA], [LOOPBACK, METADATA], [LOOPBACK] * 9 + [METADATA], ["::1", "fe80::1%eth0"]],
)
def test_one_address_that_may_not_be_called_refuses_the_name(
    open_targets: OpenTargets, target: Sink, addresses: list[str]
) -> None:
    """Which of them a connection would be made to is nothing to rely on."""
    given = answer_to(open_targets(look_up=Names(addresses)), a_call(url(target)))

    assert given.error is not None
    assert given.error.type == ErrorType.REFUSED_ADDRESS
    assert target.requests == []


def test_the_next_address_is_tried_where_the_first_takes_no_connection(
    open_targets: OpenTargets, target: Sink
) -> None:
    targets = open_targets(look_up=Names(["::1", LOOPBACK]))

    assert answer_to(targets, a_call(url(target))).status_code == 200

    assert len(target.requests) == 1


def test_calls_that_are_launched_together_share_one_look_up(
    open_targets: OpenTargets, target: Sink
) -> None:
    names = Names([LOOPBACK])

    answers = answers_to(open_targets(look_up=names), [a_call(url(target)) for _ in range(100)])

    assert {given.status_code for given in answers} == {200}
    assert names.asked == ["rebind.test"]


def test_a_look_up_goes_on_for_the_others_when_one_that_shares_it_is_aborted(
    open_targets: OpenTargets, target: Sink
) -> None:
    asked, answered = Event(), Event()

    def look_up(host: str) -> Sequence[str]:
        asked.set()
        answered.wait(20)
        return [LOOPBACK]

    targets = open_targets(look_up=look_up)
    aborted, other = a_call(url(target)), a_call(url(target))
    targets.launch([aborted, other])
    assert asked.wait(10)

    targets.abort(aborted)
    assert collect_all(targets, [aborted])[0].error is not None
    answered.set()

    assert collect_all(targets, [other])[0].status_code == 200


def test_the_name_of_this_machine_is_resolved_by_the_system(
    targets: HttpTargets, target: Sink
) -> None:
    given = answer_to(targets, a_call(url(target, "localhost")))

    assert given.status_code == 200
    assert target.requests[0].header("Host").startswith("localhost:")


def test_a_name_without_an_address_is_a_connection_error(targets: HttpTargets) -> None:
    given = answer_to(targets, a_call("http://nowhere.invalid/?token=secret"))

    assert given.error is not None
    assert given.error.type == ErrorType.CONNECTION
    assert given.error.message.startswith("the target's name cannot be resolved: ")
    assert "secret" not in given.error.message


@pytest.mark.parametrize("host", [LOOPBACK, "localhost", "127.1", "2130706433", "[::1]", METADATA])
def test_nothing_on_this_machine_or_beside_it_is_called_from_the_cloud(
    open_targets: OpenTargets, target: Sink, host: str
) -> None:
    targets = open_targets(allow_private=False)
    port = target.url.rpartition(":")[2]

    for address in (f"http://{host}:{port}/", f"https://{host}:{port}/", f"https://{host}/"):
        given = answer_to(targets, a_call(address))

        assert given.error is not None
        assert given.error.type == ErrorType.REFUSED_ADDRESS
    assert target.requests == []
