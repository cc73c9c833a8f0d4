"""Every sample event is used, and reads as what AWS sends."""

import hashlib

import pytest

from tests.support.functions_on_moto import EVENTS, an_event

USED = {
    "scheduler/tick.json",
    "sqs/dead_letters.json",
    "sqs/run_batch.json",
    "sqs/run_batch_with_poison.json",
    "sqs/shard_batch.json",
}
"""Those of `api/` have a test of their own."""


def test_every_event_drives_a_test() -> None:
    files = {str(path.relative_to(EVENTS)) for path in EVENTS.rglob("*.json")}

    assert {file for file in files if not file.startswith("api/")} == USED


def test_the_readme_names_every_event() -> None:
    text = (EVENTS / "README.md").read_text(encoding="utf-8")

    assert {name for name in USED if f"`{name}`" not in text} == set()


@pytest.mark.parametrize("name", sorted(USED - {"scheduler/tick.json"}))
def test_a_batch_is_whole(name: str) -> None:
    records = an_event(name)["Records"]

    for record in records:
        assert record["md5OfBody"] == hashlib.md5(record["body"].encode()).hexdigest()
    for unique in ("messageId", "receiptHandle"):
        assert len({record[unique] for record in records}) == len(records)
