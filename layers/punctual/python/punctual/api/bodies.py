"""The JSON of a request: read so that there is one meaning, or refused."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from punctual.core.errors import MalformedRequest, TooLarge, UnsupportedMediaType

BODY_MAX = 256 * 1024
"""Bytes of a request's body."""

DEPTH_MAX = 100
"""Arrays and objects within each other; far more would exhaust the stack of whoever reads them."""

_JSON_TYPE = re.compile(
    r'application/json\s*(;\s*charset\s*=\s*"?utf-?8"?\s*)?', flags=re.IGNORECASE
)
_PATCH_TYPE = re.compile(
    r'application/(merge-patch\+)?json\s*(;\s*charset\s*=\s*"?utf-?8"?\s*)?', flags=re.IGNORECASE
)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_json(event: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Return the value of the request's body, or None when it has no body at all.

    What is legal JSON for some readers and not for others is refused: a name given twice, numbers
    that are none, half of a surrogate pair, nesting without end.

    Args:
        event: An HTTP API event.

    Raises:
        TooLarge: The body is over the limit.
        UnsupportedMediaType: It says of itself that it is something else.
        MalformedRequest: It cannot be read.
    """
    text = _text(event)
    if not text:
        return None
    content_type = event.get("headers", {}).get("content-type")
    is_patch = event["requestContext"]["http"]["method"] == "PATCH"
    wanted = _PATCH_TYPE if is_patch else _JSON_TYPE
    if content_type is not None and not wanted.fullmatch(content_type.strip()):
        raise UnsupportedMediaType(
            f"the body is said to be {content_type[:100]!r}: send application/json"
        )
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise MalformedRequest("the body is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise MalformedRequest(
            f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except ValueError as error:  # such as an integer of more digits than Python reads
        raise MalformedRequest(f"the body is not JSON: {str(error)[:200]}") from None
    _refuse_depths(text, value)
    _refuse_surrogates(text, value)
    return value


def _text(event: Mapping[str, Any]) -> str:
    body: str = event.get("body") or ""
    # No byte takes more than a character, so a text that is too long is so in bytes as well.
    most = BODY_MAX if not event.get("isBase64Encoded") else BODY_MAX * 4 // 3 + 4
    if len(body) > most:
        raise _too_large()
    try:
        content = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
        if len(content) > BODY_MAX:
            raise _too_large()
        return content.decode()
    except (UnicodeError, binascii.Error):
        raise MalformedRequest("the body is not text in UTF-8") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise MalformedRequest(f"the body names {double[:100]!r} twice in one object")
    return value


def _number(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise MalformedRequest(f"the body holds a number out of range: {text[:40]}")
    return number


def _constant(text: str) -> float:
    raise MalformedRequest(f"the body is not JSON: {text} is no number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_number, parse_constant=_constant
)


def _refuse_depths(text: str, value: object) -> None:
    if text.count("[") + text.count("{") <= DEPTH_MAX or not isinstance(value, dict | list):
        return
    level: list[dict[str, Any] | list[Any]] = [value]
    for _ in range(DEPTH_MAX):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise MalformedRequest(f"the body is nested more than {DEPTH_MAX} deep")


def _refuse_surrogates(text: str, value: object) -> None:
    if not _SURROGATE.search(text):
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise MalformedRequest("the body holds half of a surrogate pair") from None


def _too_large() -> TooLarge:
    return TooLarge(f"the body is over {BODY_MAX} bytes")
