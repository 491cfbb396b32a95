"""The options of a run: where it is kept and who draws."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wideproof.derive.language.errors import ParameterError

Out = Annotated[
    Path | None,
    typer.Option("-o", "--out", metavar="DIR", help="Keep the run here; the same command, or runs resume, goes on."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the run of another experiment in DIR.")]
Jobs = Annotated[
    int | None, typer.Option(min=1, help="Processes of this machine that draw; the bits are the same for any number.")
]
Scheduler = Annotated[
    str | None,
    typer.Option(metavar="tcp://…|local", help="A Dask scheduler whose workers draw; local starts --jobs of them."),
]
ShardText = Annotated[
    str | None,
    typer.Option("--shard", metavar="K/M", help="Draw the K-th of M parts alone; wideproof runs merge joins them."),
]


def shard_named(text: str | None) -> tuple[int, int] | None:
    """The part that 2/8 names.  Errors: ParameterError."""
    if text is None:
        return None
    k, slash, m = text.partition("/")
    if not (slash and k.isdecimal() and m.isdecimal() and len(text) < 20):
        raise ParameterError("--shard", "two numbers K/M", repr(text), "--shard 2/8 is the second of eight parts.")
    return int(k), int(m)
