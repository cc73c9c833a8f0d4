"""How DynamoDB weighs an item, by the rule it publishes, for what emulators do not count."""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

UNIT_BYTES = 1024
"""What one write unit pays for."""


def item_bytes(item: Mapping[str, Any]) -> int:
    """Return an item's size: the lengths of its names and of its values."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(str(content).encode())
        case "N":
            # A byte for every two significant digits, one for the exponent, one for the sign.
            significant = len(str(content).lstrip("-").replace(".", "").strip("0"))
            return (significant + 1) // 2 + 1 + str(content).startswith("-")
        case "B":
            return len(content if isinstance(content, bytes) else b64decode(content))
        case "BOOL" | "NULL":
            return 1
        case "L":
            return 3 + sum(1 + _value_bytes(element) for element in content)
        case "M":
            return 3 + len(content) + item_bytes(content)
        case _:
            raise AssertionError(f"no rule for {kind}")
