"""`punctual serve`: the host on this machine."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from punctual.cli.session import BadInput
from punctual.runtime.settings import HostSettings, SettingsError


def serve(
    *,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Default: $PUNCTUAL_PORT, else 8400. 0: any."),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(help="Folder of the data. Default: $PUNCTUAL_HOME, else .punctual."),
    ] = None,
) -> None:
    """Run the scheduler on this machine until Ctrl-C or SIGTERM."""
    try:
        settings = HostSettings.from_env()
    except SettingsError as error:
        raise BadInput(str(error)) from None
    if port is not None:
        settings = replace(settings, port=port)
    if home is not None:
        settings = replace(settings, home=home)
    # The whole scheduler: slow to import, and only needed here.
    from punctual.local import host  # noqa: PLC0415

    try:
        code = host.serve(settings)
    except host.CannotServe as error:
        raise BadInput(str(error)) from None
    raise typer.Exit(code)
