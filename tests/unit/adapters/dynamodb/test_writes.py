"""One description of a write, in both of DynamoDB's languages."""

from punctual.adapters.dynamodb.writes import (
    Change,
    delete_statement,
    expressions,
    insert_statement,
    update_statement,
)

CHANGE = Change(
    when="attribute_not_exists(#gone) AND #state = :old AND attribute_exists(#here)",
    sets=("#state = :new", "#count = #count + :one", "#list[9] = :old"),
    removes=("#a", "#list[0]"),
)


def test_a_change_in_the_language_of_single_requests() -> None:
    said = expressions(CHANGE)

    assert said.update == (
        "SET #state = :new, #count = #count + :one, #list[9] = :old REMOVE #a, #list[0]"
    )
    assert said.names == {
        f"#{name}": name for name in ("gone", "state", "here", "count", "list", "a")
    }


def test_only_the_values_that_are_named_go_along() -> None:
    """DynamoDB refuses a request with a value that its expressions do not name."""
    given = {":old": {"S": "o"}, ":new": {"S": "n"}, ":one": {"N": "1"}, ":more": {"S": "x"}}

    assert set(expressions(CHANGE).values(given)) == {":old", ":new", ":one"}


def test_a_change_in_partiql_names_its_parameters_in_order() -> None:
    statement = update_statement("jobs", CHANGE)

    assert statement.text == (
        'UPDATE "jobs" SET "state" = ? SET "count" = "count" + ? SET "list"[9] = ?'
        ' REMOVE "a" REMOVE "list"[0] WHERE "pk" = ? AND "sk" = ?'
        ' AND ("gone" IS MISSING AND "state" = ? AND "here" IS NOT MISSING)'
    )
    assert statement.value_names == (":new", ":one", ":old", "pk", "sk", ":old")


def test_a_conditional_delete_in_partiql() -> None:
    statement = delete_statement("jobs", "#state = :old")

    assert statement.text == 'DELETE FROM "jobs" WHERE "pk" = ? AND "sk" = ? AND ("state" = ?)'
    assert statement.value_names == ("pk", "sk", ":old")


def test_an_insert_in_partiql_takes_every_value_as_a_parameter() -> None:
    statement = insert_statement("jobs", ("pk", "sk", "state"))

    assert statement.text == "INSERT INTO \"jobs\" VALUE {'pk': ?, 'sk': ?, 'state': ?}"
    assert statement.value_names == ("pk", "sk", "state")
