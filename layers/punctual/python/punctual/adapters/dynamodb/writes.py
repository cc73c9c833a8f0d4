"""Conditional writes of one item, said once and put into both of DynamoDB's languages.

A write is described with `#name` for an attribute and `:name` for a value. From that come the
expressions of a single request, and the PartiQL statement of which 25 share a request.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

_TOKEN = re.compile(r"[#:][a-z_]+")
_EXISTS = re.compile(r"attribute_(not_)?exists\(#([a-z_]+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a conditional update asks and does, its values left open."""

    when: str
    """A condition expression. An item that does not exist never meets it."""
    sets: tuple[str, ...] = ()
    """Such as `#attempt = #attempt + :one`."""
    removes: tuple[str, ...] = ()
    """Such as `#retry_at`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """Bring an item into being where there is none."""

    item: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Change an item that exists and meets the condition."""

    key: Mapping[str, Any]
    change: Change
    values: Mapping[str, Any] = field(default_factory=dict)
    """By name with the colon; more than the change names is fine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete an item that meets the condition; one that is gone already counts as deleted."""

    key: Mapping[str, Any]
    when: str
    values: Mapping[str, Any] = field(default_factory=dict)


Write = Insert | Update | Delete


@dataclass(frozen=True, slots=True)
class Expressions:
    """What a single request says beside the condition, which it takes as it is."""

    update: str
    names: Mapping[str, str]
    value_names: frozenset[str]

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the given values that the expressions name."""
        return {name: given[name] for name in self.value_names}


@dataclass(frozen=True, slots=True)
class Statement:
    """A write as PartiQL says it."""

    text: str
    value_names: tuple[str, ...]
    """One for each `?`, in order, after those of the primary key."""


@lru_cache
def expressions(change: Change) -> Expressions:
    """Say a change in the language of a single request."""
    update = ""
    if change.sets:
        update += "SET " + ", ".join(change.sets)
    if change.removes:
        update += " REMOVE " + ", ".join(change.removes)
    tokens = set(_TOKEN.findall(f"{change.when} {update}"))
    return Expressions(
        update=update.strip(),
        names={token: token[1:] for token in tokens if token.startswith("#")},
        value_names=frozenset(token for token in tokens if token.startswith(":")),
    )


@lru_cache
def update_statement(table: str, change: Change) -> Statement:
    """Say a change in PartiQL. Its parameters: the sets', then pk and sk, then the condition's."""
    names: list[str] = []
    clauses = [f"SET {_partiql(clause, names)}" for clause in change.sets]
    clauses += [f"REMOVE {_partiql(clause, names)}" for clause in change.removes]
    names += ["pk", "sk"]
    condition = _partiql(change.when, names)
    text = f'UPDATE "{table}" {" ".join(clauses)} WHERE "pk" = ? AND "sk" = ? AND ({condition})'
    return Statement(text, tuple(names))


@lru_cache
def delete_statement(table: str, when: str) -> Statement:
    """Say a conditional delete in PartiQL. Its parameters: pk and sk, then the condition's."""
    names = ["pk", "sk"]
    condition = _partiql(when, names)
    # No value is ever in the text, and no name but those of our own code.
    text = f'DELETE FROM "{table}" WHERE "pk" = ? AND "sk" = ? AND ({condition})'  # noqa: S608
    return Statement(text, tuple(names))


@lru_cache
def insert_statement(table: str, attributes: tuple[str, ...]) -> Statement:
    """Say an insert in PartiQL. Its parameters: the attributes' values, in their order."""
    value = ", ".join(f"'{name}': ?" for name in attributes)
    return Statement(f'INSERT INTO "{table}" VALUE {{{value}}}', attributes)


def _partiql(expression: str, names: list[str]) -> str:
    """Put an expression into PartiQL, and append the values it names to `names`, in order."""

    def missing(match: re.Match[str]) -> str:
        return f"#{match[2]} IS {'' if match[1] else 'NOT '}MISSING"

    def token(match: re.Match[str]) -> str:
        if match[0].startswith("#"):
            return f'"{match[0][1:]}"'
        names.append(match[0])
        return "?"

    return _TOKEN.sub(token, _EXISTS.sub(missing, expression))
