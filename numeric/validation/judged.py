"""What a validation returns: the checks with their joint verdict, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wideproof.derive import Program
from wideproof.numeric.core.checks import Judged
from wideproof.numeric.networks.narrow_width import narrow_width


@dataclass(frozen=True, repr=False)
class Validation(Judged):
    """The checks of a program, what was measured, what was not judged and why, and what to beware of.

    `measurements` are those of the plan: of a linear recursion, of kernels, or of an alternating program.
    Shapes, units, error: as `Judged`.  Source: `wideproof.validate`.

    >>> wp.validate(wp.models.linear_rnn(), width=64, trials=100, seed=1).verdict
    'undecided'
    """

    measurements: Any
    not_judged: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def narrow_warnings(program: Program, values: Mapping[str, Any], plan: Any) -> tuple[str, ...]:
    """Return the warning of a plan whose squared horizon is not small against its width; none else.

    Source: `narrow_width`.
    """
    text = narrow_width(program, values, plan.width, plan.horizon)
    return (text,) if text else ()
