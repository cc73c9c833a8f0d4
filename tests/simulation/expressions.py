"""DynamoDB's two languages, as far as Punctual speaks them; anything else fails loudly.

A text is parsed once into functions of an item and of the values that the request brings along.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

Value = Mapping[str, Any]
"""A typed value, such as `{"N": "1"}`."""

Item = Mapping[str, Value]


class Unsupported(Exception):
    """The simulated table does not know this construct; teach it, or do not use it."""


class Invalid(Exception):
    """What the real table answers with a ValidationException."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a request brings along beside the text."""

    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    """By name with the colon; in PartiQL by the number of the `?`, from `?0`."""


Operand = Callable[[Item, Given], Value | None]
"""Gives the value, or None when the attribute is missing."""

Condition = Callable[[Item, Given], bool]


@dataclass(frozen=True, slots=True)
class Path:
    """A top-level attribute, or one element of a list in it."""

    token: str
    """`#name`, or in PartiQL the attribute itself."""
    index: int | None = None

    def name(self, given: Given) -> str:
        """Return the attribute's name."""
        return given.names[self.token] if self.token.startswith("#") else self.token

    def __call__(self, item: Item, given: Given) -> Value | None:
        """Return the value in the item."""
        value = item.get(self.name(given))
        if self.index is None or value is None:
            return value
        elements: Sequence[Value] = value.get("L", ())
        return elements[self.index] if self.index < len(elements) else None


@dataclass(frozen=True, slots=True)
class Update:
    """What an update does, its operands not yet evaluated."""

    sets: tuple[tuple[Path, Operand], ...]
    removes: tuple[Path, ...]

    def __call__(self, item: Item, given: Given) -> dict[str, Value]:
        """Return the item as the update leaves it; every operand sees the item as it was."""
        new = dict(item)
        for path, operand in self.sets:
            value = operand(item, given)
            if value is None:
                raise Invalid("an operand of the update names an attribute that is not there")
            name = path.name(given)
            if path.index is None:
                new[name] = value
            else:
                elements = list(_list_of(new, name))
                elements[path.index : path.index + 1] = [value]
                new[name] = {"L": elements}
        # The last element first, so that the numbers of the others still hold.
        for path in sorted(self.removes, key=lambda path: -(path.index or 0)):
            name = path.name(given)
            if path.index is None:
                new.pop(name, None)
            elif name in new:
                elements = list(_list_of(new, name))
                del elements[path.index : path.index + 1]
                new[name] = {"L": elements}
        return new


def _list_of(item: Item, name: str) -> Sequence[Value]:
    value = item.get(name)
    if value is None or "L" not in value:
        raise Invalid("the document path provided in the update expression is invalid")
    elements: Sequence[Value] = value["L"]
    return elements


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text of the first language, and which names and values it uses."""

    condition: Condition | None
    update: Update | None
    names: frozenset[str]
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Statement:
    """A text of PartiQL: one write of one item."""

    kind: str
    """`insert`, `update` or `delete`."""
    attributes: tuple[str, ...] = ()
    """Of an insert, in the order of the parameters."""
    key: Operand | None = None
    sort: Operand | None = None
    condition: Condition | None = None
    update: Update | None = None
    parameters: int = 0


_TOKENS = re.compile(
    r"""\s*(?:
        (?P<name>[#:][A-Za-z_][A-Za-z0-9_]*) | (?P<quoted>"[^"]+") | (?P<text>'[^']+')
        | (?P<word>[A-Za-z_][A-Za-z0-9_]*) | (?P<number>\d+)
        | (?P<sign><>|<=|>=|[=<>()\[\],+\-?{}:])
    )""",
    re.VERBOSE,
)

_BARE_NAMES = frozenset({"pk", "sk"})
"""The only attributes that may go without an alias: what else is reserved is hard to remember."""


@lru_cache(maxsize=4096)
def parse_condition(text: str) -> Parsed:
    """Parse a condition, filter or key condition."""
    parser = _Parser(text)
    condition = parser.condition()
    parser.end()
    return Parsed(condition, None, frozenset(parser.names), frozenset(parser.values))


@lru_cache(maxsize=4096)
def parse_update(text: str) -> Parsed:
    """Parse an update expression."""
    parser = _Parser(text)
    update = parser.update(clauses_repeat=False)
    parser.end()
    return Parsed(None, update, frozenset(parser.names), frozenset(parser.values))


@lru_cache(maxsize=4096)
def parse_statement(text: str) -> Statement:
    """Parse a PartiQL statement that writes one item."""
    parser = _Parser(text, partiql=True)
    statement = parser.statement()
    parser.end()
    return statement


class _Parser:
    """Recursive descent; the two languages differ in how they write names, values and absence."""

    def __init__(self, text: str, *, partiql: bool = False) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0
        self._partiql = partiql
        self.names: set[str] = set()
        self.values: set[str] = set()
        self._parameters = 0

    # Tokens

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _accept(self, *tokens: str) -> bool:
        """Take these tokens if they come next; words in any case."""
        if all(self._peek(n).upper() == token for n, token in enumerate(tokens)):
            self._at += len(tokens)
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise self._error(f"{token} expected")

    def _error(self, problem: str) -> Unsupported:
        rest = " ".join(self._tokens[self._at : self._at + 6])
        return Unsupported(f"{problem} at {rest!r} in {self._text!r}")

    def end(self) -> None:
        """Refuse what follows a complete text."""
        if self._peek():
            raise self._error("nothing more expected")

    # Conditions

    def condition(self) -> Condition:
        """OR of ANDs."""
        parts = [self._conjunction()]
        while self._accept("OR"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else _any_of(parts)

    def _conjunction(self) -> Condition:
        parts = [self._negation()]
        while self._accept("AND"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else _all_of(parts)

    def _negation(self) -> Condition:
        if self._accept("NOT"):
            inner = self._negation()
            return lambda item, given: not inner(item, given)
        if self._accept("("):
            inner = self.condition()
            self._expect(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        if not self._partiql:
            for word, wanted in (("ATTRIBUTE_EXISTS", True), ("ATTRIBUTE_NOT_EXISTS", False)):
                if self._accept(word, "("):
                    path = self._path()
                    self._expect(")")
                    return _exists(path, wanted=wanted)
        if self._accept("BEGINS_WITH", "("):
            left = self._operand()
            self._expect(",")
            right = self._operand()
            self._expect(")")
            return _begins_with(left, right)
        left = self._operand()
        if self._partiql and self._accept("IS"):
            absent = not self._accept("NOT")
            self._expect("MISSING")
            return lambda item, given: (left(item, given) is None) is absent
        if self._accept("BETWEEN"):
            low = self._operand()
            self._expect("AND")
            high = self._operand()
            return _all_of([_compare("<=", low, left), _compare("<=", left, high)])
        if self._accept("IN"):
            closing = "]" if self._partiql else ")"
            self._expect("[" if self._partiql else "(")
            choices = [_compare("=", left, self._operand())]
            while self._accept(","):
                choices.append(_compare("=", left, self._operand()))
            self._expect(closing)
            return _any_of(choices)
        sign = self._next()
        if sign not in {"=", "<", "<=", ">", ">="}:
            self._at -= 1
            raise self._error("a comparison expected")
        return _compare(sign, left, self._operand())

    # Operands

    def _path(self) -> Path:
        token = self._next()
        if token.startswith("#") and not self._partiql:
            self.names.add(token)
        elif token.startswith('"') and self._partiql:
            token = token[1:-1]
        elif token not in _BARE_NAMES or self._partiql:
            self._at -= 1
            raise self._error("an attribute expected")
        if self._accept("["):
            index = int(self._next())
            self._expect("]")
            return Path(token, index)
        return Path(token)

    def _operand(self) -> Operand:
        token = self._peek()
        if token == "?" and self._partiql:
            self._at += 1
            name = f"?{self._parameters}"
            self._parameters += 1
            return _value(name)
        if token.startswith(":") and not self._partiql:
            self._at += 1
            self.values.add(token)
            return _value(token)
        if self._accept("LIST_APPEND", "("):
            first, second = self._two()
            return _list_append(first, second)
        if not self._partiql and self._accept("IF_NOT_EXISTS", "("):
            first, second = self._two()
            return lambda item, given: first(item, given) or second(item, given)
        return self._path()

    def _two(self) -> tuple[Operand, Operand]:
        first = self._operand()
        self._expect(",")
        second = self._operand()
        self._expect(")")
        return first, second

    # Updates

    def update(self, *, clauses_repeat: bool) -> Update:
        """SET and REMOVE clauses; PartiQL lets them repeat."""
        sets: list[tuple[Path, Operand]] = []
        removes: list[Path] = []
        seen: set[str] = set()
        while self._peek().upper() in {"SET", "REMOVE"}:
            word = self._next().upper()
            if word in seen and not clauses_repeat:
                raise self._error(f"{word} once only")
            seen.add(word)
            while True:
                if word == "SET":
                    path = self._path()
                    self._expect("=")
                    sets.append((path, self._sum()))
                else:
                    removes.append(self._path())
                if not self._accept(","):
                    break
        if not seen:
            raise self._error("SET or REMOVE expected")
        paths = [path for path, _ in sets] + removes
        if len(set(paths)) < len(paths):
            raise Invalid("two document paths overlap with each other")
        return Update(tuple(sets), tuple(removes))

    def _sum(self) -> Operand:
        left = self._operand()
        if self._peek() not in {"+", "-"}:
            return left
        sign = 1 if self._next() == "+" else -1
        right = self._operand()

        def total(item: Item, given: Given) -> Value:
            return number(_number(left(item, given)) + sign * _number(right(item, given)))

        return total

    # PartiQL

    def statement(self) -> Statement:
        """INSERT, UPDATE or DELETE of one item."""
        if self._accept("INSERT", "INTO"):
            return self._insert()
        if self._accept("UPDATE"):
            kind, _ = "update", self._next()
            update = self.update(clauses_repeat=True)
        elif self._accept("DELETE", "FROM"):
            kind, _ = "delete", self._next()
            update = None
        else:
            raise self._error("INSERT, UPDATE or DELETE expected")
        self._expect("WHERE")
        key = self._key("pk")
        self._expect("AND")
        sort = self._key("sk")
        condition = self.condition() if self._accept("AND") else None
        return Statement(
            kind,
            key=key,
            sort=sort,
            condition=condition,
            update=update,
            parameters=self._parameters,
        )

    def _key(self, name: str) -> Operand:
        path = self._path()
        if path.token != name:
            raise self._error(f"{name} expected")
        self._expect("=")
        return self._operand()

    def _insert(self) -> Statement:
        self._next()
        self._expect("VALUE")
        self._expect("{")
        attributes: list[str] = []
        while True:
            name = self._next()
            if not name.startswith("'"):
                raise self._error("an attribute's name in quotes expected")
            attributes.append(name[1:-1])
            self._expect(":")
            self._expect("?")
            if not self._accept(","):
                break
        self._expect("}")
        if len(set(attributes)) < len(attributes):
            raise Invalid("an attribute is given twice")
        return Statement("insert", attributes=tuple(attributes), parameters=len(attributes))


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text.rstrip()):
        match = _TOKENS.match(text, at)
        if match is None:
            raise Unsupported(f"cannot read {text[at : at + 20]!r} in {text!r}")
        yield match.group().strip()
        at = match.end()


def _any_of(parts: Sequence[Condition]) -> Condition:
    return lambda item, given: any(part(item, given) for part in parts)


def _value(name: str) -> Operand:
    return lambda _, given: given.values[name]


def _all_of(parts: Sequence[Condition]) -> Condition:
    return lambda item, given: all(part(item, given) for part in parts)


def _exists(path: Path, *, wanted: bool) -> Condition:
    return lambda item, given: (path(item, given) is not None) is wanted


def _begins_with(left: Operand, right: Operand) -> Condition:
    def holds(item: Item, given: Given) -> bool:
        value, prefix = left(item, given), right(item, given)
        if value is None or prefix is None or "S" not in value:
            return False
        return bool(value["S"].startswith(prefix["S"]))

    return holds


def _compare(sign: str, left: Operand, right: Operand) -> Condition:
    def holds(item: Item, given: Given) -> bool:
        a, b = left(item, given), right(item, given)
        if a is None or b is None:
            return False
        ((kind, first),) = a.items()
        ((other, second),) = b.items()
        if kind != other:
            return False
        if sign == "=":
            return bool(_number(a) == _number(b) if kind == "N" else first == second)
        if kind == "N":
            first, second = _number(a), _number(b)
        elif kind != "S":
            raise Unsupported(f"values of type {kind} are not ordered here")
        if sign == "<":
            return bool(first < second)
        if sign == "<=":
            return bool(first <= second)
        if sign == ">":
            return bool(first > second)
        return bool(first >= second)

    return holds


def _list_append(first: Operand, second: Operand) -> Operand:
    def appended(item: Item, given: Given) -> Value | None:
        a, b = first(item, given), second(item, given)
        if a is None or b is None:
            return None
        return {"L": [*a["L"], *b["L"]]}

    return appended


def _number(value: Value | None) -> int | Decimal:
    if value is None or "N" not in value:
        raise Invalid("an operand in the update expression has an incorrect data type")
    text: str = value["N"]
    return Decimal(text) if "." in text or "E" in text or "e" in text else int(text)


def number(value: int | Decimal) -> Value:
    """Return a number as a typed value."""
    return {"N": str(value)}
