"""Places in a target's texts that every attempt fills: `{{run_id}}` and the like."""

import json
import re
from collections.abc import Callable
from datetime import datetime

from punctual.core.instants import format_instant

_TEMPLATE = re.compile(r"\{\{(run_id|job_id|scheduled_at|attempt)\}\}")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def values_of(*, run_id: str, job_id: str, scheduled_at: datetime, attempt: int) -> dict[str, str]:
    """Return what the places are filled with."""
    return {
        "run_id": run_id,
        "job_id": job_id,
        "scheduled_at": format_instant(scheduled_at),
        "attempt": str(attempt),
    }


def fill(text: str, values: dict[str, str], *, as_written: Callable[[str], str] = str) -> str:
    """Put the values in, each in the writing of its surroundings, in one pass: none is read again.

    In JSON text two braces in a row occur within strings only, so the text may be filled as it is.
    """
    if "{{" not in text:  # as in most texts, which need not be searched
        return text
    return _TEMPLATE.sub(lambda match: as_written(values[match[1]]), text)


def percent_encoded(value: str) -> str:
    """Write a value as part of a URL."""
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in value.encode())


def json_written(value: str) -> str:
    """Write a value as part of a string in JSON."""
    return json.dumps(value, ensure_ascii=False)[1:-1]
