"""The table: reads, and conditional writes of single items, many to a request."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

from botocore.exceptions import ClientError

from punctual.adapters.dynamodb.answers import take_plainly
from punctual.adapters.dynamodb.errors import (
    entry_is_busy,
    entry_is_refusal,
    is_refusal,
    refused_item,
    store_errors,
)
from punctual.adapters.dynamodb.items import Item
from punctual.adapters.dynamodb.writes import (
    Change,
    Delete,
    Insert,
    Statement,
    Update,
    Write,
    delete_statement,
    expressions,
    insert_statement,
    update_statement,
)
from punctual.core.errors import StoreUnavailable
from punctual.ports import Chance, Clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")

logger = logging.getLogger(__name__)

STATEMENTS_MAX = 25
"""Statements of one BatchExecuteStatement."""

ITEMS_WRITTEN_MAX = 25
"""Items of one BatchWriteItem."""

ITEMS_READ_MAX = 100
"""Items of one BatchGetItem."""

TRIES_MAX = 5
"""Requests for an entry that the table had no capacity for; what then remains is reported."""

FIRST_WAIT = timedelta(milliseconds=50)
"""Ceiling of the wait before the second request; it doubles, so all waits take under a second."""


class Fate(Enum):
    """What became of one write."""

    APPLIED = auto()
    REFUSED = auto()
    """By its condition; nothing was written."""
    UNKNOWN = auto()
    """There was no answer, or the table had no capacity: it may or may not have been written."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the table said to one write."""

    fate: Fate
    item: Item | None = None
    """When refused, the item in the way, or None when there is none.

    An insert leaves it out; so does everything that was applied, but for a single update, which
    brings the item as it is now.
    """


APPLIED = Answer(Fate.APPLIED)
UNKNOWN = Answer(Fate.UNKNOWN)


class Table:
    """One table, and the patience with which it is asked.

    Whole requests are retried by the client alone; here only the entries of a batch are, which the
    client does not look at.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        name: str,
        *,
        clock: Clock,
        chance: Chance,
        batches: bool = True,
    ) -> None:
        """Bind a table.

        Args:
            client: A low-level client.
            name: The table's name.
            clock: Waits between requests.
            chance: Spreads these waits.
            batches: Whether conditional writes share requests (BatchExecuteStatement); an engine
                that does not speak PartiQL gets them one at a time.
        """
        take_plainly(client)
        self._client = client
        self._name = name
        self._clock = clock
        self._chance = chance
        self._batches = batches

    def write(self, writes: Sequence[Write]) -> list[Answer]:
        """Carry out writes of different items; each succeeds or is refused alone.

        Never raises for load or network: what got no answer is `UNKNOWN`. Nothing follows a
        request that got none, so that an outage costs one request's patience and not one for each.
        """
        answers = [UNKNOWN] * len(writes)
        waiting = list(range(len(writes)))
        for wait in self._waits():
            self._clock.sleep(wait)
            busy: list[int] = []
            for chunk in chunks(waiting, STATEMENTS_MAX if self._batches else 1):
                try:
                    answered = self._write_chunk([writes[index] for index in chunk])
                except StoreUnavailable:
                    return answers
                for index, answer in zip(chunk, answered, strict=True):
                    if answer is None:
                        busy.append(index)
                    else:
                        answers[index] = answer
            if not busy:
                return answers
            waiting = busy
        return answers

    def _write_chunk(self, writes: Sequence[Write]) -> list[Answer | None]:
        """Send one request; an entry's answer is None when it may be asked for again."""
        if len(writes) == 1:
            return [self._write_one(writes[0])]
        with store_errors():
            response = self._client.batch_execute_statement(
                Statements=[self._statement(write) for write in writes]
            )
        return [self._answer_to(entry) for entry in response["Responses"]]

    def _statement(self, write: Write) -> Any:  # noqa: ANN401 - a request's part
        statement: Statement
        match write:
            case Insert(item=item):
                statement = insert_statement(self._name, tuple(item))
                return {"Statement": statement.text, "Parameters": list(item.values())}
            case Update(key=key, change=change, values=values):
                statement = update_statement(self._name, change)
            case Delete(key=key, when=when, values=values):
                statement = delete_statement(self._name, when)
            case _:
                assert_never(write)
        known = {**values, **key}
        return {
            "Statement": statement.text,
            "Parameters": [known[name] for name in statement.value_names],
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _answer_to(self, entry: Mapping[str, Any]) -> Answer | None:
        error = entry.get("Error")
        if error is None:
            return APPLIED
        code = error.get("Code", "")
        if entry_is_refusal(code):
            return Answer(Fate.REFUSED, error.get("Item") or None)
        if entry_is_busy(code):
            return None
        # A mistake of ours, or a missing permission: loud, yet it takes no other entry along.
        logger.error("entry of a batch was rejected: %s %s", code, error.get("Message"))
        return UNKNOWN

    def _write_one(self, write: Write) -> Answer:
        """Send one write as a request of its own."""
        match write:
            case Insert(item=item):
                return self.put(item, when="attribute_not_exists(#pk)")
            case Update(key=key, change=change, values=values):
                return self._update(key, change, values)
            case Delete(key=key, when=when, values=values):
                return self._delete(key, when, values)
            case _:
                assert_never(write)

    def put(self, item: Item, *, when: str, values: Mapping[str, Any] | None = None) -> Answer:
        """Replace an item where the condition holds, which an item that is missing may meet.

        Raises:
            StoreUnavailable: There was no answer; the item may or may not have been replaced.
        """
        said = expressions(Change(when=when))
        request: dict[str, Any] = {
            "TableName": self._name,
            "Item": item,
            "ConditionExpression": when,
            "ExpressionAttributeNames": said.names,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if said.value_names:
            request["ExpressionAttributeValues"] = said.values(values or {})
        try:
            with store_errors():
                self._client.put_item(**request)
        except ClientError as error:
            return _refusal(error)
        return APPLIED

    def _update(self, key: Item, change: Change, values: Mapping[str, Any]) -> Answer:
        said = expressions(change)
        try:
            with store_errors():
                response = self._client.update_item(
                    TableName=self._name,
                    Key=key,
                    # An update brings a missing item into being unless it is told not to.
                    ConditionExpression=f"attribute_exists(pk) AND ({change.when})",
                    UpdateExpression=said.update,
                    ExpressionAttributeNames=said.names,
                    ExpressionAttributeValues=said.values(values),
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except ClientError as error:
            return _refusal(error)
        return Answer(Fate.APPLIED, response["Attributes"])

    def _delete(self, key: Item, when: str, values: Mapping[str, Any]) -> Answer:
        said = expressions(Change(when=when))
        try:
            with store_errors():
                self._client.delete_item(
                    TableName=self._name,
                    Key=key,
                    ConditionExpression=f"attribute_not_exists(pk) OR ({when})",
                    ExpressionAttributeNames=said.names,
                    ExpressionAttributeValues=said.values(values),
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except ClientError as error:
            return _refusal(error)
        return APPLIED

    def upsert(self, key: Item, *, update: str, names: Mapping[str, str], values: Item) -> None:
        """Change an item without a condition, bringing it into being where it is missing.

        Raises:
            StoreUnavailable: There was no answer; repeating it is up to the caller.
        """
        with store_errors():
            self._client.update_item(
                TableName=self._name,
                Key=key,
                UpdateExpression=update,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )

    def put_all(self, items: Sequence[Item]) -> list[bool]:
        """Store items of different keys, whatever was there; for each whether it surely is."""
        return self._write_all([{"PutRequest": {"Item": item}} for item in items])

    def delete_all(self, addresses: Sequence[Item]) -> list[bool]:
        """Delete items of different keys; for each whether it surely is gone."""
        return self._write_all([{"DeleteRequest": {"Key": key}} for key in addresses])

    def _write_all(self, requests: Sequence[Any]) -> list[bool]:
        done = [False] * len(requests)
        waiting = list(range(len(requests)))
        for wait in self._waits():
            self._clock.sleep(wait)
            busy: list[int] = []
            for chunk in chunks(waiting, ITEMS_WRITTEN_MAX):
                try:
                    with store_errors():
                        response = self._client.batch_write_item(
                            RequestItems={self._name: [requests[index] for index in chunk]}
                        )
                except StoreUnavailable:
                    return done
                left = [
                    _key_of(request) for request in response["UnprocessedItems"].get(self._name, ())
                ]
                for index in chunk:
                    if _key_of(requests[index]) in left:
                        busy.append(index)
                    else:
                        done[index] = True
            if not busy:
                break
            waiting = busy
        return done

    def get(self, addresses: Sequence[Item], *, consistent: bool = True) -> list[Item]:
        """Return the items that exist, in no order; the addresses are distinct.

        Raises:
            StoreUnavailable: Not all could be read, so that a missing one proves nothing.
        """
        found: list[Item] = []
        for chunk in chunks(addresses, ITEMS_READ_MAX):
            waiting: Sequence[Any] = chunk
            for wait in self._waits():
                self._clock.sleep(wait)
                with store_errors():
                    response = self._client.batch_get_item(
                        RequestItems={self._name: {"Keys": waiting, "ConsistentRead": consistent}}
                    )
                found += response["Responses"].get(self._name, ())
                left = response["UnprocessedKeys"].get(self._name)
                waiting = left["Keys"] if left else ()
                if not waiting:
                    break
            if waiting:
                raise StoreUnavailable("the store is busy")
        return found

    def query(
        self,
        condition: str,
        *,
        values: Mapping[str, Any],
        index: str | None = None,
        limit: int | None = None,
        descending: bool = False,
    ) -> Iterator[list[Item]]:
        """Yield pages of the items that a key condition names; the base table is read consistently.

        Args:
            condition: A key condition, with `#name` for attributes and `:name` for values.
            values: By name with the colon.
            index: Name of an index, which lags behind the table by a moment.
            limit: Items of one page at most.
            descending: Whether the greatest sort key comes first.

        Raises:
            StoreUnavailable: The store is busy or out of reach.
        """
        request: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": expressions(Change(when=condition)).names,
            "ExpressionAttributeValues": values,
            "ScanIndexForward": not descending,
        }
        if index is None:
            request["ConsistentRead"] = True
        else:
            request["IndexName"] = index
        if limit is not None:
            request["Limit"] = limit
        while True:
            with store_errors():
                response = self._client.query(**request)
            yield list(response["Items"])
            if "LastEvaluatedKey" not in response:
                return
            request["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def _waits(self) -> Iterator[timedelta]:
        """Yield how long to wait before each request: not at all, then longer and longer."""
        yield timedelta(0)
        for exponent in range(TRIES_MAX - 1):
            yield FIRST_WAIT * (1 << exponent) * self._chance.draw()


def _refusal(error: ClientError) -> Answer:
    if not is_refusal(error):
        raise error
    return Answer(Fate.REFUSED, refused_item(error))


def _key_of(request: Mapping[str, Any]) -> tuple[str, str]:
    item = (
        request["PutRequest"]["Item"]
        if "PutRequest" in request
        else request["DeleteRequest"]["Key"]
    )
    return item["pk"]["S"], item["sk"]["S"]


def side_by_side(queries: Iterable[Iterator[list[Item]]]) -> Iterator[list[Item]]:
    """Yield the first page of every query in one list, then the second ones, until none is left.

    So none of them waits for a long one, and short ones are dealt with together.
    """
    open_queries = list(queries)
    while open_queries:
        pages = [(query, next(query, None)) for query in open_queries]
        open_queries = [query for query, page in pages if page is not None]
        if items := [item for _, page in pages if page for item in page]:
            yield items


def chunks(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of up to `size` things, in their order."""
    rest = iter(things)
    while chunk := list(islice(rest, size)):
        yield chunk
