"""A crontab read line by line: what each would be as a job, or why it can be none."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from punctual.core.cron import walk
from punctual.core.errors import InvalidSchedule
from punctual.core.zones import zone

ZONE = "CRON_TZ"
"""The setting that names the zone of the lines below it."""

NOT_CARRIED = {
    "RANDOM_DELAY": "a random delay is not carried over: give the jobs a spread_seconds",
}
"""Settings that change when lines run, and that a job cannot have from here."""

_SETTING = re.compile(
    r"""\s*(?P<quote>["']?)(?P<name>[A-Za-z_]\w*)(?P=quote)\s*=\s*(?P<value>.*)"""
)
_FIELD = r"[^\s]+"
_MACRO = re.compile(rf"\s*(?P<cron>@{_FIELD})\s*(?P<rest>.*)")
_FIVE = re.compile(rf"\s*(?P<cron>{_FIELD}(?:[ \t]+{_FIELD}){{4}})\s*(?P<rest>.*)")
_USER = re.compile(rf"(?P<user>{_FIELD})\s*(?P<rest>.*)")
_TEMPLATE = re.compile(r"\{\{(run_id|job_id|scheduled_at|attempt)\}\}")
_PERCENT = re.compile(r"\\%|%")


@dataclass(frozen=True, slots=True, kw_only=True)
class CrontabJob:
    """One line that can be carried over."""

    line: int
    """Number of the line, from 1."""
    cron: str
    timezone: str
    user: str | None
    """Who it ran as, in a system's crontab."""
    command: str
    stdin: str | None
    """What stood behind the first `%`; each further one was the end of a line."""
    environment: Mapping[str, str]
    """Settings above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedLine:
    """One line that cannot be carried over."""

    line: int
    reason: str


def read_crontab(
    text: str, *, timezone: str, has_users: bool
) -> Iterator[CrontabJob | RefusedLine]:
    """Yield what the lines of a crontab are, in their order; comments and settings are nothing.

    Args:
        text: The crontab.
        timezone: Zone of lines that have no `CRON_TZ` above them.
        has_users: Whether a sixth field says who runs the command, as in `/etc/crontab`.
    """
    environment: dict[str, str] = {}
    for line, written in enumerate(text.splitlines(), start=1):
        if not written.strip() or written.lstrip().startswith("#"):
            continue
        setting = _SETTING.fullmatch(written)
        if setting is not None:
            name = setting["name"]
            if name in NOT_CARRIED:
                yield RefusedLine(line=line, reason=NOT_CARRIED[name])
            else:
                environment[name] = _unquoted(setting["value"])
            continue
        try:
            yield _job(
                line,
                written,
                timezone=environment.get(ZONE) or timezone,
                environment={name: text for name, text in environment.items() if name != ZONE},
                has_users=has_users,
            )
        except InvalidSchedule as error:
            yield RefusedLine(line=line, reason=str(error))


def is_zone(name: str) -> bool:
    """Say whether there is a zone of this name."""
    try:
        zone(name)
    except InvalidSchedule:
        return False
    return True


def _job(
    line: int, written: str, *, timezone: str, environment: Mapping[str, str], has_users: bool
) -> CrontabJob:
    match = (_MACRO if written.lstrip().startswith("@") else _FIVE).fullmatch(written)
    if match is None:
        raise InvalidSchedule("has fewer than five fields and a command", field="cron")
    cron, rest, user = match["cron"], match["rest"], None
    if cron.lower() == "@reboot":
        raise InvalidSchedule(
            "@reboot names no time: let what starts the machine start the command", field="cron"
        )
    walk(cron, timezone)
    if has_users and (owner := _USER.fullmatch(rest)):
        user, rest = owner["user"], owner["rest"]
    command, stdin = _split_input(rest)
    if not command.strip():
        raise InvalidSchedule("has no command", field="cron")
    if template := _TEMPLATE.search(rest):
        raise InvalidSchedule(f"holds {template[0]}, which each call would fill in", field="cron")
    return CrontabJob(
        line=line,
        cron=cron,
        timezone=timezone,
        user=user,
        command=command,
        stdin=stdin,
        environment=environment,
    )


def _split_input(text: str) -> tuple[str, str | None]:
    r"""Return command and standard input: split at the first `%`; `\%` is a percent sign."""
    parts = [""]
    place = 0
    for percent in _PERCENT.finditer(text):
        parts[-1] += text[place : percent.start()]
        place = percent.end()
        if percent[0] == "%":
            parts.append("")
        else:
            parts[-1] += "%"
    parts[-1] += text[place:]
    command, *lines = parts
    return command, "\n".join(lines) + "\n" if lines else None


def _unquoted(value: str) -> str:
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


class JobIds:
    """Names jobs after their commands, so that importing a crontab again changes them in place."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._given: Counter[str] = Counter()

    def of(self, job: CrontabJob) -> str:
        """Return the id of a job: `cron-backup-1f2e3d4c`, and `…-2` for the same command again."""
        word = re.split(r"[\s;|&]", job.command.strip(), maxsplit=1)[0].rpartition("/")[2]
        words = re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")[:24]
        ran = "\0".join((job.user or "", job.command, job.stdin or ""))
        digest = hashlib.sha256(ran.encode()).hexdigest()[:8]
        name = "-".join(part for part in (self._prefix, words, digest) if part)
        self._given[name] += 1
        return name if self._given[name] == 1 else f"{name}-{self._given[name]}"
