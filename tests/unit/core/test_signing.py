"""Calls are signed as Standard Webhooks has it, so that any of its libraries checks them."""

import base64
from typing import Any

import pytest

from punctual.core.signing import UnusableKey, signature, signing_keys, timestamp_of
from tests.support.clock import NINE

PUBLISHED_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PUBLISHED: dict[str, Any] = {
    "webhook_id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "timestamp": "1614265330",
    "body": b'{"test": 2432232314}',
}
PUBLISHED_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
"""The example that the specification and its libraries' tests give."""


def a_secret(key: bytes) -> str:
    return f"whsec_{base64.b64encode(key).decode()}"


def test_a_signature_is_the_one_that_the_specification_publishes() -> None:
    assert signature(signing_keys(PUBLISHED_SECRET), **PUBLISHED) == PUBLISHED_SIGNATURE


def test_while_a_secret_is_replaced_every_call_is_signed_with_both() -> None:
    other = a_secret(b"k" * 32)

    both = signature(signing_keys(f"{other} {PUBLISHED_SECRET}\n"), **PUBLISHED)

    assert both.split() == [signature(signing_keys(other), **PUBLISHED), PUBLISHED_SIGNATURE]


@pytest.mark.parametrize("part", sorted(PUBLISHED))
def test_nothing_that_is_signed_can_be_changed(part: str) -> None:
    changed = {"webhook_id": "msg_other", "timestamp": "1614265331", "body": b'{"test": 1}'}

    given = signature(signing_keys(PUBLISHED_SECRET), **PUBLISHED | {part: changed[part]})

    assert given != PUBLISHED_SIGNATURE


@pytest.mark.parametrize("size", [24, 64])
def test_keys_of_the_specified_sizes_are_taken(size: int) -> None:
    assert signing_keys(a_secret(b"k" * size)) == (b"k" * size,)


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("", id="nothing"),
        pytest.param("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", id="no prefix"),
        pytest.param("whsec_MfKQ9r8GKYqrTwjU*D8ILPZIo2LaLaSw", id="no base64"),
        pytest.param(a_secret(b"k" * 23), id="a short key"),
        pytest.param(a_secret(b"k" * 65), id="a long key"),
        pytest.param(" ".join([PUBLISHED_SECRET] * 5), id="too many keys"),
        pytest.param(f"{PUBLISHED_SECRET},{PUBLISHED_SECRET}", id="parted by a comma"),
    ],
)
def test_what_is_no_signing_secret_is_refused_and_not_told(secret: str) -> None:
    with pytest.raises(UnusableKey) as refused:
        signing_keys(secret)

    assert "MfKQ" not in str(refused.value)


def test_a_timestamp_counts_whole_seconds() -> None:
    assert timestamp_of(NINE) == "1796115600"
