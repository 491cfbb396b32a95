"""The command `wideproof`: the verbs of the Python interface, with the same names."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from wideproof.reports.cli.bench import bench_command
from wideproof.reports.cli.certify import certify_command
from wideproof.reports.cli.console import errors
from wideproof.reports.cli.derive import derive_command
from wideproof.reports.cli.eval import eval_command
from wideproof.reports.cli.memory import memory_command
from wideproof.reports.cli.models import list_models
from wideproof.reports.cli.report import report_command
from wideproof.reports.cli.reproduce import reproduce_command
from wideproof.reports.cli.symbols import Verb, WithSymbols
from wideproof.reports.cli.validate import validate_command


class Verbs(TyperGroup):
    """The verbs; whatever a user can meet is a message and an exit code, never a traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options before the verb."""
        if not args:
            return super().parse_args(ctx, args)  # prints the help
        with errors():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        with errors():
            return super().invoke(ctx)


app = typer.Typer(
    name="wideproof",
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
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

    Exit codes: 0 holds, 1 refuted, 3 undecided, 2 usage.

    Example: [b]wideproof derive linear-rnn scale-factors --proof[/b]
    """


app.command("models", cls=Verb)(list_models)
app.command("derive", cls=WithSymbols)(derive_command)
app.command("certify", cls=WithSymbols)(certify_command)
app.command("eval", cls=WithSymbols)(eval_command)
app.command("validate", cls=WithSymbols)(validate_command)
app.command("report", cls=WithSymbols)(report_command)
app.command("reproduce", cls=Verb)(reproduce_command)
app.command("bench", cls=Verb)(bench_command)
app.command("memory", cls=WithSymbols)(memory_command)


def main() -> None:
    """Run the command line."""
    app()
