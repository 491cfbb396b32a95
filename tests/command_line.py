"""The command line in this process; its commands are put together once, which Typer's runner does at each call."""

from functools import cache

import typer.main
import typer.testing
from typer.testing import CliRunner

__all__ = ["CliRunner"]

typer.testing._get_command = cache(typer.main.get_command)
