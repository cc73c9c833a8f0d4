"""What is made of partial failures, throttling and silence; each answer is read entry by entry."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from botocore.stub import Stubber
from mypy_boto3_dynamodb import DynamoDBClient

from punctual.adapters.dynamodb.items import address, number, text
from punctual.adapters.dynamodb.table import TRIES_MAX, Answer, Fate, Table, side_by_side
from punctual.adapters.dynamodb.writes import Change, Delete, Insert, Update
from punctual.core.errors import StoreUnavailable
from tests.support.clock import FakeChance, FakeClock

REFUSED = {"Error": {"Code": "ConditionalCheckFailed", "Message": "no"}}
BUSY = {"Error": {"Code": "ThrottlingError", "Message": "later"}}
DONE: dict[str, Any] = {}


class Patience(FakeClock):
    """A clock that remembers how it was slept by."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[timedelta] = []

    def sleep(self, duration: timedelta) -> None:
        self.slept.append(duration)


@pytest.fixture
def patience() -> Patience:
    return Patience()


@pytest.fixture
def client() -> DynamoDBClient:
    return boto3.client(
        "dynamodb",
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture
def stubber(client: DynamoDBClient) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def table(client: DynamoDBClient, patience: Patience) -> Table:
    return Table(client, "jobs", clock=patience, chance=FakeChance(draw=0.999))


def key(name: int) -> dict[str, Any]:
    return address("p", str(name))


def inserts(count: int) -> list[Insert]:
    return [Insert(item=key(name)) for name in range(count)]


def fates(answers: list[Answer]) -> list[Fate]:
    return [answer.fate for answer in answers]


def answer_batch(stubber: Stubber, *entries: dict[str, Any]) -> None:
    stubber.add_response("batch_execute_statement", {"Responses": list(entries)})


def test_twenty_five_writes_share_a_request(table: Table, stubber: Stubber) -> None:
    answer_batch(stubber, *[DONE] * 25)
    answer_batch(stubber, *[DONE] * 5)

    assert fates(table.write(inserts(30))) == [Fate.APPLIED] * 30


def test_each_entry_is_applied_or_refused_alone_and_brings_the_item_in_its_way(
    table: Table, stubber: Stubber
) -> None:
    standing = {**key(1), "state": text("running")}
    answer_batch(
        stubber,
        DONE,
        {"Error": {"Code": "ConditionalCheckFailed", "Item": standing}},
        {"Error": {"Code": "DuplicateItem", "Message": "it exists"}},
        REFUSED,
    )

    answers = table.write(inserts(4))

    assert fates(answers) == [Fate.APPLIED, Fate.REFUSED, Fate.REFUSED, Fate.REFUSED]
    assert [answer.item for answer in answers] == [None, standing, None, None]


def test_only_the_throttled_entries_are_sent_again_after_growing_waits(
    table: Table, stubber: Stubber, patience: Patience
) -> None:
    answer_batch(stubber, DONE, BUSY, BUSY, REFUSED)
    answer_batch(stubber, BUSY, DONE)
    stubber.add_response("put_item", {})

    answers = table.write(inserts(4))

    assert fates(answers) == [Fate.APPLIED, Fate.APPLIED, Fate.APPLIED, Fate.REFUSED]
    assert patience.slept[0] == timedelta(0)
    assert timedelta(0) < patience.slept[1] < patience.slept[2]


def test_what_stays_throttled_is_reported_and_takes_nothing_along(
    table: Table, stubber: Stubber, patience: Patience
) -> None:
    for _ in range(TRIES_MAX):
        answer_batch(stubber, BUSY, BUSY)

    assert fates(table.write(inserts(2))) == [Fate.UNKNOWN, Fate.UNKNOWN]
    assert sum(patience.slept, timedelta()) < timedelta(seconds=1)


def test_a_request_without_an_answer_leaves_its_writes_and_the_later_ones_unknown(
    table: Table, stubber: Stubber
) -> None:
    """They may have happened, so they are neither applied nor refused.

    And an outage is not waited for again with every 25 writes.
    """
    answer_batch(stubber, *[DONE] * 25)
    stubber.add_client_error("batch_execute_statement", "InternalServerError")

    answers = table.write(inserts(75))

    assert fates(answers) == [Fate.APPLIED] * 25 + [Fate.UNKNOWN] * 50


def test_a_mistake_in_one_entry_is_loud_and_takes_no_other_along(
    table: Table, stubber: Stubber, caplog: pytest.LogCaptureFixture
) -> None:
    answer_batch(stubber, DONE, {"Error": {"Code": "ValidationError", "Message": "too large"}})

    assert fates(table.write(inserts(2))) == [Fate.APPLIED, Fate.UNKNOWN]
    assert "too large" in caplog.text


def test_a_mistake_in_the_whole_request_raises(table: Table, stubber: Stubber) -> None:
    stubber.add_client_error("batch_execute_statement", "AccessDeniedException")

    with pytest.raises(ClientError):
        table.write(inserts(2))


def test_an_engine_without_partiql_is_asked_one_by_one(
    client: DynamoDBClient, stubber: Stubber, patience: Patience
) -> None:
    table = Table(client, "jobs", clock=patience, chance=FakeChance(), batches=False)
    change = Change(when="#n = :n", sets=("#n = :m",))
    now = {**key(1), "n": number(2)}
    stubber.add_response("put_item", {})
    stubber.add_response("update_item", {"Attributes": now})
    stubber.add_client_error("delete_item", "ConditionalCheckFailedException")

    answers = table.write(
        [
            Insert(item=key(0)),
            Update(key=key(1), change=change, values={":n": number(1), ":m": number(2)}),
            Delete(key=key(2), when="#n = :n", values={":n": number(1)}),
        ]
    )

    assert answers == [Answer(Fate.APPLIED), Answer(Fate.APPLIED, now), Answer(Fate.REFUSED)]


def test_items_that_were_left_over_are_stored_with_the_next_request(
    table: Table, stubber: Stubber
) -> None:
    left = {"jobs": [{"PutRequest": {"Item": key(1)}}]}
    stubber.add_response("batch_write_item", {"UnprocessedItems": left})
    stubber.add_response("batch_write_item", {"UnprocessedItems": {}})

    assert table.put_all([key(0), key(1), key(2)]) == [True] * 3


def test_items_that_stay_left_over_are_not_said_to_be_stored(
    table: Table, stubber: Stubber
) -> None:
    left = {"jobs": [{"PutRequest": {"Item": key(1)}}]}
    for _ in range(TRIES_MAX):
        stubber.add_response("batch_write_item", {"UnprocessedItems": left})

    assert table.put_all([key(0), key(1)]) == [True, False]


def test_a_storing_request_without_an_answer_stored_nothing_for_sure(
    table: Table, stubber: Stubber
) -> None:
    stubber.add_client_error("batch_write_item", "ThrottlingException")

    assert table.delete_all([key(0), key(1)]) == [False, False]


def test_a_read_is_whole_or_fails(table: Table, stubber: Stubber) -> None:
    """A row that was only not read must not be taken for one that is gone."""
    unread = {"jobs": {"Keys": [key(1)]}}
    one = {"Responses": {"jobs": [key(0)]}, "UnprocessedKeys": unread}
    stubber.add_response("batch_get_item", one)
    rest = {"Responses": {"jobs": [key(1)]}, "UnprocessedKeys": {}}
    stubber.add_response("batch_get_item", rest)
    assert table.get([key(0), key(1)]) == [key(0), key(1)]

    for _ in range(TRIES_MAX):
        stubber.add_response("batch_get_item", one)
    with pytest.raises(StoreUnavailable):
        table.get([key(0), key(1)])


def test_a_network_fault_is_the_store_being_out_of_reach(
    table: Table, client: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise ConnectTimeoutError(endpoint_url="https://dynamodb.example")

    monkeypatch.setattr(client, "batch_get_item", fail)
    monkeypatch.setattr(client, "batch_execute_statement", fail)

    with pytest.raises(StoreUnavailable):
        table.get([key(0)])
    assert fates(table.write(inserts(2))) == [Fate.UNKNOWN] * 2


def test_queries_take_turns_page_by_page() -> None:
    def pages(*names: list[int]) -> Iterator[list[Any]]:
        return iter([[key(name) for name in page] for page in names])

    rounds = list(side_by_side([pages([1], [2], [3]), pages([]), pages([4, 5])]))

    assert [[item["sk"]["S"] for item in items] for items in rounds] == [
        ["1", "4", "5"],
        ["2"],
        ["3"],
    ]
