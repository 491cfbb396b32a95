"""What the record of a run holds of a report: its results in JSON's own types."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wideproof.derive.latex.text import DocumentError


def recordable(value: Any, where: str = "results") -> Any:
    """Return the value in JSON's own types; a number that is not finite becomes null.

    Errors: `DocumentError`, with the place, for a value JSON has no form for.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(key): recordable(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [recordable(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Path):
        return str(value)
    raise DocumentError(where, "numbers, text, lists or mappings", type(value).__name__, "Convert it first.")
