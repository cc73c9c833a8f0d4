"""The run queue: what is sent is delivered once its instant has come, and again once hidden.

A queue may double, reorder, delay and lose messages; one that is not disturbed does none of that.
"""

from datetime import timedelta

from punctual.core.identity import RunKey
from punctual.core.jobs import Lane
from punctual.ports import Outgoing
from tests.support.builders import SECOND, a_run_key
from tests.support.clock import NINE
from tests.support.engines import Engine


def outgoing(key: RunKey, *, after: timedelta = timedelta(0)) -> Outgoing:
    return Outgoing(key=key, lane=Lane.FAST, at=NINE + after)


def test_messages_name_their_runs_and_come_once(engine: Engine) -> None:
    keys = [a_run_key(NINE + n * SECOND) for n in range(25)]
    keys += [
        a_run_key(name="m.0a1b2c3d"),
        a_run_key(incarnation=12),
        a_run_key(tenant="Bänk & Söhne"),
        a_run_key(tenant='a#b"c\\'),
        a_run_key(tenant="\x01\x7f"),
    ]

    assert engine.queue.send([outgoing(key) for key in keys]) == [True] * len(keys)

    received = engine.receive()
    assert {message.key for message in received} == set(keys)
    assert len(received) == len(keys) == len({message.receipt for message in received})
    assert engine.receive() == []
    assert engine.queue.send([]) == []


def test_two_messages_about_one_run_are_two(engine: Engine) -> None:
    key = a_run_key()
    engine.queue.send([outgoing(key)])
    engine.queue.send([outgoing(key)])

    assert [message.key for message in engine.receive()] == [key, key]


def test_a_message_is_not_delivered_before_its_instant(engine: Engine) -> None:
    now, soon, late = (a_run_key(name=name) for name in ("now", "soon", "late"))
    engine.queue.send(
        [outgoing(late, after=900 * SECOND), outgoing(soon, after=3 * SECOND), outgoing(now)]
    )

    assert [message.key for message in engine.receive()] == [now]
    engine.pass_time(SECOND)
    assert engine.receive() == []
    engine.pass_time(2 * SECOND)
    assert [message.key for message in engine.receive()] == [soon]


def test_a_hidden_message_is_delivered_again_at_its_instant(engine: Engine) -> None:
    engine.queue.send([outgoing(a_run_key(name=name)) for name in ("early", "late", "gone")])
    received = {message.key.name: message for message in engine.receive()}

    engine.queue.hide(
        [(received["early"], NINE + 2 * SECOND), (received["late"], NINE + 3600 * SECOND)]
    )
    engine.queue.acknowledge([received["gone"]])

    assert engine.receive() == []
    engine.pass_time(2 * SECOND)
    (again,) = engine.receive()
    assert again.key.name == "early"

    engine.queue.hide([(again, engine.clock.now())])
    assert [message.key.name for message in engine.receive()] == ["early"]
    engine.queue.hide([])
    engine.queue.acknowledge([])
