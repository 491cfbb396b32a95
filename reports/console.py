"""What the command line prints: progress, tables, JSON, and errors with a way out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining
from rich.table import Table

from derive.derivation import Derivation
from derive.errors import DeriveError

out, err = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)
EXIT = {"holds": 0, "refuted": 1, "undecided": 3}
USAGE = 2
COLOR = {"holds": "green", "refuted": "red", "undecided": "yellow"}


def fail(error: DeriveError) -> NoReturn:
    """Print what was expected, what came and what to do; exit 2."""
    err.print(f"[bold red]error[/] in {error.where}", highlight=False)
    for name in ("expected", "got"):
        err.print(f"  {name:<9}", getattr(error, name), highlight=False, markup=False)
    err.print("  hint     ", error.hint, highlight=False, markup=False)
    raise typer.Exit(USAGE)


@contextmanager
def errors() -> Iterator[None]:
    """Turn the errors a user can meet into a message and exit code 2."""
    try:
        yield
    except DeriveError as error:
        fail(error)


def print_json(data: object) -> None:
    """One JSON document on standard output; numbers that are not finite become null."""
    typer.echo(json.dumps(_plain(data), indent=2, allow_nan=False))


def _plain(data: Any) -> Any:
    if isinstance(data, np.ndarray | np.generic):
        return _plain(data.tolist())
    if isinstance(data, Mapping):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(item) for item in data]
    if isinstance(data, float) and not np.isfinite(data):
        return None
    return data


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """A table on standard output; the cell "holds", "refuted" or "undecided" is coloured."""
    made = Table(*heads, title=title or None, title_justify="left")
    for row in rows:
        made.add_row(*(f"[{COLOR[cell]}]{cell}[/]" if cell in COLOR else cell for cell in row))
    out.print(made)


class Stages:
    """Named stages of long work, each with its own bar on standard error; silent when told to be."""

    def __init__(self, quiet: bool = False) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            Remaining(),
        )
        self.progress = Progress(*columns, console=err, disable=quiet)
        self.plain = not quiet and not sys.stderr.isatty()

    def __enter__(self) -> Stages:
        if not self.plain:
            self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    @contextmanager
    def __call__(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """One stage; the callback takes (done, total)."""
        if self.plain:
            err.print(f"… {name}", highlight=False)
            yield lambda done, total: None
            return
        task = self.progress.add_task(name, total=None)
        yield lambda done, total: self.progress.update(task, completed=done, total=total)
        self.progress.update(
            task, completed=self.progress.tasks[task].total or 1, total=self.progress.tasks[task].total or 1
        )


def describe(derivation: Derivation, with_proof: bool) -> None:
    """A derivation on the terminal: the formula as text and LaTeX, and, if asked for, its steps."""
    formula = derivation.formula
    out.print(f"[bold]{derivation.quantity}[/] of {derivation.program.name}", highlight=False)
    if formula.expr is not None:
        out.print(f"  {formula.expr.doit()}", highlight=False, markup=False)
    else:
        out.print("  no closed form; given by the recurrence", highlight=False)
    out.print(f"  LaTeX: {formula.latex()}", highlight=False, markup=False)
    out.print(f"  proof: {len(derivation.proof.steps)} steps, replayed and audited", highlight=False)
    if with_proof:
        for index, step in enumerate(derivation.proof.steps):
            because = f" from {', '.join(map(str, step.premises))}" if step.premises else ""
            out.print(
                f"  {index:>3} {step.rule}{because} [{step.status}; {step.source}]", highlight=False, markup=False
            )
            out.print(f"      {_said(step.claim)}", highlight=False, markup=False)


def _said(claim: Any) -> str:
    """A claim as one line of text."""
    if hasattr(claim, "right"):
        return f"{claim.left} = {claim.right}"
    if hasattr(claim, "members"):
        return "0 = " + "; ".join(f"E[{u} {v}] ({relation})" for u, v, relation, _ in claim.members)
    return "; ".join(f"{c}: {kind}" for c, _, kind in claim.maps)
