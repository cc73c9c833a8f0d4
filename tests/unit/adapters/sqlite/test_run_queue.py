"""What only this queue promises: order, a listener, messages that stand or fall with their work."""

from datetime import timedelta

import pytest

from punctual.adapters.sqlite.engine import SqliteEngine
from punctual.core.jobs import Lane
from punctual.ports import Message, Outgoing
from tests.support.builders import MINUTE, SECOND, a_run, a_run_key
from tests.support.clock import NINE


def outgoing(name: str, *, after: timedelta = timedelta(0), lane: Lane = Lane.FAST) -> Outgoing:
    return Outgoing(key=a_run_key(name=name), lane=lane, at=NINE + after)


def received(engine: SqliteEngine, *, limit: int = 100) -> list[str]:
    return [message.key.name for message in engine.queue.receive(now=NINE, limit=limit)]


@pytest.fixture
def calls(engine: SqliteEngine) -> list[str]:
    """A list that grows by one whenever the listener is called."""
    calls: list[str] = []
    engine.queue.listen(lambda: calls.append("called"))
    return calls


def test_the_earliest_come_first_and_both_lanes_are_one(engine: SqliteEngine) -> None:
    engine.queue.send(
        [
            outgoing("third", after=-SECOND),
            outgoing("first", after=-MINUTE, lane=Lane.SLOW),
            outgoing("second", after=-2 * SECOND),
            outgoing("fourth"),
            outgoing("later", after=SECOND),
        ]
    )

    assert received(engine, limit=3) == ["first", "second", "third"]
    assert received(engine, limit=0) == []
    assert engine.queue.next_at() == NINE
    assert received(engine) == ["fourth"]
    assert engine.queue.next_at() == NINE + SECOND


def test_the_listener_hears_of_what_comes_before_all_that_wait(
    engine: SqliteEngine, calls: list[str]
) -> None:
    engine.queue.send([outgoing("minute", after=MINUTE)])
    assert len(calls) == 1
    engine.queue.send([outgoing("later", after=2 * MINUTE), outgoing("same", after=MINUTE)])
    assert len(calls) == 1

    engine.queue.send([outgoing("second", after=SECOND), outgoing("now")])
    assert len(calls) == 2
    (message,) = engine.queue.receive(now=NINE, limit=9)
    engine.queue.hide([(message, NINE + MINUTE)])
    assert len(calls) == 2
    (message,) = engine.queue.receive(now=NINE + SECOND, limit=1)
    engine.queue.hide([(message, NINE)])
    assert len(calls) == 3


def test_a_message_can_be_received_once_its_transaction_is_committed(
    engine: SqliteEngine, calls: list[str]
) -> None:
    """An executor must not meet a run whose row another thread has not committed yet."""

    def work() -> None:
        engine.queue.send([outgoing("now")])
        engine.runs.insert([a_run()])
        assert received(engine) == []
        assert calls == []

    engine.transact(work)

    assert calls == ["called"]
    assert received(engine) == ["now"]


def test_what_is_taken_back_was_neither_sent_nor_hidden_nor_acknowledged(
    engine: SqliteEngine, calls: list[str]
) -> None:
    engine.queue.send([outgoing("hidden"), outgoing("gone")])
    hidden, gone = engine.queue.receive(now=NINE, limit=2)

    def fails() -> None:
        engine.queue.send([outgoing("sent")])
        engine.queue.hide([(hidden, NINE)])
        engine.queue.acknowledge([gone])
        raise LookupError

    with pytest.raises(LookupError):
        engine.transact(fails)

    assert received(engine) == []
    assert len(calls) == 1
    engine.queue.hide([(hidden, NINE), (gone, NINE)])
    assert received(engine) == ["hidden", "gone"], "both were still in hand"


def test_many_messages_go_round(engine: SqliteEngine) -> None:
    """More than one statement takes, hidden and received again until all are acknowledged."""
    names = {f"m.{number:04}" for number in range(1_300)}
    engine.queue.send([outgoing(name) for name in names])
    messages = engine.queue.receive(now=NINE, limit=2_000)
    engine.queue.hide([(message, NINE) for message in messages])

    again: list[Message] = engine.queue.receive(now=NINE, limit=2_000)
    assert {message.key.name for message in again} == names
    engine.queue.acknowledge(again)

    assert received(engine) == []
    ((left,),) = engine._database.select(
        "SELECT json_group_array(json_array(n)) FROM (SELECT count(*) AS n FROM messages)"
    )
    assert left == 0
