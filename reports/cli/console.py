"""What the command line prints: progress, tables, JSON, and errors with a way out."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn as Remaining,
)
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from wideproof.derive.algebra.linear_recurrences import textbook
from wideproof.derive.emit.derivation import Derivation
from wideproof.derive.language.errors import DeriveError, NotClosed, ParameterError
from wideproof.derive.language.laws import declared
from wideproof.derive.language.shown import visible
from wideproof.derive.proof.claims import (
    Agreement,
    Counterexample,
    Definition,
    Equation,
    Hypothesis,
    Inequality,
    Limit,
    MatrixEquation,
    ProcessForm,
    Recurrence,
    Refutation,
    StillBounded,
    Vanishing,
)
from wideproof.numeric.runs.heartbeat import Heartbeat, beating
from wideproof.numeric.runs.signals import INTERRUPTED

if TYPE_CHECKING:
    from wideproof.numeric.linear_rnn.training_choice import MethodChoice

Item = TypeVar("Item")
LITERAL = {"soft_wrap": True, "markup": False, "emoji": False, "highlight": False}  # the user's words stay as they are


class Terminal(Console):
    """A console on which words of files, names and options are shown and never obeyed.

    A closed pipe is an error for `errors` to tell; rich would end the process with 1, refuted.
    """

    def on_broken_pipe(self) -> None:
        """Let the error that is being handled pass."""
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
        """What is printed, with every character that a terminal would obey as its escape."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else visible(segment.text, lines=True)
            yield segment if text is segment.text else Segment(text, segment.style, segment.control)


out, err = Terminal(**LITERAL), Terminal(stderr=True, **LITERAL)  # type: ignore[arg-type]
EXIT = {"holds": 0, "refuted": 1, "undecided": 3}
USAGE, DEFECT, UNREAD = 2, 70, 141
FIELD = 1000
"""Characters of each field of an error that a terminal is given."""
UsageError = cast(type[Exception], typer.BadParameter.__bases__[0])  # of click, or of the copy that typer carries
COLOR = {"holds": "green", "refuted": "red", "undecided": "yellow"}


def report_error(error: DeriveError) -> None:
    """Print where, what was expected and what came in one line, and what to do in another; a user's lines before."""
    for line in "\n".join(getattr(error, "__notes__", ())).splitlines():
        err.print(line)
    where, expected, got, hint = (visible(part, FIELD) for part in (error.where, error.expected, error.got, error.hint))
    err.print(Text.assemble(("error", "bold red"), f" in {where}: expected {expected}, got {got}"))
    err.print(f"  {hint}")


def fail(error: DeriveError) -> NoReturn:
    """Print an error; exit 2."""
    report_error(error)
    raise typer.Exit(USAGE)


@contextmanager
def errors() -> Iterator[None]:
    """Turn what a user can meet into a message: our errors, usage and files exit with 2, Ctrl-C with 130.

    SIGTERM exits with 143, and with 141, silently, an output that nobody reads any more.
    """
    try:
        yield
    except DeriveError as error:
        fail(error)
    except UsageError as error:
        fail(_usage(error))
    except KeyboardInterrupt as stop:
        code = getattr(stop, "code", INTERRUPTED)
        word = "interrupted" if code == INTERRUPTED else "terminated"
        told = getattr(stop, "told", "")
        err.print(f"{word}: {told}" if told else word)
        raise typer.Exit(code) from None
    except MemoryError as error:
        hint = "Take fewer of them: a smaller --width, fewer --trials or --lags; --method matrix-free draws no matrix."
        fail(ParameterError("memory", "numbers that fit", str(error) or "too many", hint))
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise typer.Exit(UNREAD) from None
        where, got = str(error.filename or "a file"), error.strerror or str(error)
        fail(ParameterError(where, "a path that can be used", got, "Name another, or see to its permissions."))


def _usage(error: Any) -> ParameterError:
    """A usage error of the command line library in our four fields."""
    context = error.ctx
    if context is None:
        return ParameterError("wideproof", "a valid command line", error.format_message(), "See wideproof --help.")
    usage, message = context.get_usage().split(": ", 1)[-1], error.format_message().rstrip(".")
    hint = f"{context.command_path} --help shows an example."
    got = (message[:1].lower() + message[1:]).removeprefix("got ")
    return ParameterError(context.command_path, " ".join(usage.split()), got, hint)


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
    """A table on standard output; the cell "holds", "refuted" or "undecided" is coloured.

    Where the terminal is too narrow for the longest word of each column, every row is printed as lines of its own.
    """
    if _least_width(heads, rows) > out.width:
        _listed(heads, rows, title)
        return
    made = Table(*heads, title=title or None, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    for row in rows:
        made.add_row(*(Text(cell, style=COLOR.get(cell, "")) for cell in row))
    out.print(made)


def _least_width(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """The columns that a table takes if no word is cut."""
    columns = zip(heads, *rows, strict=True)
    return sum(2 + max(len(word) for cell in column for word in cell.split() or [""]) for column in columns) + len(
        heads
    )


def _listed(heads: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    """The rows one below the other, each cell behind its head."""
    if title:
        out.print(title, markup=False)
    wide = max(map(len, heads))
    for row in rows:
        for head, cell in zip(heads, row, strict=True):
            out.print(Text.assemble(f"{' '.join(head.split()):<{wide}}  ", (cell, COLOR.get(cell, ""))))
        out.print()


def announced(choice: MethodChoice) -> None:
    """One line on standard error, before networks are trained: by which method, why, and at what cost."""
    err.print(f"training method: {choice}")


class Stages:
    """Named stages of long work on standard error: a bar each, without a terminal a line a minute; silent if told."""

    def __init__(self, quiet: bool = False) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            Remaining(),
        )
        self.progress = Progress(*columns, console=err, disable=quiet)
        self.bars = not quiet and sys.stderr.isatty()
        self.plain = not quiet and not self.bars
        self._open: list[str] = []

    def __enter__(self) -> Stages:
        if self.bars:
            self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bars:
            self.progress.stop()

    def _say(self, name: str, line: str) -> None:
        """The line of the innermost stage; one that holds others has nothing to add."""
        if self._open[-1:] == [name]:
            err.print(line)

    @contextmanager
    def __call__(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """One stage; the callback takes (done, total)."""
        name = visible(name)
        if self.plain:
            err.print(f"… {name}")
            with beating(Heartbeat(name), lambda line: self._say(name, line)) as heart:
                self._open.append(name)
                try:
                    yield heart
                finally:
                    self._open.pop()
            return
        task = self.progress.add_task(name, total=None)
        yield lambda done, total: self.progress.update(task, completed=done, total=total)
        self.progress.update(
            task, completed=self.progress.tasks[task].total or 1, total=self.progress.tasks[task].total or 1
        )


def told(items: Sequence[Item], progress: Callable[[int, int], None]) -> Iterator[Item]:
    """The items one after the other; the progress is told of each that is done."""
    for done, item in enumerate(items):
        progress(done, len(items))
        yield item
    progress(len(items), len(items))


def closed_lines(derivation: Derivation) -> list[str]:
    """The closed form as lines of text, the last one its LaTeX; or one line that says why there is none."""
    try:
        found = derivation.formula.closed()
    except NotClosed as error:
        return [f"no closed form: {error}"]
    equations = [f"{said_symbol(e.left)} = {e.right}" for e in (*found.equations, *found.laws)]
    return [*(equations or [str(found.expr)]), f"LaTeX: {found.latex()}"]


def said_symbol(left: Any) -> str:
    """A left side as text; the output's covariance by its name."""
    return "E[y y']" if type(left).__name__ == "Response" else str(left)


def describe(derivation: Derivation, with_proof: bool, closed: bool = False) -> None:
    """A derivation on the terminal: the formula as text and LaTeX, and, if asked for, closed forms and steps."""
    formula, proof = derivation.formula, derivation.proof
    out.print(Text.assemble((derivation.quantity, "bold"), f" of {derivation.program.name}"))
    if formula.expr is not None:
        out.print(f"  {plain(formula.expr)}")
    elif not closed:
        how = "an expectation over the limiting process" if formula.process is not None else "the recurrence"
        out.print(f"  no closed form; given by {how}")
    out.print("  LaTeX: " + formula.latex().replace("\n", "\n         "))
    if closed:
        out.print("  in closed form:")
        for line in closed_lines(derivation):
            out.print("    " + line.replace("\n", "\n           "))
    out.print(f"  proof: {len(proof.steps)} steps, replayed and audited")
    if with_proof:
        for index, step in enumerate(proof.steps):
            because = f" from {', '.join(map(str, step.premises))}" if step.premises else ""
            out.print(f"{index:>5} {step.rule}{because} [{step.status}; {step.source}]")
            for line in said(step.claim):
                out.print(f"        {line}")


def plain(expr: Any) -> str:
    """An expression as text, divided differences written out; sums stay as they are."""
    return str(textbook(expr))


def said(claim: Any) -> list[str]:
    """A claim as lines of text, whatever its kind."""
    match claim:
        case Definition():
            return declared(claim.program)
        case Vanishing():
            return ["0 = " + "; ".join(f"E[{u} {v}] ({relation})" for u, v, relation, _ in claim.members)]
        case Hypothesis():
            return ["; ".join(f"{c}: {kind}" for c, _, kind in claim.maps)]
        case Limit():
            return [f"{claim.left} -> {claim.right} {claim.mode}"]
        case Recurrence() | ProcessForm():
            own = [] if claim.left == claim.right else [f"{claim.left} = {claim.right}"]
            return own + [f"where {e.left} = {e.right}" for e in claim.equations]
        case Equation() | MatrixEquation():
            return [f"{claim.left} = {claim.right}"]
        case Inequality() | Counterexample() | Agreement() | StillBounded() | Refutation():
            return _compared(claim)
        case _:
            return [f"{field.name}: {getattr(claim, field.name)}" for field in fields(claim)]


def _compared(claim: Any) -> list[str]:
    """A claim that compares two expressions, with where it does."""
    question = getattr(claim, "question", None)
    left, right = (claim.left, claim.right) if question is None else (question.formula, claim.derived)
    below = isinstance(claim, Refutation) and claim.relation == "<="
    signs = {
        Inequality: "<=",
        Counterexample: ">",
        Agreement: "=",
        StillBounded: ">=",
        Refutation: "<" if below else "!=",
    }
    lines = [f"{left} {signs[type(claim)]} {right}"]
    if isinstance(claim, Inequality | StillBounded):
        return [*lines, f"where {', '.join(map(str, claim.domain))}"]
    if isinstance(claim, Counterexample | Refutation):
        return [*lines, f"at {', '.join(f'{x} = {value}' for x, value in claim.point)}"]
    return lines
