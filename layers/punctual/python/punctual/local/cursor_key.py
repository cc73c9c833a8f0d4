"""The secret that seals the cursors of this machine's API; it lies beside the data."""

from pathlib import Path

from punctual.ports import Chance

NAME = "cursor.key"
LENGTH_MIN = 32


def cursor_key(home: Path, *, chance: Chance) -> bytes:
    """Return the key of the data in `home`, made at the first start.

    One that was not written whole is made anew: the cursors it sealed end, and nothing else.

    Args:
        home: Where the data is; held by this process alone.
        chance: Makes the key.
    """
    path = home / NAME
    if path.exists() and len(key := path.read_bytes()) >= LENGTH_MIN:
        return key
    key = (chance.token() + chance.token()).encode()
    assert len(key) >= LENGTH_MIN, "two tokens make a key"
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_bytes(key)
    new.replace(path)
    return key
