"""Other programs, run so that they can neither hang, nor ask, nor fill the disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from wideproof.derive.language.errors import DeriveError
from wideproof.derive.language.shown import visible

FILE_BYTES = 256 * 2**20
# limits are set in a process of our own before the program takes its place: safe beside threads
LIMITED = """import os, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[1]),) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
except (ImportError, ValueError):
    pass
os.execvpe(sys.argv[3], sys.argv[3:], os.environ)"""


class RenderError(DeriveError):
    """An engine that failed, or ran past its time; `report.tex` is in place all the same."""


class MissingEngine(RenderError):
    """A program or wheel that is not installed; the hint is the line that installs it."""


def run(args: Sequence[str], cwd: Path, seconds: float, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """(exit status, output and errors together) of a program, started in a session of its own with no input.

    Errors: `RenderError` when it runs longer than `seconds`; its whole process group is killed first.
    """
    limits = [str(int(seconds) + 2), str(FILE_BYTES)]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", LIMITED, *limits, *args], cwd=cwd, env=env, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    with process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            process.communicate()
            raise RenderError(
                Path(args[0]).name, f"an end within {seconds:g} s", "none", "Allow more time, or shorten the report."
            ) from None
    return process.returncode, visible(output.decode("utf-8", "replace"), lines=True)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
