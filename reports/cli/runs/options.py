"""The options of a run: where it is kept and who draws; and how its verdict is told."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from wideproof.derive.language.errors import ParameterError
from wideproof.reports.cli.console import out, print_json, verdict

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


def tell(found: Any, seed: int, as_json: bool, every: bool) -> None:
    """Print the checks of a run and its verdict, or one JSON document."""
    if as_json:
        checks = [asdict(check) for check in found.checks]
        print_json({"verdict": found.verdict, "method": found.method, "seed": seed, "checks": checks})
    elif found.checks:
        verdict(found, every)
    else:
        out.print(found.method)
