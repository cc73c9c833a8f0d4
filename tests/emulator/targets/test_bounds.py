"""Whatever a target does, a call takes no more than its time and a little memory."""

import socket
import tracemalloc
from datetime import timedelta
from threading import Event
from time import monotonic

import pytest
from aiohttp import ClientTimeout

from punctual.adapters.targets import connections, exchange
from punctual.adapters.targets.room import ROOM, Room
from punctual.core.calls import (
    BODY_KEPT_MAX,
    BODY_READ_MAX,
    Answer,
    CallError,
    ErrorType,
)
from punctual.core.identity import result_name
from tests.emulator.targets.conftest import KINDS, AnyTargets, OpenTargets
from tests.support.calls import a_call, answer_to, answers_to
from tests.support.keeping import MemoryResults
from tests.support.sinks import (
    Behaviour,
    Peer,
    Request,
    Sink,
    after,
    answer,
    close,
    drop,
    endless,
    hang,
    head,
    raw,
)

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.parametrize("open_targets", sorted(KINDS), indirect=True),
]

SHORT = timedelta(milliseconds=300)
LATE = timedelta(seconds=5)
"""How much later than its deadline a call may end on a machine that is busy with other things."""

OK = head(200, ("Content-Length", "2")) + b"ok"
BLOCK = b"x" * 100_000


class Forgetful(MemoryResults):
    """Keeps nothing, so that only what calls hold is in memory."""

    def put(self, body: bytes) -> str:
        return result_name(body)


def collect_until_closed(targets: AnyTargets, target: Sink) -> None:
    """Wait for answers, as one does who has runs to come, until a connection was closed.

    Without a thread of its own the network goes on only while somebody waits.
    """
    began = monotonic()
    while target.connections_closed == 0:
        assert monotonic() - began < LATE.total_seconds(), "no connection was closed"
        assert targets.collect(wait=timedelta(milliseconds=10)) == []


def timed_answer(targets: AnyTargets, url: str) -> Answer:
    """Return the answer to a call of little time, after seeing that it took that, and no more."""
    began = monotonic()
    given = answer_to(targets, a_call(url, timeout=SHORT))
    took = timedelta(seconds=monotonic() - began)
    assert SHORT <= took < SHORT + LATE
    return given


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(hang, id="silence"),
        pytest.param(after(60, answer()), id="an answer much later"),
        pytest.param(raw(*[b"HTTP/1.1 200 OK\r\n"], *[b"X: y\r\n"] * 60, every=0.05), id="headers"),
        pytest.param(raw(*[head(100)] * 15, every=0.05), id="one informal answer after the other"),
    ],
)
def test_a_call_without_an_answer_ends_at_its_deadline(
    targets: AnyTargets, target: Sink, behaviour: Behaviour
) -> None:
    target.behaviour = behaviour

    assert timed_answer(targets, target.url) == Answer(
        error=CallError(type=ErrorType.TIMEOUT, message="no answer within 0.3 s")
    )
    assert len(target.requests) == 1


def test_a_body_that_drips_ends_at_the_deadline_of_the_whole_call(
    targets: AnyTargets, target: Sink
) -> None:
    """Every drop comes in good time; it is the whole that does not."""
    target.behaviour = endless(b"drop", every=0.02)

    given = timed_answer(targets, target.url)

    assert given.error == CallError(type=ErrorType.TIMEOUT, message="no whole answer within 0.3 s")
    assert given.status_code == 200
    assert given.body.startswith(b"dropdrop")


def test_a_target_that_accepts_no_connection_ends_the_call_at_its_deadline(
    targets: AnyTargets,
) -> None:
    """Connections that the system took on for it count as none once TLS is not answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        given = timed_answer(targets, f"https://127.0.0.1:{port}/")

    assert given.error is not None
    assert given.error.type == ErrorType.TIMEOUT


def test_a_connection_has_less_time_than_the_call_and_its_addresses_share_it(
    targets: AnyTargets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow job gets fourteen minutes; whether a target is there at all is known sooner."""
    shares = {addresses: limit.sock_connect for addresses, limit in exchange._TIMEOUTS.items()}
    assert shares == {1: 10.0, 2: 5.0, 3: 10 / 3, 4: 2.5}
    soon = ClientTimeout(total=None, sock_connect=0.2)
    monkeypatch.setitem(exchange._TIMEOUTS, 1, soon)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        given = answer_to(targets, a_call(f"https://127.0.0.1:{listener.getsockname()[1]}/"))

    assert given.error == CallError(
        type=ErrorType.CONNECTION, message="no connection to the target: it does not answer"
    )


def test_a_name_server_that_does_not_answer_ends_the_call_at_its_deadline(
    open_targets: OpenTargets,
) -> None:
    answered = Event()

    def look_up(host: str) -> list[str]:
        answered.wait(20)
        return ["127.0.0.1"]

    given = timed_answer(open_targets(look_up=look_up), "http://slow.test/")
    answered.set()

    assert given.error is not None
    assert given.error.type == ErrorType.TIMEOUT


def test_the_time_of_a_call_begins_with_its_launch(targets: AnyTargets, target: Sink) -> None:
    """Not with the moment at which the last of many gets its turn."""
    target.behaviour = hang
    calls = [a_call(target.url, timeout=SHORT) for _ in range(300)]
    began = monotonic()

    answers = answers_to(targets, calls)

    assert timedelta(seconds=monotonic() - began) < SHORT + LATE
    assert {answer.error.type for answer in answers if answer.error} == {ErrorType.TIMEOUT}


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(answer(200, BLOCK * 100), id="ten megabytes"),
        pytest.param(endless(BLOCK), id="without an end"),
        pytest.param(
            raw(
                head(200, ("Transfer-Encoding", "chunked")), *[b"186a0\r\n" + BLOCK + b"\r\n"] * 99
            ),
            id="in chunks",
        ),
    ],
)
def test_a_body_beyond_the_bound_is_cut_off_and_the_answer_counts(
    open_targets: OpenTargets, target: Sink, behaviour: Behaviour
) -> None:
    target.behaviour = behaviour
    results = MemoryResults()

    given = answer_to(open_targets(results=results), a_call(target.url))

    assert (given.status_code, given.error) == (200, None)
    assert given.body == b"x" * BODY_KEPT_MAX
    assert given.truncated
    assert BODY_READ_MAX < given.body_bytes < BODY_READ_MAX + 500_000
    assert results.bodies == {given.stored: b"x" * BODY_READ_MAX}
    target.wait_for_closed(1)


def test_a_body_of_just_the_bound_is_read_to_its_end(targets: AnyTargets, target: Sink) -> None:
    target.behaviour = answer(200, b"x" * BODY_READ_MAX)

    answers = [answer_to(targets, a_call(target.url)) for _ in range(2)]

    assert [given.body_bytes for given in answers] == [BODY_READ_MAX] * 2
    assert [request.connection for request in target.requests] == [1, 1]


def test_many_endless_answers_side_by_side_take_little_memory(
    open_targets: OpenTargets, target: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that finds no room is cut to its beginning; the others are put away whole."""
    room = 10_000_000
    monkeypatch.setattr(Room.__init__, "__defaults__", (room,))
    results = Forgetful()
    targets = open_targets(results=results)
    target.behaviour = endless(BLOCK)
    answer_to(targets, a_call(target.url))
    tracemalloc.start()
    try:
        answers = answers_to(targets, [a_call(target.url) for _ in range(40)])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert all(given.truncated for given in answers)
    assert {given.stored is None for given in answers} == {True, False}
    # Both ends are in this process: what a target has not got rid of yet counts too. A body that is
    # put away is there twice, in pieces and whole.
    assert peak < 40 * 750_000 + 2 * room


def test_room_that_was_taken_is_given_back(open_targets: OpenTargets, target: Sink) -> None:
    """More bodies one after the other than there is room for at once, some of them cut off."""
    results = MemoryResults()
    targets = open_targets(results=results)
    behaviours = [answer(200, BLOCK * 10), endless(BLOCK), answer(200, BLOCK * 9, length=950_000)]
    for number in range(ROOM // BODY_READ_MAX + 10):
        target.behaviour = behaviours[number % 3]
        answer_to(targets, a_call(target.url))

    target.behaviour = answer(200, b"y" * BODY_READ_MAX)
    given = answer_to(targets, a_call(target.url))

    assert given.stored is not None
    assert results.bodies[given.stored] == b"y" * BODY_READ_MAX


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(answer(200, b"short", length=50), id="less than it says"),
        pytest.param(
            raw(head(200, ("Transfer-Encoding", "chunked")) + b"f\r\nshort"), id="half a chunk"
        ),
        pytest.param(
            raw(head(200, ("Transfer-Encoding", "chunked")) + b"5\r\nshort\r\n"), id="no last chunk"
        ),
    ],
)
def test_an_answer_that_breaks_off_is_none_though_its_beginning_is_kept(
    targets: AnyTargets, target: Sink, behaviour: Behaviour
) -> None:
    target.behaviour = behaviour

    assert answer_to(targets, a_call(target.url)) == Answer(
        status_code=200,
        body=b"short",
        body_bytes=5,
        error=CallError(type=ErrorType.CONNECTION, message="the answer broke off"),
    )


@pytest.mark.parametrize("behaviour", [drop, close, raw(b"HTTP/1.1 200 O"), raw(head(200)[:-2])])
def test_a_connection_that_breaks_before_the_answer_is_no_answer(
    targets: AnyTargets, target: Sink, behaviour: Behaviour
) -> None:
    target.behaviour = behaviour

    assert answer_to(targets, a_call(target.url)) == Answer(
        error=CallError(
            type=ErrorType.CONNECTION, message="the connection broke before an answer came"
        )
    )


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"good morning\r\n\r\n", id="another language"),
        pytest.param(b"HTTP/1.1 1 OK\r\n\r\n", id="a short status"),
        pytest.param(head(200, ("X", "y" * 20_000)), id="a long header"),
        pytest.param(head(200, *[(f"X-{n}", "y") for n in range(1000)]), id="many headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + BLOCK * 20, id="a header without an end"),
        pytest.param(head(200, ("Content-Length", "-5")) + b"ok", id="a negative length"),
        pytest.param(
            head(200, ("Content-Length", "2"), ("Content-Length", "3")) + b"okk", id="two lengths"
        ),
        pytest.param(
            head(200, ("Content-Length", "2"), ("Transfer-Encoding", "chunked")) + b"2\r\nok\r\n",
            id="a length and chunks",
        ),
        pytest.param(
            head(200, ("Transfer-Encoding", "chunked")) + b"zz\r\nok\r\n", id="a chunk of no size"
        ),
        pytest.param(head(200, ("Content-Length", "2")) + b"ok and more", id="more than it says"),
        pytest.param(head(100) * 16 + OK, id="a few informal answers too many"),
    ],
)
def test_what_is_not_http_is_no_answer(targets: AnyTargets, target: Sink, sent: bytes) -> None:
    target.behaviour = raw(sent, close=False)

    given = answer_to(targets, a_call(target.url))

    assert given == Answer(
        error=CallError(type=ErrorType.CONNECTION, message="the answer is not HTTP")
    )
    target.behaviour = answer()
    assert answer_to(targets, a_call(target.url)).status_code == 200


def test_informal_answers_do_not_pile_up(targets: AnyTargets, target: Sink) -> None:
    """A target sends them faster than they can be looked at."""
    target.behaviour = endless(head(103, ("Link", "</style.css>")) * 1000, with_head=False)
    began = monotonic()

    given = answer_to(targets, a_call(target.url))

    assert given.error is not None
    assert given.error.type == ErrorType.CONNECTION
    assert monotonic() - began < LATE.total_seconds()
    target.wait_for_closed(1)


def test_answers_that_nobody_asked_for_do_not_pile_up_either(
    open_targets: OpenTargets, target: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come over a connection that is kept, and would be for long."""
    monkeypatch.setattr(connections, "IDLE_MAX", 60)
    targets = open_targets()

    async def act(request: Request, peer: Peer) -> None:
        await answer()(request, peer)
        await endless(OK * 1000, with_head=False)(request, peer)

    target.behaviour = act
    assert answer_to(targets, a_call(target.url)).status_code == 200

    collect_until_closed(targets, target)

    target.behaviour = answer(201)
    assert answer_to(targets, a_call(target.url)).status_code == 201


@pytest.mark.parametrize(
    "fields",
    [
        {"headers": (("X", "one\r\nTransfer-Encoding: chunked"),)},
        {"headers": (("X\r\nY", "two"),)},
        {"headers": (("X", "nul\0"),)},
        {"method": "GET / HTTP/1.1\r\nX: y\r\n\r\n"},
    ],
)
def test_a_request_that_would_be_another_one_is_not_sent(
    targets: AnyTargets, target: Sink, fields: dict[str, str]
) -> None:
    given = answer_to(targets, a_call(target.url, **fields))

    assert given.error is not None
    assert given.error.type == ErrorType.INVALID_REQUEST
    assert target.requests == []


def test_a_port_where_nobody_listens_is_a_connection_error(targets: AnyTargets) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]

        given = answer_to(targets, a_call(f"http://127.0.0.1:{port}/?token=secret"))

    assert given.error == CallError(
        type=ErrorType.CONNECTION, message="no connection to the target: Connection refused"
    )
