"""What one invocation of a command works with, and how it may end."""

from dataclasses import dataclass

from punctual.cli.client import Client
from punctual.cli.output import Output
from punctual.ports import Clock

DONE = 0
"""Exit code: it is done, and what was watched succeeded."""

NO = 1
"""Exit code: the API said no or gave no answer, or what was watched did not succeed."""

BAD = 2
"""Exit code: the command or its input cannot be used; nothing was done."""


class BadInput(Exception):
    """What the user gave cannot be used; the message says so in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Handed to every command as `ctx.obj`."""

    client: Client
    output: Output
    clock: Clock
    region: str | None = None
    """AWS region, where the user named one."""
    profile: str | None = None
    """AWS profile, where the user named one."""
