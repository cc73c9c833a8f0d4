"""Secrets on one machine lie in a file that may change at any time."""

import json
from pathlib import Path

import pytest

from punctual.adapters.secrets.file import FileSecrets
from punctual.core.secrets import SecretMissing, SecretUnavailable
from tests.support.keeping import BEARER, SIGNING


def written(home: Path, content: object, *, mode: int = 0o600) -> None:
    """Write the file as an editor does: anew, in the place of the old one."""
    text = content if isinstance(content, str) else json.dumps(content)
    (home / "new").write_text(text)
    (home / "new").chmod(mode)
    (home / "new").replace(home / "secrets.json")


def warnings_of(home: Path) -> tuple[FileSecrets, list[str]]:
    told: list[str] = []
    return FileSecrets(home, warn=told.append), told


def test_a_value_is_that_of_the_file_as_it_is_now(tmp_path: Path) -> None:
    secrets, _ = warnings_of(tmp_path)
    written(tmp_path, {BEARER: "old"})
    assert secrets.read(BEARER) == "old"

    written(tmp_path, {BEARER: "new", SIGNING: "whsec_x"})

    assert secrets.read(BEARER) == "new"
    assert secrets.read(SIGNING) == "whsec_x"


def test_a_value_that_is_an_object_is_read_like_its_text(tmp_path: Path) -> None:
    secrets, _ = warnings_of(tmp_path)
    written(tmp_path, {BEARER: {"header": "X-Api-Key", "value": "x"}})

    assert json.loads(secrets.read(BEARER)) == {"header": "X-Api-Key", "value": "x"}


def test_a_missing_secret_is_told_with_where_it_should_be(tmp_path: Path) -> None:
    secrets, _ = warnings_of(tmp_path)
    with pytest.raises(SecretMissing, match=r"there is no .*secrets\.json"):
        secrets.read(BEARER)

    written(tmp_path, {SIGNING: "s3cret"})
    with pytest.raises(SecretMissing, match=r"it is not in .*secrets\.json"):
        secrets.read(BEARER)


@pytest.mark.parametrize("content", ["{", "[]", '"s3cret"', ""])
def test_a_file_that_cannot_be_read_is_a_fault_that_passes(tmp_path: Path, content: str) -> None:
    """It may be half edited."""
    secrets, _ = warnings_of(tmp_path)
    written(tmp_path, content)
    with pytest.raises(SecretUnavailable, match="is not a JSON object") as failed:
        secrets.read(BEARER)

    written(tmp_path, {BEARER: "x"})

    assert secrets.read(BEARER) == "x"
    assert "s3cret" not in str(failed.value)


def test_a_file_that_others_may_read_is_warned_of_once(tmp_path: Path) -> None:
    secrets, told = warnings_of(tmp_path)
    written(tmp_path, {BEARER: "x"}, mode=0o640)
    for _ in range(3):
        assert secrets.read(BEARER) == "x"

    path = tmp_path / "secrets.json"
    assert told == [f"others may read {path}: chmod 600 {path}"]

    written(tmp_path, {BEARER: "y"})
    assert secrets.read(BEARER) == "y"
    assert len(told) == 1
