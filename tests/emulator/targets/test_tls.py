"""Over TLS nothing is sent to anybody but the host that the URL names."""

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from punctual.core.calls import Answer, CallError, ErrorType
from tests.emulator.targets.conftest import AnyTargets, OpenTargets
from tests.support.calls import a_call, answer_to, collect_all
from tests.support.certificates import Authority, self_signed
from tests.support.sinks import Sink, head, sink

pytestmark = pytest.mark.emulator

NAME = "target.test"


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Return an authority that only those who are told to trust it do trust."""
    return Authority()


@pytest.fixture
def trusting(open_targets: OpenTargets, authority: Authority) -> AnyTargets:
    """Return targets that trust the authority of the tests; every name leads to this machine."""
    return open_targets(tls=authority.client(), look_up=this_machine)


def this_machine(host: str) -> Sequence[str]:
    return ["127.0.0.1"]


@contextmanager
def tls_sink(context: ssl.SSLContext, *, host: str = NAME) -> Iterator[Sink]:
    """Run a sink over TLS whose URL has the name in it."""
    with sink(tls=context) as running:
        running.url = running.url.replace("127.0.0.1", host)
        yield running


def certificate_fault(fault: str) -> Answer:
    message = f"the target's certificate does not hold: {fault}"
    return Answer(error=CallError(type=ErrorType.CONNECTION, message=message))


def test_a_certificate_is_checked_against_the_name_and_so_is_the_server_named(
    trusting: AnyTargets, authority: Authority
) -> None:
    asked_for: list[str | None] = []
    context = authority.server(NAME)
    context.sni_callback = lambda _, name, __: asked_for.append(name)
    with tls_sink(context) as target:
        for _ in range(2):
            assert answer_to(trusting, a_call(target.url)).status_code == 200

        assert asked_for == [NAME], "the second call goes over the connection of the first"
        assert [request.connection for request in target.requests] == [1, 1]
        assert target.requests[0].header("Host") == target.url.removeprefix("https://")


def test_an_address_in_the_url_is_checked_as_an_address(
    trusting: AnyTargets, authority: Authority
) -> None:
    with tls_sink(authority.server("127.0.0.1"), host="127.0.0.1") as target:
        assert answer_to(trusting, a_call(target.url)).status_code == 200
    with tls_sink(authority.server(NAME), host="127.0.0.1") as target:
        given = answer_to(trusting, a_call(target.url))

    assert given == certificate_fault(
        "IP address mismatch, certificate is not valid for '127.0.0.1'"
    )


def test_a_certificate_for_the_address_behind_the_name_is_not_one_for_the_name(
    trusting: AnyTargets, authority: Authority
) -> None:
    with tls_sink(authority.server("127.0.0.1", "other.test")) as target:
        given = answer_to(trusting, a_call(target.url))

        assert target.requests == []
    assert given == certificate_fault(
        "Hostname mismatch, certificate is not valid for 'target.test'"
    )


def test_a_certificate_that_vouches_for_itself_does_not_hold(trusting: AnyTargets) -> None:
    with tls_sink(self_signed(NAME)) as target:
        assert answer_to(trusting, a_call(target.url)) == certificate_fault(
            "self-signed certificate"
        )
        assert target.requests == []


def test_a_certificate_that_has_expired_does_not_hold(
    trusting: AnyTargets, authority: Authority
) -> None:
    with tls_sink(authority.server(NAME, expired=True)) as target:
        assert answer_to(trusting, a_call(target.url)) == certificate_fault(
            "certificate has expired"
        )
        assert target.requests == []


def test_an_authority_that_the_system_does_not_know_is_not_trusted(
    open_targets: OpenTargets, authority: Authority
) -> None:
    with tls_sink(authority.server(NAME)) as target:
        given = answer_to(open_targets(look_up=this_machine), a_call(target.url))

        assert target.requests == []
    assert given == certificate_fault("unable to get local issuer certificate")


def test_a_certificate_that_does_not_hold_at_one_address_is_not_looked_for_at_another(
    open_targets: OpenTargets, authority: Authority
) -> None:
    shown: list[str | None] = []
    context = authority.server("other.test")
    context.sni_callback = lambda _, name, __: shown.append(name)
    with tls_sink(context) as target:
        targets = open_targets(tls=authority.client(), look_up=lambda _: ["127.0.0.1", "::1"])

        given = answer_to(targets, a_call(target.url))

    assert given == certificate_fault(
        "Hostname mismatch, certificate is not valid for 'target.test'"
    )
    assert shown == [NAME]


def test_an_old_protocol_is_not_spoken(trusting: AnyTargets, authority: Authority) -> None:
    context = authority.server(NAME)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with tls_sink(context) as target:
        given = answer_to(trusting, a_call(target.url))

        assert target.requests == []
    assert given.error is not None
    assert given.error.type == ErrorType.CONNECTION


def test_a_target_that_speaks_no_tls_is_not_called_without_it(trusting: AnyTargets) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        call = a_call(f"https://{NAME}:{listener.getsockname()[1]}/")
        trusting.launch([call])
        accepted, _ = listener.accept()
        with accepted:
            heard = accepted.recv(2**16)
            accepted.sendall(head(400))

            (given,) = collect_all(trusting, [call])

    assert b"HTTP" not in heard
    assert given == Answer(
        error=CallError(
            type=ErrorType.CONNECTION, message="no TLS with the target: wrong version number"
        )
    )
