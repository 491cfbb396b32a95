"""run.json: what a run was given, by which versions, when, and from which commit."""

from __future__ import annotations

import json
import math
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from wideproof.derive.latex.text import DocumentError
from wideproof.reports.document.assets import write_atomically

PACKAGES = ("wideproof", "sympy", "numpy", "scipy", "matplotlib", "jinja2", "pypandoc-binary", "typst")


def write_run(path: Path, inputs: Mapping[str, object], seed: int | None, **more: object) -> Path:
    """Write the record of a run atomically; a number that is not finite becomes null.

    Errors: `DocumentError` for a value JSON has no form for.
    """
    record = {"inputs": inputs, "seed": seed, "versions": versions(), "commit": commit(), **more}
    record["time"] = datetime.now(UTC).isoformat(timespec="seconds")
    text = json.dumps(_plain(record, "run"), indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return write_atomically(path, text + "\n")


def versions() -> dict[str, str | None]:
    """Package -> installed version, None where it is absent; with Python and the platform."""
    found: dict[str, str | None] = {"python": platform.python_version(), "platform": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def commit() -> str | None:
    """The commit our code was checked out from, with "+changes" where it was edited; None if installed."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("+changes" if _git(root, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=root, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def _plain(value: Any, where: str) -> Any:
    """The value in JSON's own types."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Path):
        return str(value)
    raise DocumentError(where, "numbers, text, lists or mappings", type(value).__name__, "Convert it first.")
