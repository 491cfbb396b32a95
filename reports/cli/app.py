"""The command `wideproof`: the verbs of the Python interface, with the same names."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from wideproof.numeric.runs.signals import heed_termination
from wideproof.reports.cli.bench import bench_command
from wideproof.reports.cli.certify import certify_command
from wideproof.reports.cli.check import WithFormula, check_command
from wideproof.reports.cli.console import DEFECT, UNREAD, USAGE, errors
from wideproof.reports.cli.derive import derive_command
from wideproof.reports.cli.eval import eval_command
from wideproof.reports.cli.memory import memory_command
from wideproof.reports.cli.models import WithModel, list_models
from wideproof.reports.cli.report import report_command
from wideproof.reports.cli.reproduce import reproduce_command
from wideproof.reports.cli.runs.commands import runs
from wideproof.reports.cli.symbols import Verb, unwrapped
from wideproof.reports.cli.validate import validate_command


class Verbs(TyperGroup):
    """The verbs; whatever a user can meet is a message and an exit code, never a traceback."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.help = unwrapped(self.help)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options before the verb; without a word, print the help."""
        with errors():
            if not args:
                typer.echo(ctx.get_help())
                raise typer.Exit(USAGE)
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        with errors():
            return super().invoke(ctx)


app = typer.Typer(
    name="wideproof",
    cls=Verbs,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        typer.echo(f"wideproof {metadata.version('wideproof')}")
        raise typer.Exit()


@app.callback()
def wideproof(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Derive the infinite-width limit of a wide random recursion, with a proof.

    Evaluate it; confirm it at finite width; typeset it.

    Exit codes: 0 holds, 1 refuted, 3 undecided, 2 usage; 130 and 143 stopped by SIGINT and SIGTERM, 141 the reader of
    its output has left, 70 a defect of wideproof.

    Example: [b]wideproof derive linear-rnn scale-factors --proof[/b]
    """


app.command("models", cls=Verb)(list_models)
app.command("derive", cls=WithModel)(derive_command)
app.command("certify", cls=WithModel)(certify_command)
app.command("check", cls=WithFormula)(check_command)
app.command("eval", cls=WithModel)(eval_command)
app.command("validate", cls=WithModel)(validate_command)
app.command("report", cls=WithModel)(report_command)
app.command("reproduce", cls=Verb)(reproduce_command)
app.command("bench", cls=Verb)(bench_command)
app.command("memory", cls=WithModel)(memory_command)
app.add_typer(runs)


def main() -> None:
    """Run the command line; its exit code is 1 for a refuted limit and for nothing else."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
        heed_termination()
    code: Any
    try:
        with errors():
            code = app(standalone_mode=False)
    except typer.Exit as ended:
        code = ended.exit_code
    except SystemExit as ended:  # a verdict is returned; typer and rich end with 1 where nobody reads their output
        code = UNREAD if ended.code == 1 else ended.code
    except Exception:
        traceback.print_exc()
        code = DEFECT
    sys.exit(_flushed(code))


def _flushed(code: Any) -> Any:
    """The exit code, once all is written; another where nobody reads the output, or there is no room for it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # what is left then goes nowhere
            code = UNREAD if error.errno == errno.EPIPE else USAGE
    return code
