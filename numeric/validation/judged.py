"""What a validation returns: the checks with their joint verdict, and what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wideproof.numeric.core.checks import Judged


@dataclass(frozen=True, repr=False)
class Validation(Judged):
    """The checks of a program, what was measured, and what was not judged and why.

    `measurements` are those of the plan: of a linear recursion, of kernels, or of an alternating program.
    Shapes, units, error: as `Judged`.  Source: `wideproof.validate`.
    """

    measurements: Any
    not_judged: tuple[str, ...] = ()
