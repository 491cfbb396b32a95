"""Texts of loops, compiled once and kept among the files of the user's cache, and the numbers that they may take."""

from __future__ import annotations

import functools
import hashlib
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wideproof.derive.expectation.tables import lane_vectors
from wideproof.derive.expectation.tables.compiled_sweep import made

Host = NDArray[np.float64]
MODULE = "wideproof"
"""What is kept on disk names a module and asks for it when it is read, by a later version too."""
RANGE = 1e100
"""Sizes beyond it and below its reciprocal are left to the array code, which knows of overflow and underflow."""


@functools.lru_cache(maxsize=64)
def compiled(text: str) -> Callable[..., Any]:
    """The function of a text, which differs neither by variances nor by inputs; kept on disk where there is a place."""
    return made(function_of(text, str(_kept(text) or "<sweep>")))


def function_of(text: str, path: str) -> Callable[..., Any]:
    """The function of a text in Python, not compiled."""
    scope: dict[str, Any] = {"np": np, "math": math, "__name__": MODULE, **lane_vectors.functions_of(text)}
    exec(compile(text, path, "exec"), scope)  # our own text, of printed expressions
    function: Callable[..., Any] = scope["sweep"]
    return function


def _kept(text: str) -> Path | None:
    """The file of a text among those of the user's cache, written once; None where that fails.

    Its name is a digest of the text and of the code of its vectors, which is compiled with it.
    """
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wideproof" / "loops"
        digest = hashlib.sha256(text.encode() + Path(lane_vectors.__file__).read_bytes())
        path = home / f"{digest.hexdigest()[:32]}.py"
        if not path.exists():
            home.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}")
            part.write_text(text)
            part.replace(path)
        return path if path.read_text() == text else None
    except (OSError, RuntimeError):
        return None


def out_of_range(x: Host) -> bool:
    """Whether a number that is not zero is larger, or smaller, than the loop may take, or is none."""
    size = np.abs(x)
    if size.max(initial=0.0) < RANGE and size.min(initial=1.0) > 1.0 / RANGE:
        return False
    return bool(np.any((size != 0) & ~((size < RANGE) & (size > 1.0 / RANGE))))
