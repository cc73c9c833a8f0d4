"""Secrets on one machine: a file that maps the ARN of each to its value."""

import json
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock

from punctual.core.secrets import SecretMissing, SecretUnavailable

NAME = "secrets.json"
"""The file's name in the home folder."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_Version = tuple[int, int, int]
"""Which file it is, when it was written, and how long it is."""


class FileSecrets:
    """Fills `Secrets`; every method may be called from any thread."""

    def __init__(self, home: Path, *, warn: Callable[[str], object]) -> None:
        """Take the folder where the file is, and who is told when others may read it."""
        self._path = home / NAME
        self._warn = warn
        self._lock = Lock()
        self._version: _Version | None = None
        self._values: Mapping[str, str] = {}

    def read(self, arn: str) -> str:
        """See `Secrets.read`. The file is read anew once it was changed."""
        with self._lock:
            try:
                self._refresh()
            except FileNotFoundError:
                raise SecretMissing(f"there is no {self._path} that it could be in") from None
            except OSError as error:
                raise SecretUnavailable(f"{NAME} cannot be read: {error.strerror}") from None
            value = self._values.get(arn)
        if value is None:
            raise SecretMissing(f"it is not in {self._path}")
        return value

    def _refresh(self) -> None:
        found = self._path.stat()
        version = (found.st_ino, found.st_mtime_ns, found.st_size)
        if version == self._version:
            return
        self._values = _values(self._path.read_bytes())
        self._version = version
        if found.st_mode & _OTHERS:
            self._warn(f"others may read {self._path}: chmod 600 {self._path}")


def _values(text: bytes) -> Mapping[str, str]:
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise SecretUnavailable(f"{NAME} is not a JSON object of ARNs and values")
    # A value that is an object is one with a header of its own: as text, as elsewhere.
    return {arn: v if isinstance(v, str) else json.dumps(v) for arn, v in values.items()}
